//! Leases: one holder, until expiry, a change of the key, or release.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::leases::Token;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use futures_util::future::join_all;

use super::backend::{SPACES, Stores, acquire, set, text};

const HOLD: Duration = Duration::from_secs(60);

pub(crate) async fn a_lease_has_one_holder(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let ask = |index: usize| acquire(if index.is_multiple_of(2) { &*ours } else { &*theirs }, &key, HOLD);
        let tokens = join_all((0..32).map(ask)).await;
        assert_eq!(tokens.into_iter().flatten().count(), 1, "{key}");
        // Another key has a separate lease.
        assert!(acquire(&*theirs, &key.space.key("b"), HOLD).await.is_some(), "{key}");
    }
    let [volatile, lasting] = SPACES.map(|space| space.key("c"));
    assert!(acquire(&*ours, &volatile, HOLD).await.is_some());
    assert!(acquire(&*ours, &lasting, HOLD).await.is_some(), "the other space has a separate key");
}

pub(crate) async fn acquiring_again_with_the_same_token_succeeds(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let token = Token::random();
        assert!(ours.acquire(&key, token, HOLD).await.unwrap(), "{key}");
        assert!(theirs.acquire(&key, token, HOLD).await.unwrap(), "{key}: as if the reply had been lost");
        assert_eq!(acquire(&*theirs, &key, HOLD).await, None, "{key}");
        assert!(ours.release(&key, token).await.unwrap(), "{key}");
        assert!(acquire(&*theirs, &key, HOLD).await.is_some(), "{key}");
        assert!(!ours.acquire(&key, token, HOLD).await.unwrap(), "{key}: another holder has it");
    }
}

pub(crate) async fn a_lease_expires(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let lost = acquire(&*ours, &key, Duration::from_millis(50)).await.unwrap();
        let mut next = None;
        eventually(TIMEOUT, "the next caller gets the lease", async || {
            next = acquire(&*theirs, &key, HOLD).await;
            next.is_some()
        })
        .await;
        let late = ours.set(&key, Bytes::from_static(b"late"), None, Condition::Lease(lost)).await.unwrap();
        assert_eq!(late, Outcome::Refused(None), "{key}");
        assert!(!ours.release(&key, lost).await.unwrap(), "{key}");
        let condition = Condition::Lease(next.unwrap());
        let done = theirs.set(&key, Bytes::from_static(b"next"), None, condition).await.unwrap();
        assert!(matches!(done, Outcome::Done(_)), "{key}: {done:?}");
        assert_eq!(text(&*ours, &key).await.as_deref(), Some("next"), "{key}");
    }
}

pub(crate) async fn a_change_of_the_key_revokes_its_lease(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let hold = async || acquire(&*ours, &key, HOLD).await.unwrap_or_else(|| panic!("{key}: held"));
        let check = async |token, what: &str| {
            let late = ours.set(&key, Bytes::new(), None, Condition::Lease(token)).await.unwrap();
            assert!(matches!(late, Outcome::Refused(_)), "{key}: {what} did not revoke the lease: {late:?}");
            assert!(!ours.release(&key, token).await.unwrap(), "{key}: {what}");
        };
        let token = hold().await;
        set(&*theirs, &key, "x").await;
        check(token, "a set").await;
        let token = hold().await;
        theirs.delete(&key, Condition::Always).await.unwrap();
        check(token, "a delete").await;
        let token = hold().await;
        theirs.delete(&key, Condition::Always).await.unwrap();
        check(token, "a delete of an absent key").await;
        let token = hold().await;
        theirs.set(&key, Bytes::new(), None, Condition::Lease(token)).await.unwrap();
        check(token, "a set of the holder").await;

        // Rejected changes changed nothing.
        let revision = set(&*theirs, &key, "x").await;
        let token = hold().await;
        let refused = theirs.set(&key, Bytes::new(), None, Condition::Absent).await.unwrap();
        assert_eq!(refused, Outcome::Refused(Some(revision)), "{key}");
        assert_eq!(acquire(&*theirs, &key, HOLD).await, None, "{key}");
        assert!(ours.release(&key, token).await.unwrap(), "{key}");
    }
}

pub(crate) async fn only_the_holder_releases(Stores { ours, theirs, .. }: Stores) {
    for space in SPACES {
        let (key, other) = (space.key("a"), space.key("b"));
        let token = acquire(&*ours, &key, HOLD).await.unwrap();
        let others = acquire(&*theirs, &other, HOLD).await.unwrap();
        assert!(!theirs.release(&key, others).await.unwrap(), "{space:?}");
        assert_eq!(acquire(&*theirs, &key, HOLD).await, None, "{space:?}");
        // The token identifies the holder: one process may pass it to another.
        assert!(theirs.release(&key, token).await.unwrap(), "{space:?}");
        assert!(!ours.release(&key, token).await.unwrap(), "{space:?}");
        let next = acquire(&*theirs, &key, HOLD).await;
        assert!(next.is_some_and(|next| next != token), "{space:?}");
    }
}
