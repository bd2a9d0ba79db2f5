//! Short messages to every replica that listens now. They may be lost, but never unnoticed: whoever listens is told of
//! each gap.

use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::error::Error;

/// The topic under which every change of an entry, lease or generation is told.
pub const CHANGES: &str = "changes";

/// How many signals a slow listener may lag behind before it is told of a gap instead.
const BACKLOG: usize = 4096;

/// What a listener receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody published this.
    Message(Bytes),
    /// Any number of messages may have been missed.
    Gap,
}

/// Publish and subscribe.
#[async_trait]
pub trait Signals {
    /// Sends to whoever listens to the topic, here and in every other replica. A topic is one word.
    async fn publish(&self, topic: &str, message: Bytes) -> Result<(), Error>;

    /// Listens from now on. While nothing reaches us from the store, what is published there is lost, and told as a gap
    /// when it is back.
    fn subscribe(&self, topic: &'static str) -> Subscription;
}

/// Receives the signals of one topic.
#[derive(Debug)]
pub struct Subscription {
    topic: &'static str,
    signals: broadcast::Receiver<HubMessage>,
}

/// One change of one key, as [`CHANGES`] tells it: four words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The space of the key.
    pub space: String,
    /// The bucket of the key.
    pub bucket: usize,
    /// The key's name.
    pub name: String,
    /// How many changes the bucket has seen, this one included: whoever counts along notices what is missing.
    pub count: u64,
}

/// Hands signals to the listeners of this process.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    sender: broadcast::Sender<HubMessage>,
}

#[derive(Debug, Clone)]
enum HubMessage {
    Message { topic: String, message: Bytes },
    Gap,
}

// === impl Hub ===

impl Hub {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(BACKLOG) }
    }

    pub(crate) fn send(&self, topic: &str, message: Bytes) {
        // Nobody may listen.
        let _ = self.sender.send(HubMessage::Message { topic: topic.to_owned(), message });
    }

    /// Tells every listener that it may have missed something.
    pub(crate) fn gap(&self) {
        let _ = self.sender.send(HubMessage::Gap);
    }

    pub(crate) fn subscribe(&self, topic: &'static str) -> Subscription {
        Subscription { topic, signals: self.sender.subscribe() }
    }
}

// === impl Subscription ===

impl Subscription {
    /// The next signal; none when the store is gone.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            match self.signals.recv().await {
                Ok(HubMessage::Message { topic, message }) if topic == self.topic => {
                    return Some(Signal::Message(message));
                }
                Ok(HubMessage::Message { .. }) => {}
                Ok(HubMessage::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Some(Signal::Gap);
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

// === impl Change ===

impl Change {
    /// The words before the count, which the store adds.
    pub(crate) fn prefix(space: &str, bucket: usize, name: &str) -> String {
        format!("{space} {bucket} {name} ")
    }
}

/// A message under [`CHANGES`] that no release of ours wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a change: expected SPACE BUCKET NAME COUNT")]
pub struct NotAChange;

impl FromStr for Change {
    type Err = NotAChange;

    fn from_str(text: &str) -> Result<Self, NotAChange> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NotAChange);
        let (space, bucket, name, count) = (word()?, word()?, word()?, word()?);
        Ok(Self {
            space: space.to_owned(),
            bucket: bucket.parse().map_err(|_| NotAChange)?,
            name: name.to_owned(),
            count: count.parse().map_err(|_| NotAChange)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_as_it_was_announced() {
        let text = format!("{}{}", Change::prefix("cache", 7, "acme:user/a"), 12);
        let change =
            Change { space: "cache".to_owned(), bucket: 7, name: "acme:user/a".to_owned(), count: 12 };
        assert_eq!(text.parse(), Ok(change));
        for text in ["", "cache 7 a", "cache x a 1", "cache 7 a -1"] {
            assert_eq!(text.parse::<Change>(), Err(NotAChange), "{text:?}");
        }
    }

    #[tokio::test]
    async fn listeners_hear_their_topic_and_of_gaps() {
        let hub = Hub::new();
        let (mut a, mut b) = (hub.subscribe("a"), hub.subscribe("b"));
        hub.send("a", Bytes::from_static(b"1"));
        hub.gap();
        hub.send("b", Bytes::from_static(b"2"));
        assert_eq!(a.next().await, Some(Signal::Message(Bytes::from_static(b"1"))));
        assert_eq!(a.next().await, Some(Signal::Gap));
        assert_eq!(b.next().await, Some(Signal::Gap));
        assert_eq!(b.next().await, Some(Signal::Message(Bytes::from_static(b"2"))));
        for _ in 0..=BACKLOG {
            hub.send("b", Bytes::new());
        }
        assert_eq!(a.next().await, Some(Signal::Gap), "it lagged");
        drop(hub);
        assert_eq!(b.next().await, Some(Signal::Gap));
    }
}
