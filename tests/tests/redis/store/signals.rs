//! Messages: published ones reach all subscribers, and version counters count all changes.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::signals::{CHANGES, Change, Signal, Subscription};
use dataflow_tests::eventually::TIMEOUT;

use super::backend::{SPACES, Stores, acquire, set};

/// The greeting that is published until the subscription receives it.
const HELLO: Bytes = Bytes::from_static(b"hello");

/// The next message except greetings; a gap is a failure.
pub(crate) async fn message(heard: &mut Subscription) -> Bytes {
    loop {
        match tokio::time::timeout(TIMEOUT, heard.next()).await {
            Ok(Some(Signal::Message(message))) if message == HELLO => {}
            Ok(Some(Signal::Message(message))) => return message,
            other => panic!("no message: {other:?}"),
        }
    }
}

/// Publishes greetings until the first one is received: a handle is subscribed some time after it was opened.
pub(crate) async fn until_heard(speaker: &dyn Store, topic: &str, heard: &mut Subscription) {
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    let hearing = async {
        loop {
            tokio::select! {
                signal = heard.next() => match signal.unwrap() {
                    Signal::Message(message) if message == HELLO => return,
                    Signal::Message(_) | Signal::Gap => {}
                },
                // Publishing may fail while Redis restarts.
                _ = pause.tick() => drop(speaker.publish(topic, HELLO).await),
            }
        }
    };
    tokio::time::timeout(TIMEOUT, hearing).await.expect("no message is received");
}

pub(crate) async fn a_message_reaches_every_handle(Stores { ours, theirs, .. }: Stores) {
    let mut here = ours.subscribe("topic");
    let (mut there, mut again) = (theirs.subscribe("topic"), theirs.subscribe("topic"));
    let mut other = theirs.subscribe("topics");
    for heard in [&mut here, &mut there, &mut again] {
        until_heard(&*ours, "topic", heard).await;
    }
    let every_byte = Bytes::from_iter(0..=u8::MAX);
    let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
    let messages = [every_byte, Bytes::new(), megabyte, Bytes::from_static(b"a\nb")];
    for message in &messages {
        ours.publish("topic", message.clone()).await.unwrap();
    }
    ours.publish("topics", Bytes::from_static(b"other")).await.unwrap();
    for heard in [&mut here, &mut there, &mut again] {
        for expected in &messages {
            let message = message(heard).await;
            assert!(message == expected, "{} other bytes", message.len());
        }
    }
    // It receives only messages of its topic; gaps for new subscriptions are sent to all.
    let mut signals = Vec::new();
    while !matches!(signals.last(), Some(Some(Signal::Message(_)))) {
        signals.push(tokio::time::timeout(TIMEOUT, other.next()).await.unwrap());
    }
    assert_eq!(signals.pop(), Some(Some(Signal::Message(Bytes::from_static(b"other")))));
}

pub(crate) async fn changes_are_published_and_counted(Stores { ours, theirs, .. }: Stores) {
    let mut heard = theirs.subscribe(CHANGES);
    until_heard(&*ours, CHANGES, &mut heard).await;
    let minute = Duration::from_secs(60);
    for key in SPACES.map(|space| space.key("acme:user/a")) {
        let mut last = None;
        let mut published = async |what: &str| {
            let change: Change =
                String::from_utf8(message(&mut heard).await.into()).unwrap().parse().unwrap();
            let Change { space, bucket, name, count } = change;
            let expected = (key.space.name, key.bucket(), key.name.as_str());
            assert_eq!((space.as_str(), bucket, name.as_str()), expected, "{what}");
            assert!(last.is_none_or(|last| count == last + 1), "{what}: {count} after {last:?}");
            last = Some(count);
        };
        let revision = set(&*ours, &key, "x").await;
        published("a set").await;
        // Neither a rejected change nor a new lease is a change.
        let refused = ours.set(&key, Bytes::new(), None, Condition::Absent).await.unwrap();
        assert_eq!(refused, Outcome::Refused(Some(revision)));
        let token = acquire(&*ours, &key, minute).await.unwrap();
        assert!(ours.release(&key, token).await.unwrap());
        published("a release").await;
        assert!(!ours.release(&key, token).await.unwrap());
        ours.generations(std::slice::from_ref(&key)).await.unwrap();
        ours.renew(&key).await.unwrap();
        published("a renewal").await;
        ours.delete(&key, Condition::Always).await.unwrap();
        published("a delete").await;
        ours.delete(&key, Condition::Always).await.unwrap();
        published("a delete of an absent key").await;
        theirs.set(&key, Bytes::new(), Some(minute), Condition::Absent).await.unwrap();
        published("another's set").await;
    }
}
