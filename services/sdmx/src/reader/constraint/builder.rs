//! Builds a constraint of its parts, in whatever format they are written.

use crate::annotations::{Metrics, metrics};
use crate::dataflow::Annotation;
use crate::diagnostic::Diagnostics;
use crate::error::Position;
use crate::frequency::Frequency;
use crate::limits::Limits;
use crate::period::Period;
use crate::reference::Reference;
use crate::structures::{Constraint, KeyValues, MOST_PARTS, OVERHEAD, Region, Role, Structures};

/// A constraint that is being read.
#[derive(Debug)]
pub(in crate::reader) struct ConstraintBuilder<'a> {
    pub(in crate::reader) constraint: Constraint,
    structures: &'a mut Structures,
    limits: &'a Limits,
    /// Dataflows that it is attached to, also above the limits.
    dataflows: u64,
    /// The open region; `None` if it says what there is not.
    region: Option<Region>,
    /// The keys so far, of all regions.
    keys: usize,
    /// Whether everything was within the limits.
    is_whole: bool,
}

/// What a constraint is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reader) enum Attaching {
    Dataflow,
    DataStructure,
    /// A provider, an agreement, a source: these are not read.
    Other,
}

// === impl ConstraintBuilder ===

impl<'a> ConstraintBuilder<'a> {
    /// Of the constraint as far as it is known.
    pub(in crate::reader) fn new(
        constraint: Constraint,
        position: Position,
        structures: &'a mut Structures,
        limits: &'a Limits,
    ) -> Self {
        let is_whole = structures.reserve_artefact(&constraint.identity, limits);
        Self {
            constraint: Constraint { position, ..constraint },
            structures,
            limits,
            dataflows: 0,
            region: None,
            keys: 0,
            is_whole,
        }
    }

    /// Sets the identity, where it follows the content.
    pub(in crate::reader) fn identify(&mut self, identity: Reference) {
        self.is_whole = self.is_whole && self.structures.reserve(identity.bytes(), self.limits);
        self.constraint.identity = identity;
    }

    /// Number of dataflows that it is attached to.
    pub(in crate::reader) fn dataflows(&self) -> u64 {
        self.dataflows
    }

    /// Keeps the constraint if constraints are collected. Returns false above the limits.
    pub(in crate::reader) fn finish(self, is_collected: bool, diagnostics: &mut Diagnostics) -> bool {
        if self.is_whole && is_collected {
            self.structures.add_constraint(self.constraint, diagnostics);
        }
        self.is_whole
    }

    /// Reserves memory for a part. Returns false above the limits, where the constraint is read without being kept.
    fn reserve(&mut self, bytes: usize) -> bool {
        self.is_whole = self.is_whole && self.structures.reserve(bytes + OVERHEAD, self.limits);
        self.is_whole
    }

    /// It is attached to an artefact of this kind.
    pub(in crate::reader) fn begin_attachment(&mut self, kind: Attaching) {
        self.constraint.is_attached = true;
        self.dataflows += u64::from(kind == Attaching::Dataflow);
    }

    /// Names the artefact that it is attached to.
    pub(in crate::reader) fn attach(&mut self, kind: Attaching, artefact: Reference) {
        if artefact.id.is_empty() || !self.reserve(artefact.bytes()) {
            return;
        }
        match kind {
            Attaching::Dataflow => self.constraint.dataflows.push(artefact),
            Attaching::DataStructure => self.constraint.data_structures.push(artefact),
            Attaching::Other => {}
        }
    }

    /// Takes the numbers that an annotation states.
    pub(in crate::reader) fn add_annotation(&mut self, annotation: &Annotation) {
        let Metrics { observations, series } = metrics(annotation);
        let Constraint { observation_count, series_count, .. } = &mut self.constraint;
        *observation_count = observations.or(*observation_count);
        *series_count = series.or(*series_count);
    }

    /// A region begins, of what there is or of what there is not.
    pub(in crate::reader) fn begin_region(&mut self, is_included: bool) {
        self.region = is_included.then(Region::default);
    }

    /// Drops the open region: it says what there is not.
    pub(in crate::reader) fn exclude_region(&mut self) {
        self.region = None;
    }

    /// Adds a key to the open region.
    pub(in crate::reader) fn add_key(&mut self, key: KeyValues) {
        self.keys += 1;
        self.is_whole &= self.keys <= MOST_PARTS;
        if self.region.is_some()
            && self.reserve(key.id.len())
            && let Some(region) = &mut self.region
        {
            region.keys.push(key);
        }
    }

    /// The open region ends.
    pub(in crate::reader) fn end_region(&mut self) {
        // One that restricts no dimension is about attributes.
        if let Some(mut region) = self.region.take().filter(|region| !region.keys.is_empty())
            && self.reserve(0)
        {
            region.order();
            self.constraint.regions.push(region);
        }
    }
}

/// Adds a value to those of a dimension.
pub(in crate::reader) fn add_value(key: &mut KeyValues, value: &str) {
    key.count += 1;
    // A wildcard stands for any number of values.
    key.is_open |= value.contains(['%', '*']);
    match key.role {
        Role::Frequency => match Frequency::parse(value) {
            Some(frequency) => key.add_frequency(frequency),
            None => key.is_open = true,
        },
        Role::Time => key.periods.extend_to(Period::parse(value)),
        _ => {}
    }
}
