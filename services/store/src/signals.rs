//! Publish/subscribe: short messages to all subscribed replicas. Delivery is at most once; a subscriber is notified of
//! every gap, so that no loss goes undetected.

use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::error::Error;

/// The topic of invalidation messages: every change of an entry, lease or generation.
pub const CHANGES: &str = "changes";

/// How many messages a slow subscriber may lag behind before it receives a gap instead.
const BACKLOG: usize = 4096;

/// An item that a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// A published message.
    Message(Bytes),
    /// Any number of messages may be lost.
    Gap,
}

/// Publish and subscribe.
#[async_trait]
pub trait Signals {
    /// Sends a message to all subscribers of the topic, in this replica and in all others. A topic is one word.
    async fn publish(&self, topic: &str, message: Bytes) -> Result<(), Error>;

    /// Subscribes to a topic. Messages published while the connection to the store is down are lost; the subscriber
    /// receives a gap once it is back.
    fn subscribe(&self, topic: &'static str) -> Subscription;
}

/// Receives the messages of one topic.
#[derive(Debug)]
pub struct Subscription {
    topic: &'static str,
    signals: broadcast::Receiver<HubMessage>,
}

/// An invalidation message: one change of one key, as four words under [`CHANGES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The space of the key.
    pub space: String,
    /// The bucket of the key.
    pub bucket: usize,
    /// The key's name.
    pub name: String,
    /// The version counter of the bucket, this change included. A subscriber detects a lost message by a jump.
    pub count: u64,
}

/// The broadcast hub that distributes messages to the subscribers of this process.
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
        // An error means that there are no subscribers.
        let _ = self.sender.send(HubMessage::Message { topic: topic.to_owned(), message });
    }

    /// Notifies every subscriber that messages may be lost.
    pub(crate) fn gap(&self) {
        let _ = self.sender.send(HubMessage::Gap);
    }

    pub(crate) fn subscribe(&self, topic: &'static str) -> Subscription {
        Subscription { topic, signals: self.sender.subscribe() }
    }
}

// === impl Subscription ===

impl Subscription {
    /// Waits for the next message or gap; none once the store is dropped.
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
    /// The message without the count, which the store appends.
    pub(crate) fn prefix(space: &str, bucket: usize, name: &str) -> String {
        format!("{space} {bucket} {name} ")
    }
}

/// A message under [`CHANGES`] is not in this format.
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
    fn a_published_change_parses_to_the_same() {
        let text = format!("{}{}", Change::prefix("cache", 7, "acme:user/a"), 12);
        let change =
            Change { space: "cache".to_owned(), bucket: 7, name: "acme:user/a".to_owned(), count: 12 };
        assert_eq!(text.parse(), Ok(change));
        for text in ["", "cache 7 a", "cache x a 1", "cache 7 a -1"] {
            assert_eq!(text.parse::<Change>(), Err(NotAChange), "{text:?}");
        }
    }

    #[tokio::test]
    async fn subscribers_receive_their_topic_and_every_gap() {
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
