//! How many observations a dataflow has, and how many bytes they take in each format.

use dataflow_sdmx::{Constraint, DataStructure, Facts, StructureIndex};

use super::Contents;
use super::cube::{self, Bounds, Sizes};

/// The size of the data of a dataflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Size {
    /// How the number of observations was found.
    pub method: Method,
    /// In what it was found.
    pub source: String,
    /// The number of observations.
    pub observations: Estimate,
}

/// How a number of observations was found, most reliable first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// An annotation states it.
    Stated,
    /// A constraint states it.
    Constraint,
    /// A constraint states the number of series.
    Series,
    /// The combinations of the values of dimensions.
    Cube,
}

/// A number that is not known exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// The least that it can be.
    pub low: i64,
    /// The most plausible value; `None` if nothing is known but the bounds.
    pub likely: Option<i64>,
    /// The most that it can be.
    pub high: i64,
}

/// The bytes of an observation in a format: in the smallest, a usual and the largest data set measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesPerObservation {
    /// In the smallest.
    pub low: i64,
    /// In a usual one.
    pub likely: i64,
    /// In the largest.
    pub high: i64,
}

/// SDMX-CSV, SDMX-JSON, SDMX-ML generic and structure specific, measured on published data sets of ISTAT, Eurostat, INSEE
/// and BIS; `docs/contents.md` has the figures.
pub const FORMATS: [BytesPerObservation; 4] = [
    BytesPerObservation { low: 35, likely: 55, high: 90 },
    BytesPerObservation { low: 14, likely: 20, high: 35 },
    BytesPerObservation { low: 120, likely: 200, high: 410 },
    BytesPerObservation { low: 50, likely: 80, high: 110 },
];

/// A number of observations that the provider states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) method: Method,
    pub(super) source: String,
    pub(super) observations: i64,
}

/// What is known about the size of a dataflow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) facts: &'a Facts,
    pub(super) constraints: &'a [&'a Constraint],
    pub(super) data_structure: Option<&'a DataStructure>,
    pub(super) contents: &'a Contents,
    pub(super) index: &'a StructureIndex<'a>,
}

// === impl Known ===

impl<'a> Known<'a> {
    /// The numbers that the provider states, most reliable first.
    pub(super) fn counts(&self) -> Vec<Count> {
        let stated = self.facts.observation_count.map(|observations| {
            let source = "annotation OBS_COUNT".to_owned();
            Count { method: Method::Stated, source, observations }
        });
        let actual = self.constraints.iter().filter(|constraint| constraint.is_actual);
        let of_constraints = actual.filter_map(|constraint| {
            let (method, source) = (Method::Constraint, constraint.to_string());
            constraint.observation_count.map(|observations| Count { method, source, observations })
        });
        stated.into_iter().chain(of_constraints).collect()
    }

    /// The size, by the first of these numbers, else by bounds.
    pub(super) fn size(&self, counts: &[Count], bounds: Option<(&Constraint, Bounds)>) -> Option<Size> {
        if let [Count { method, source, observations }, ..] = counts {
            let all = || counts.iter().map(|count| count.observations);
            let (low, high) = (all().min()?, all().max()?);
            let observations = Estimate { low, likely: Some(*observations), high };
            return Some(Size { method: *method, source: source.clone(), observations });
        }
        self.by_series(bounds).or_else(|| self.by_cube(bounds))
    }

    fn by_series(&self, bounds: Option<(&Constraint, Bounds)>) -> Option<Size> {
        let series = u64::try_from(self.contents.series_count?).ok()?;
        let periods = cube::periods(self.contents.periods, &self.contents.frequencies);
        let each = periods.and_then(|counts| counts.into_iter().max());
        let cube = bounds.map(|(_, bounds)| bounds);
        let high = [each.map(|each| series.saturating_mul(each)), cube.map(|bounds| bounds.high)];
        let high = high.into_iter().flatten().min()?.max(series);
        let low = cube.map_or(series, |bounds| bounds.low.max(series)).min(high);
        let source = self.contents.constraint.clone();
        Some(Size { method: Method::Series, source, observations: Estimate::between(low, high) })
    }

    fn by_cube(&self, bounds: Option<(&Constraint, Bounds)>) -> Option<Size> {
        let method = Method::Cube;
        if let Some((constraint, Bounds { low, high })) = bounds {
            let source = constraint.to_string();
            return Some(Size { method, source, observations: Estimate::between(low, high) });
        }
        // What may be says nothing about what there is, but its bound.
        let allowed = self.constraints.iter().filter(|constraint| !constraint.is_actual);
        let mut allowed = allowed.filter_map(|constraint| {
            Some((constraint.to_string(), self.sizes().of_constraint(constraint)?.high))
        });
        let (source, high) = match (allowed.next(), self.data_structure) {
            (Some(allowed), _) => allowed,
            (None, Some(found)) => (found.identity.to_string(), self.sizes().of_codelists()?),
            (None, None) => return None,
        };
        let observations = Estimate { low: 0, likely: None, high: saturated(high) };
        Some(Size { method, source, observations })
    }

    /// The bounds by the first constraint of what there is that has any.
    pub(super) fn actual_bounds(&self) -> Option<(&'a Constraint, Bounds)> {
        let actual = self.constraints.iter().filter(|constraint| constraint.is_actual);
        actual
            .copied()
            .find_map(|constraint| self.sizes().of_constraint(constraint).map(|bounds| (constraint, bounds)))
    }

    fn sizes(&self) -> Sizes<'a> {
        Sizes { data_structure: self.data_structure, contents: self.contents, index: self.index }
    }
}

/// What contradicts the first of the numbers that are stated.
pub(super) fn contradiction(counts: &[Count], bounds: Option<(&Constraint, Bounds)>) -> Option<String> {
    let Count { source, observations, .. } = counts.first()?;
    if let Some(other) = counts.iter().find(|other| other.observations != *observations) {
        let Count { source: other, observations: others, .. } = other;
        return Some(format!("{source} states {observations} observations, and constraint {other} {others}"));
    }
    let (constraint, Bounds { high, .. }) = bounds?;
    let is_above = u64::try_from(*observations).is_ok_and(|observations| observations > high);
    is_above.then(|| {
        format!(
            "{source} states {observations} observations, and constraint {constraint} has room for {high}"
        )
    })
}

// === impl Estimate ===

impl Estimate {
    /// A number between bounds, of which few cubes are full. On eight published data sets the cube root of
    /// `low * high * high` was 0.2 to 2.3 times the number of observations on all but the sparsest one, where it was 15.
    fn between(low: u64, high: u64) -> Self {
        let likely = ((logarithm(low) + 2.0 * logarithm(high)) / 3.0).exp();
        let (low, high) = (saturated(low), saturated(high));
        #[allow(clippy::cast_possible_truncation, reason = "a float above the largest integer becomes that")]
        let likely = (likely.round() as i64).clamp(low, high);
        Self { low, likely: Some(likely), high }
    }

    /// The bytes of so many observations.
    #[must_use]
    pub fn bytes(self, format: BytesPerObservation) -> Self {
        Self {
            low: self.low.saturating_mul(format.low),
            likely: self.likely.map(|likely| likely.saturating_mul(format.likely)),
            high: self.high.saturating_mul(format.high),
        }
    }
}

/// The natural logarithm of a number, of 0 as of 1.
#[allow(clippy::cast_precision_loss, reason = "an estimate has few significant digits")]
fn logarithm(number: u64) -> f64 {
    (number.max(1) as f64).ln()
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
