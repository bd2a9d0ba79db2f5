//! Leases: held by one, until time, a change of the key or the holder ends them.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::entries::{Condition, Outcome};
use futures_util::future::join_all;

use crate::backend::{SPACES, Stores, set, text};
use crate::until;

const HOLD: Duration = Duration::from_secs(60);

pub(crate) async fn a_lease_is_held_by_one(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let acquire =
            |index: usize| if index.is_multiple_of(2) { &ours } else { &theirs }.acquire(&key, HOLD);
        let tokens = join_all((0..32).map(acquire)).await;
        let held = tokens.into_iter().filter_map(Result::unwrap).count();
        assert_eq!(held, 1, "{key}");
        // Another key's lease is another.
        assert!(theirs.acquire(&key.space.key("b"), HOLD).await.unwrap().is_some(), "{key}");
    }
    let [volatile, lasting] = SPACES.map(|space| space.key("c"));
    assert!(ours.acquire(&volatile, HOLD).await.unwrap().is_some());
    assert!(ours.acquire(&lasting, HOLD).await.unwrap().is_some(), "the other space has a c of its own");
}

pub(crate) async fn a_lease_ends_by_itself(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let lost = ours.acquire(&key, Duration::from_millis(50)).await.unwrap().unwrap();
        let mut next = None;
        until("the next one gets the lease", async || {
            next = theirs.acquire(&key, HOLD).await.unwrap();
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

pub(crate) async fn a_change_of_the_key_ends_its_lease(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let hold = async || ours.acquire(&key, HOLD).await.unwrap().unwrap_or_else(|| panic!("{key}: held"));
        let check = async |token, what: &str| {
            let late = ours.set(&key, Bytes::new(), None, Condition::Lease(token)).await.unwrap();
            assert!(matches!(late, Outcome::Refused(_)), "{key}: {what} left the lease: {late:?}");
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
        check(token, "a delete of nothing").await;
        let token = hold().await;
        theirs.set(&key, Bytes::new(), None, Condition::Lease(token)).await.unwrap();
        check(token, "its own set").await;

        // What was refused changed nothing.
        let revision = set(&*theirs, &key, "x").await;
        let token = hold().await;
        let refused = theirs.set(&key, Bytes::new(), None, Condition::Absent).await.unwrap();
        assert_eq!(refused, Outcome::Refused(Some(revision)), "{key}");
        assert_eq!(theirs.acquire(&key, HOLD).await.unwrap(), None, "{key}");
        assert!(ours.release(&key, token).await.unwrap(), "{key}");
    }
}

pub(crate) async fn only_the_holder_gives_back(Stores { ours, theirs, .. }: Stores) {
    for space in SPACES {
        let (key, other) = (space.key("a"), space.key("b"));
        let token = ours.acquire(&key, HOLD).await.unwrap().unwrap();
        let others = theirs.acquire(&other, HOLD).await.unwrap().unwrap();
        assert!(!theirs.release(&key, others).await.unwrap(), "{space:?}");
        assert_eq!(theirs.acquire(&key, HOLD).await.unwrap(), None, "{space:?}");
        // Whoever shows the token is the holder: one process may hand it to another.
        assert!(theirs.release(&key, token).await.unwrap(), "{space:?}");
        assert!(!ours.release(&key, token).await.unwrap(), "{space:?}");
        let next = theirs.acquire(&key, HOLD).await.unwrap();
        assert!(next.is_some_and(|next| next != token), "{space:?}");
    }
}
