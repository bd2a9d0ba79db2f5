//! The seats of the parsers: how many documents are parsed at once. A parser that waits for its client leaves its seat,
//! so that clients which send slowly do not keep others waiting.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A seat of one parser, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

// === impl Seat ===

impl Seat {
    /// A seat, as soon as there is one.
    pub async fn take(seats: &Arc<Semaphore>) -> Self {
        Self { seats: Arc::clone(seats), permit: Some(acquire(seats).await) }
    }

    /// Waits without the seat, and for a seat again. Call it on blocking threads, never on the runtime's threads.
    pub(crate) fn leave_for<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.permit = None;
        let awaited = wait();
        self.permit = Some(Handle::current().block_on(acquire(&self.seats)));
        awaited
    }
}

async fn acquire(seats: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(seats).acquire_owned().await.expect("the semaphore is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seat_is_free_while_its_parser_waits() {
        let seats = Arc::new(Semaphore::new(1));
        let mut seat = Seat::take(&seats).await;
        assert_eq!(seats.available_permits(), 0);
        let within = Arc::clone(&seats);
        let parser = tokio::task::spawn_blocking(move || {
            let free = seat.leave_for(|| within.available_permits());
            (free, within.available_permits())
        });
        assert_eq!(parser.await.unwrap(), (1, 0));
        assert_eq!(seats.available_permits(), 1);
    }
}
