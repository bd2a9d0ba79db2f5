//! The queue of push messages between the pub/sub connection and the watch task. It is bounded: a publisher that is
//! faster than this process must not fill its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::PushInfo;
use redis::aio::{AsyncPushSender, SendError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The most messages that wait: far more than arrive while the watch task does something else.
const CAPACITY: usize = 4096;

/// The end at the connection.
pub(super) struct PushSender {
    queue: mpsc::Sender<PushInfo>,
    has_overflowed: Arc<AtomicBool>,
}

/// The end at the watch task.
pub(super) struct Pushes {
    queue: mpsc::Receiver<PushInfo>,
    has_overflowed: Arc<AtomicBool>,
}

/// A queue for one connection.
pub(super) fn queue() -> (PushSender, Pushes) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let has_overflowed = Arc::new(AtomicBool::new(false));
    let pushes = Pushes { queue: receiver, has_overflowed: Arc::clone(&has_overflowed) };
    (PushSender { queue: sender, has_overflowed }, pushes)
}

// === impl PushSender ===

impl AsyncPushSender for PushSender {
    fn send(&self, message: PushInfo) -> Result<(), SendError> {
        match self.queue.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.has_overflowed.store(true, Ordering::Release);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(SendError),
        }
    }
}

// === impl Pushes ===

impl Pushes {
    /// The next message; none once messages were lost, or the connection is closed. Either is a gap.
    pub(super) async fn next(&mut self) -> Option<PushInfo> {
        if self.has_overflowed.load(Ordering::Acquire) {
            return None;
        }
        self.queue.recv().await
    }
}

#[cfg(test)]
mod tests {
    use redis::PushKind;

    use super::*;

    fn message() -> PushInfo {
        PushInfo { kind: PushKind::Message, data: Vec::new() }
    }

    #[tokio::test]
    async fn a_full_queue_ends_as_a_lost_connection_does() {
        let (sender, mut pushes) = queue();
        for _ in 0..CAPACITY {
            sender.send(message()).unwrap();
        }
        assert!(pushes.next().await.is_some());
        sender.send(message()).unwrap();
        sender.send(message()).unwrap();
        assert!(pushes.next().await.is_none());
    }

    #[tokio::test]
    async fn nothing_is_sent_without_a_receiver() {
        let (sender, pushes) = queue();
        drop(pushes);
        assert!(sender.send(message()).is_err());
    }
}
