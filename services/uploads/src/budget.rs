//! What the analysis of one document may use: bytes of the texts in its result, counted while it is built, memory that
//! all results share, and time until its caller leaves.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dataflow_mesh::memory_shares::{MemoryPermit, MemoryShares};
use dataflow_sdmx::{Dataflow, Room, StructureReader};

use crate::Error;

/// Memory of a dataflow in a catalogue, in addition to its texts.
const DATAFLOW_MEMORY: u64 = 1024;

/// Steps in which the memory of a result is taken. A result below it does not count: there are at most as many as calls.
const STEP: u64 = 256 * 1024;

/// The budget of one document.
#[derive(Debug)]
pub struct Budget {
    /// The most bytes of the result.
    limit: usize,
    spent: usize,
    memory: ResultMemory,
    /// Why there was no room for what waits, once there was none.
    lack: Arc<Mutex<Option<Error>>>,
    canceled: Canceled,
}

/// The memory of one result, while it is built and until it has been sent. A caller that pauses within a document, or
/// does not read its result, holds it as long as it is let.
#[derive(Debug)]
pub struct ResultMemory {
    /// Of all results.
    shared: MemoryShares,
    permit: Option<MemoryPermit>,
    taken: u64,
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
    /// A result of at most `limit` bytes, until `canceled`, whose memory does not count.
    pub fn new(limit: usize, canceled: Canceled) -> Self {
        let memory = ResultMemory::of(&MemoryShares::new(u64::MAX));
        Self { limit, spent: 0, memory, lack: Arc::default(), canceled }
    }

    /// Takes the memory of the result from what all share.
    #[must_use]
    pub fn sharing(self, memory: ResultMemory) -> Self {
        Self { memory, ..self }
    }

    /// The memory of the finished result.
    pub fn into_memory(self) -> ResultMemory {
        self.memory
    }

    /// Without limits, for tests and measurements.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, Canceled::default())
    }

    /// Counts a dataflow, by the texts that the result repeats.
    ///
    /// # Errors
    ///
    /// [`Error::ResultTooLarge`], [`Error::NoResultMemory`], and [`Error::Canceled`] when the caller has left.
    pub fn spend(&mut self, dataflow: &Dataflow) -> Result<(), Error> {
        self.check()?;
        self.memory.take(DATAFLOW_MEMORY)?;
        let texts = dataflow.names.iter().chain(&dataflow.descriptions);
        let bytes: usize = texts.map(|(language, text)| language.len() + text.len()).sum();
        self.add(bytes + dataflow.id.len() + dataflow.agency_id.len())
    }

    /// Counts further texts of the result.
    ///
    /// # Errors
    ///
    /// [`Error::ResultTooLarge`] and [`Error::NoResultMemory`].
    pub fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.limit {
            return Err(Error::ResultTooLarge { limit: self.limit });
        }
        self.memory.take(bytes as u64)
    }

    /// Room for what waits until all documents have been read, from the memory that all results share. When there is
    /// none, the work ends: what a result contains must not depend on others.
    pub fn room(&self) -> Room {
        let mut waiting = ResultMemory::of(&self.memory.shared);
        let (lack, canceled) = (Arc::clone(&self.lack), self.canceled.clone());
        Box::new(move |bytes| match waiting.take_up_to(bytes as u64) {
            Ok(()) => true,
            Err(error) => {
                *lack.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                canceled.set();
                false
            }
        })
    }

    /// The next dataflow of a document; `None` from its end on.
    ///
    /// # Errors
    ///
    /// [`Error::Document`], and those of [`Budget::check`]: the end of the work is why a document cannot be read further.
    pub fn next_dataflow<R: Read>(
        &self,
        reader: &mut StructureReader<R>,
    ) -> Result<Option<Box<Dataflow>>, Error> {
        reader.next_dataflow().map_err(|error| self.check().err().unwrap_or(Error::Document(error)))
    }

    /// Fails when the work has ended, because the caller has left or there was no room.
    ///
    /// # Errors
    ///
    /// [`Error::Canceled`], and those of room: [`Error::NoResultMemory`] and [`Error::ResultMemoryTooLarge`].
    pub fn check(&self) -> Result<(), Error> {
        if !self.canceled.get() {
            return Ok(());
        }
        let lack = self.lack.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(lack.unwrap_or(Error::Canceled))
    }
}

// === impl ResultMemory ===

impl ResultMemory {
    /// Of a result that has nothing yet.
    pub fn of(shared: &MemoryShares) -> Self {
        Self { shared: shared.clone(), permit: None, taken: 0 }
    }

    /// Takes as much as makes so many bytes in all.
    ///
    /// # Errors
    ///
    /// If all memory of results is in use.
    pub fn take_up_to(&mut self, bytes: u64) -> Result<(), Error> {
        self.take(bytes.saturating_sub(self.taken))
    }

    /// Takes so many bytes more.
    ///
    /// # Errors
    ///
    /// [`Error::NoResultMemory`], or [`Error::ResultMemoryTooLarge`] if it would not fit alone either.
    fn take(&mut self, bytes: u64) -> Result<(), Error> {
        let taken = self.taken.saturating_add(bytes);
        let has = self.permit.as_ref().map_or(0, MemoryPermit::bytes);
        let due = taken / STEP * STEP;
        if due > has {
            let limit = self.shared.total();
            if due > limit {
                return Err(Error::ResultMemoryTooLarge { limit });
            }
            if !self.shared.add(&mut self.permit, due - has) {
                return Err(Error::NoResultMemory { limit });
            }
        }
        self.taken = taken;
        Ok(())
    }
}

// === impl Canceled ===

impl Canceled {
    /// Whether it was.
    pub fn get(&self) -> bool {
        // It guards no other memory.
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Cancels when the guard is dropped.
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    use dataflow_sdmx::{Limits, StructureReader};

    use super::*;

    const DOCUMENT: &str = "<Structure><Dataflows><Dataflow id='A' agencyID='B'><Name>12345678</Name></Dataflow>\
                            </Dataflows></Structure>";

    fn read(mut budget: Budget) -> Result<usize, Error> {
        let mut reader = StructureReader::new(DOCUMENT.as_bytes(), Limits::default());
        let mut dataflows = 0;
        while let Some(dataflow) = reader.next_dataflow().map_err(Error::Document)? {
            budget.spend(&dataflow)?;
            dataflows += 1;
        }
        Ok(dataflows)
    }

    #[test]
    fn the_result_is_counted_while_it_is_built() {
        assert_eq!(read(Budget::new(10, Canceled::default())).unwrap(), 1);
        let refused = read(Budget::new(9, Canceled::default()));
        assert!(matches!(refused, Err(Error::ResultTooLarge { limit: 9 })), "{refused:?}");
    }

    #[test]
    fn results_share_memory_until_they_are_dropped() {
        let shared = MemoryShares::new(4 * STEP);
        let [mut first, mut second, mut small] = [0; 3].map(|_| ResultMemory::of(&shared));
        first.take(3 * STEP).unwrap();
        second.take(STEP).unwrap();
        small.take(STEP - 1).unwrap();
        let none = |taken| matches!(taken, Err(Error::NoResultMemory { limit }) if limit == 4 * STEP);
        assert!(none(small.take(1)) && none(second.take_up_to(2 * STEP)));
        assert!(second.take_up_to(STEP).is_ok(), "it has that");
        drop(first);
        second.take_up_to(3 * STEP).unwrap();
        let alone = ResultMemory::of(&shared).take(5 * STEP);
        assert!(
            matches!(alone, Err(Error::ResultMemoryTooLarge { limit }) if limit == 4 * STEP),
            "{alone:?}"
        );
    }

    #[test]
    fn a_dataflow_takes_memory_beside_its_texts() {
        let shared = MemoryShares::new(STEP);
        let taken = ResultMemory { shared: shared.clone(), permit: None, taken: STEP - DATAFLOW_MEMORY - 11 };
        let budget = || Budget::new(usize::MAX, Canceled::default());
        assert_eq!(read(budget().sharing(taken)).unwrap(), 1);
        let taken = ResultMemory { shared, permit: None, taken: 2 * STEP - DATAFLOW_MEMORY - 9 };
        let refused = read(budget().sharing(taken));
        assert!(matches!(refused, Err(Error::ResultMemoryTooLarge { .. })), "{refused:?}");
    }

    #[test]
    fn work_ends_when_the_caller_leaves() {
        let canceled = Canceled::default();
        drop(canceled.on_drop());
        assert!(matches!(read(Budget::new(usize::MAX, canceled)), Err(Error::Canceled)));
    }
}
