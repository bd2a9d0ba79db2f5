//! Data structures, the sizes of code lists, and constraints: what tells the dimensions of dataflows, and how large
//! they are.
//!
//! They may be anywhere in the documents, so they wait here until all documents have been read. Of lists of codes and of
//! values only the numbers are kept. `Limits::structures` and `Limits::structure_bytes` bound that memory: the excess is
//! dropped and reported.

use std::fmt;

use super::diagnostic::{Diagnostics, Reason};
use super::error::Position;
use super::facts::Periods;
use super::frequency::Frequency;
use super::held::{Held, Room};
use super::limits::Limits;
use super::reference::Reference;

mod index;

pub use index::StructureIndex;

/// The structures of all documents that were read. Filled by a reader, see
/// [`StructureReader::with_structures`](crate::StructureReader::with_structures).
#[derive(Debug, Default)]
pub struct Structures {
    data_structures: Vec<DataStructure>,
    codelists: Vec<(Reference, u64)>,
    constraints: Vec<Constraint>,
    held: Held,
    /// Whether the excess was reported already.
    is_cut: bool,
}

/// A data structure definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataStructure {
    /// Its identity; up to SDMX 2.1 the version is `1.0` if absent.
    pub identity: Reference,
    /// Its dimensions, in the order of keys; the time dimension is last.
    pub dimensions: Vec<Dimension>,
    /// Position of the start tag.
    pub position: Position,
}

/// A dimension of a data structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dimension {
    /// The identifier, never empty.
    pub id: String,
    /// What its values mean.
    pub role: Role,
    /// The code list of its values; empty if it has none of its own.
    pub codelist: Reference,
}

/// What the values of a dimension mean, as far as programs need to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Anything else.
    #[default]
    Other,
    /// Periods of time.
    Time,
    /// Frequencies.
    Frequency,
    /// Places.
    Geography,
    /// Measures (`MeasureDimension` of SDMX 2.1).
    Measure,
}

/// A constraint of the content of dataflows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraint {
    /// Its identity; empty in the availability constraints of SDMX 3.1, which have none.
    pub identity: Reference,
    /// Whether it states what there is, not what may be.
    pub is_actual: bool,
    /// The dataflows that it is attached to.
    pub dataflows: Vec<Reference>,
    /// The data structures that it is attached to.
    pub data_structures: Vec<Reference>,
    /// Whether it is attached to anything, also to what is not read.
    pub is_attached: bool,
    /// The number of observations; never negative.
    pub observation_count: Option<i64>,
    /// The number of series; never negative.
    pub series_count: Option<i64>,
    /// The regions with content. Regions without content are left out.
    pub regions: Vec<Region>,
    /// The reference period.
    pub periods: Periods,
    /// Position of the start tag.
    pub position: Position,
}

/// A part of a data cube: the combinations of the values of its dimensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Region {
    /// The dimensions that it restricts, each once, by identifier.
    pub keys: Vec<KeyValues>,
}

/// The values of one dimension in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyValues {
    /// The dimension.
    pub id: String,
    /// What its values mean, as far as the key alone tells.
    pub role: Role,
    /// The number of values that are listed.
    pub count: u64,
    /// Whether there may be values beside those that are listed: a value stands for several, or all others are meant.
    pub is_open: bool,
    /// The values as frequencies, if the dimension is that of frequencies; at most 16, without duplicates.
    pub frequencies: Vec<Frequency>,
    /// The range of the values, if the dimension is that of time.
    pub periods: Periods,
}

/// The most dimensions of a data structure, and the most keys of a constraint: more than any has. The sizes of dataflows
/// are computed from them, for any number of dataflows.
pub(crate) const MOST_PARTS: usize = 128;

/// The most frequencies of one dimension.
const MOST_FREQUENCIES: usize = 16;

/// Memory of an artefact, a reference or a key beside its texts: the structure itself, and the overhead of allocations.
pub(crate) const OVERHEAD: usize = 200;

/// The identifiers of dimensions, concepts and roles that mean places, in either case.
const GEOGRAPHY: [&str; 17] = [
    "REF_AREA",
    "REFERENCE_AREA",
    "REPORTING_AREA",
    "AREA",
    "GEO",
    "GEOGRAPHY",
    "GEO_LOCATION",
    "COUNTRY",
    "REGION",
    "LOCATION",
    "TERRITORIO",
    "TERRITORY",
    "ITTER107",
    "ITTER",
    "NUTS",
    "MUNICIPALITY",
    "COMUNE",
];

/// The same for frequencies.
const FREQUENCY: [&str; 2] = ["FREQ", "FREQUENCY"];

/// The same for time.
const TIME: [&str; 2] = ["TIME_PERIOD", "TIME"];

// === impl Structures ===

impl Structures {
    /// None yet; the memory for them comes from `room`.
    #[must_use]
    pub fn within(room: Room) -> Self {
        Self { held: Held::within(room), ..Self::default() }
    }

    /// Whether no document had any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data_structures.is_empty() && self.codelists.is_empty() && self.constraints.is_empty()
    }

    /// The data structures, in the order of the documents.
    #[must_use]
    pub fn data_structures(&self) -> &[DataStructure] {
        &self.data_structures
    }

    /// The code lists and their numbers of codes, in the order of the documents.
    #[must_use]
    pub fn codelists(&self) -> &[(Reference, u64)] {
        &self.codelists
    }

    /// The constraints, in the order of the documents.
    #[must_use]
    pub fn constraints(&self) -> &[Constraint] {
        &self.constraints
    }

    /// Adds a data structure whose memory is reserved.
    pub(crate) fn add_data_structure(&mut self, data_structure: DataStructure) {
        self.data_structures.push(data_structure);
    }

    /// Adds the number of codes of a list whose memory is reserved.
    pub(crate) fn add_codelist(&mut self, identity: Reference, codes: u64) {
        self.codelists.push((identity, codes));
    }

    /// Adds a constraint whose memory is reserved, and reports what makes it useless.
    pub(crate) fn add_constraint(&mut self, constraint: Constraint, diagnostics: &mut Diagnostics) {
        let Constraint { is_attached, observation_count, series_count, position, .. } = &constraint;
        if !is_attached {
            diagnostics.add(Reason::ConstraintWithoutAttachment, *position, || {
                format!("constraint {constraint} is attached to nothing, and was not used")
            });
        }
        if let (Some(observations), Some(series)) = (observation_count, series_count)
            && series > observations
        {
            diagnostics.add(Reason::ContradictoryCounts, *position, || {
                format!("constraint {constraint} states {observations} observations in {series} series")
            });
        }
        self.constraints.push(constraint);
    }

    /// Whether one more artefact fits; reserves its memory.
    pub(crate) fn reserve_artefact(&mut self, identity: &Reference, limits: &Limits) -> bool {
        let count = self.data_structures.len() + self.codelists.len() + self.constraints.len();
        count < limits.structures && self.reserve(identity.bytes() + OVERHEAD, limits)
    }

    /// Reserves memory for one more part. Returns false above the limit.
    pub(crate) fn reserve(&mut self, bytes: usize, limits: &Limits) -> bool {
        self.held.add(bytes, limits.structure_bytes)
    }

    /// Reports that an artefact was dropped, the first time.
    pub(crate) fn cut(&mut self, position: Position, limits: &Limits, diagnostics: &mut Diagnostics) {
        if !std::mem::replace(&mut self.is_cut, true) {
            let Limits { structures, structure_bytes, .. } = limits;
            diagnostics.add(Reason::StructuresCutShort, position, || {
                format!(
                    "more than {structures} data structures, code lists and constraints, or {structure_bytes} bytes \
                     of them, or {MOST_PARTS} dimensions or keys in one; the excess was dropped"
                )
            });
        }
    }
}

// === impl Constraint ===

/// Its identity, or its kind if it has none.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.identity.id.is_empty() { f.write_str("of availability") } else { self.identity.fmt(f) }
    }
}

// === impl Region ===

impl Region {
    /// The values of a dimension.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&KeyValues> {
        let found = self.keys.binary_search_by(|key| key.id.as_str().cmp(id));
        found.ok().map(|index| &self.keys[index])
    }

    /// Orders the keys, and merges those of one dimension.
    pub(crate) fn order(&mut self) {
        self.keys.sort_by(|one, other| one.id.cmp(&other.id));
        self.keys.dedup_by(|later, first| {
            let is_same = later.id == first.id;
            if is_same {
                first.count = first.count.saturating_add(later.count);
                first.is_open |= later.is_open;
                first.periods.extend(later.periods);
                later.frequencies.iter().for_each(|frequency| first.add_frequency(*frequency));
            }
            is_same
        });
    }
}

// === impl KeyValues ===

impl KeyValues {
    /// Adds a frequency, if there is room.
    pub(crate) fn add_frequency(&mut self, frequency: Frequency) {
        if !self.frequencies.contains(&frequency) {
            if self.frequencies.len() < MOST_FREQUENCIES {
                self.frequencies.push(frequency);
            } else {
                self.is_open = true;
            }
        }
    }
}

// === impl Role ===

impl Role {
    /// The role by an identifier of the dimension, its concept, or the role that it states.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let is_one_of = |ids: &[&str]| ids.iter().any(|known| id.eq_ignore_ascii_case(known));
        if is_one_of(&TIME) {
            Self::Time
        } else if is_one_of(&FREQUENCY) {
            Self::Frequency
        } else if is_one_of(&GEOGRAPHY) {
            Self::Geography
        } else {
            Self::Other
        }
    }
}
