//! What the analysis of one document may use: bytes of the texts in its result, counted while it is built, and time
//! until its caller leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_sdmx::Dataflow;

use crate::Error;

/// The budget of one document.
#[derive(Debug)]
pub struct Budget {
    /// The most bytes of the result.
    limit: usize,
    spent: usize,
    canceled: Canceled,
}

/// Whether the call was canceled. Cheap to clone; clones change together.
#[derive(Debug, Clone, Default)]
pub struct Canceled(Arc<AtomicBool>);

/// Cancels the work of a call when it is dropped, with the call or after it.
#[derive(Debug)]
#[must_use = "dropping it cancels the work"]
pub struct CancelOnDrop(Canceled);

// === impl Budget ===

impl Budget {
    /// A result of at most `limit` bytes, until `canceled`.
    pub fn new(limit: usize, canceled: Canceled) -> Self {
        Self { limit, spent: 0, canceled }
    }

    /// Without limits, for tests and measurements.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, Canceled::default())
    }

    /// Counts a dataflow, by the texts that the result repeats.
    ///
    /// # Errors
    ///
    /// [`Error::ResultTooLarge`], and [`Error::Canceled`] when the caller has left.
    pub fn spend(&mut self, dataflow: &Dataflow) -> Result<(), Error> {
        self.check()?;
        let texts = dataflow.names.iter().chain(&dataflow.descriptions);
        let bytes: usize = texts.map(|(language, text)| language.len() + text.len()).sum();
        self.add(bytes + dataflow.id.len() + dataflow.agency_id.len())
    }

    /// Counts further texts of the result.
    ///
    /// # Errors
    ///
    /// [`Error::ResultTooLarge`].
    pub fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.limit { Err(Error::ResultTooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// Fails when the caller has left.
    ///
    /// # Errors
    ///
    /// [`Error::Canceled`].
    pub fn check(&self) -> Result<(), Error> {
        if self.canceled.get() { Err(Error::Canceled) } else { Ok(()) }
    }
}

// === impl Canceled ===

impl Canceled {
    /// Whether it was.
    pub fn get(&self) -> bool {
        // It guards no other memory.
        self.0.load(Ordering::Relaxed)
    }

    /// Cancels when the guard is dropped.
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use dataflow_rules::{Compiled, built_in};
    use dataflow_sdmx::Limits;

    use super::*;
    use crate::catalogue;

    const DOCUMENT: &str = "<Structure><Dataflows><Dataflow id='A' agencyID='B'><Name>12345678</Name></Dataflow>\
                            </Dataflows></Structure>";

    fn analyze(mut budget: Budget) -> Result<usize, Error> {
        let rules = Compiled::new(&built_in::rulesets()[0]).unwrap();
        let analyzed = catalogue::analyze(DOCUMENT.as_bytes(), &rules, Limits::default(), &mut budget);
        analyzed.map(|catalogue| catalogue.dataflows.len())
    }

    #[test]
    fn the_result_is_counted_while_it_is_built() {
        assert_eq!(analyze(Budget::new(10, Canceled::default())).unwrap(), 1);
        let refused = analyze(Budget::new(9, Canceled::default()));
        assert!(matches!(refused, Err(Error::ResultTooLarge { limit: 9 })), "{refused:?}");
    }

    #[test]
    fn work_ends_when_the_caller_leaves() {
        let canceled = Canceled::default();
        drop(canceled.on_drop());
        assert!(matches!(analyze(Budget::new(usize::MAX, canceled)), Err(Error::Canceled)));
    }
}
