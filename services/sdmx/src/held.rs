//! The memory of what waits until all documents have been read, counted while it is filled.

use std::fmt;

/// Answers whether there is memory for so many bytes in all. After a refusal the document must not be read further: what
/// is dropped from then on depends on other calls.
pub type Room = Box<dyn FnMut(usize) -> bool + Send>;

/// Estimated bytes of all that waits.
#[derive(Default)]
pub(crate) struct Held {
    bytes: usize,
    room: Option<Room>,
}

// === impl Held ===

impl Held {
    /// Within what `room` grants, in addition to the limit.
    pub(crate) fn within(room: Room) -> Self {
        Self { bytes: 0, room: Some(room) }
    }

    /// Adds bytes. Returns false, and adds nothing, if there are more than `limit` in all then, or there is no room.
    pub(crate) fn add(&mut self, bytes: usize, limit: usize) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        let fits = bytes <= limit && self.room.as_mut().is_none_or(|room| room(bytes));
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    /// The bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What was added since there were so many bytes does not wait any more.
    pub(crate) fn return_to(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_has_a_limit_and_room() {
        let mut alone = Held::default();
        assert!(alone.add(6, 10) && !alone.add(5, 10) && alone.add(4, 10) && !alone.add(usize::MAX, 10));
        let mut shared = Held::within(Box::new(|bytes| bytes <= 8));
        assert!(shared.add(6, 10) && !shared.add(3, 10) && shared.add(2, 10));
        assert!(!shared.add(1, 10));
    }
}
