//! The number of combinations of the values of dimensions and periods: an upper bound of the number of observations.

use dataflow_sdmx::{
    Constraint, DataStructure, Dimension, Frequency, KeyValues, Periods, Region, Role, StructureIndex,
};

use super::Contents;

/// The bounds of a number of observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// By the values that occur, each in one observation at least; 0 if that is not known.
    pub(super) low: u64,
    pub(super) high: u64,
}

/// Where the sizes of dimensions come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes<'a> {
    pub(super) data_structure: Option<&'a DataStructure>,
    pub(super) contents: &'a Contents,
    pub(super) index: &'a StructureIndex<'a>,
}

// === impl Sizes ===

impl Sizes<'_> {
    /// The bounds by a constraint: the sum over its regions. `None` if the size of a dimension or the number of periods is
    /// unknown.
    pub(super) fn of_constraint(self, constraint: &Constraint) -> Option<Bounds> {
        let mut bounds = Bounds::default();
        for region in &constraint.regions {
            let Bounds { low, high } = self.of_region(region, constraint)?;
            bounds.low = low.max(bounds.low);
            bounds.high = high.saturating_add(bounds.high);
        }
        (bounds.high > 0).then_some(bounds)
    }

    /// The upper bound by the code lists of the data structure.
    pub(super) fn of_codelists(self) -> Option<u64> {
        let DataStructure { dimensions, .. } =
            self.data_structure.filter(|found| !found.dimensions.is_empty())?;
        let time = self.time(None, None, self.contents.periods)?;
        dimensions
            .iter()
            .filter(|dimension| time.is_factor(dimension.role))
            .try_fold(time.periods, |high, dimension| {
                Some(high.saturating_mul(self.index.codes(&dimension.codelist)?))
            })
    }

    fn of_region(self, region: &Region, constraint: &Constraint) -> Option<Bounds> {
        let is_closed = |key: &&KeyValues| !key.is_open && key.count > 0;
        let [time, frequency] = [Role::Time, Role::Frequency].map(|role| self.key_of(region, role));
        let range = time.map_or_else(Periods::default, |key| key.periods);
        let range = range.or(constraint.periods).or(self.contents.periods);
        let time = self.time(time.filter(is_closed), frequency, range)?;
        let mut bounds = Bounds { low: time.listed, high: time.periods };
        let mut add = |key: Option<&KeyValues>, codes: Option<u64>| {
            let size = key.map(|key| key.count).or(codes)?;
            bounds.low = bounds.low.max(key.map_or(0, |key| key.count));
            bounds.high = bounds.high.saturating_mul(size);
            Some(())
        };
        match self.data_structure.filter(|found| !found.dimensions.is_empty()) {
            Some(DataStructure { dimensions, .. }) => {
                for Dimension { id, role, codelist } in dimensions {
                    if time.is_factor(*role) {
                        add(region.key(id).filter(is_closed), self.index.codes(codelist))?;
                    }
                }
            }
            // What there is lists all dimensions; what may be lists those that are restricted.
            None if constraint.is_actual => {
                for key in &region.keys {
                    if time.is_factor(key.role) {
                        add(Some(key).filter(is_closed), None)?;
                    }
                }
            }
            None => return None,
        }
        // Each value occurs once at least only in what there is.
        bounds.low = if constraint.is_actual { bounds.low.min(bounds.high) } else { 0 };
        Some(bounds)
    }

    /// The key of the dimension with a role, by the data structure if that is known.
    fn key_of(self, region: &Region, role: Role) -> Option<&KeyValues> {
        let dimensions = self.data_structure.map_or(&[][..], |found| &found.dimensions);
        let dimension = dimensions.iter().find(|dimension| dimension.role == role);
        match dimension {
            Some(dimension) => region.key(&dimension.id),
            None => region.keys.iter().find(|key| key.role == role),
        }
    }

    /// The number of periods: as listed, else by the range and the frequencies, each of which has periods of its own.
    fn time(self, listed: Option<&KeyValues>, frequency: Option<&KeyValues>, range: Periods) -> Option<Time> {
        if let Some(KeyValues { count, .. }) = listed {
            return Some(Time { periods: *count, listed: *count, has_frequencies: false });
        }
        let dimensions = self.data_structure.map_or(&[][..], |found| &found.dimensions);
        if !dimensions.is_empty() && !dimensions.iter().any(|dimension| dimension.role == Role::Time) {
            return Some(Time { periods: 1, listed: 0, has_frequencies: false });
        }
        let frequencies = match frequency {
            Some(key) if key.is_open => return None,
            Some(key) => &key.frequencies,
            None => &self.contents.frequencies,
        };
        let periods =
            periods(range, frequencies)?.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        Some(Time { periods, listed: 0, has_frequencies: true })
    }
}

/// The number of periods in a range, by frequency; `None` if the range or the frequencies are unknown.
pub(super) fn periods(range: Periods, frequencies: &[Frequency]) -> Option<Vec<u64>> {
    let Periods { first: Some(first), last: Some(last) } = range else { return None };
    let counts: Vec<_> = frequencies.iter().map(|frequency| first.count_to(last, *frequency)).collect();
    (!counts.is_empty()).then_some(counts)
}

/// The periods of a cube.
#[derive(Debug, Clone, Copy)]
struct Time {
    periods: u64,
    /// The number of those that occur; 0 if it is not known.
    listed: u64,
    /// Whether the periods are those of all frequencies, so that the dimension of frequencies is no further factor.
    has_frequencies: bool,
}

impl Time {
    /// Whether a dimension of a role multiplies the number of periods.
    fn is_factor(self, role: Role) -> bool {
        role != Role::Time && !(role == Role::Frequency && self.has_frequencies)
    }
}
