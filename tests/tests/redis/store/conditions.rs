//! Conditional changes: applied if the condition is true, otherwise rejected with the current revision.

use std::time::Duration;

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::Key;
use dataflow_store::leases::Token;
use dataflow_store::revision::Revision;
use futures_util::future::join_all;

use super::backend::{SPACES, Stores, acquire, get, set, text};

const HOLD: Duration = Duration::from_secs(60);

/// Three conditions that are false for this key, which has no lease.
async fn false_conditions(store: &dyn Store, key: &Key) -> [Condition; 3] {
    let (old, gone) = (stale_revision(store, key).await, stale_token(store, key).await);
    let absent = if get(store, key).await.is_some() { Condition::Absent } else { Condition::Revision(old) };
    [absent, Condition::Revision(old), Condition::Lease(gone)]
}

/// A revision of another key.
async fn stale_revision(store: &dyn Store, key: &Key) -> Revision {
    set(store, &key.space.key("another"), "x").await
}

/// A released lease of the key.
async fn stale_token(store: &dyn Store, key: &Key) -> Token {
    let token = acquire(store, key, HOLD).await.unwrap();
    assert!(store.release(key, token).await.unwrap(), "{key}");
    token
}

pub(crate) async fn a_set_is_applied_only_if_its_condition_is_true(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let put = async |value: &'static str, condition| {
            ours.set(&key, Bytes::from_static(value.as_bytes()), None, condition).await.unwrap()
        };
        for condition in false_conditions(&*theirs, &key).await {
            assert_eq!(put("none", condition).await, Outcome::Refused(None), "{key}: {condition:?}");
        }
        assert_eq!(get(&*theirs, &key).await, None, "{key}");

        let Outcome::Done(first) = put("first", Condition::Absent).await else { panic!("{key}: not absent") };
        for condition in false_conditions(&*theirs, &key).await {
            assert_eq!(put("none", condition).await, Outcome::Refused(Some(first)), "{key}: {condition:?}");
        }
        assert_eq!(text(&*theirs, &key).await.as_deref(), Some("first"), "{key}");

        let by_revision = put("second", Condition::Revision(first)).await;
        let Outcome::Done(second) = by_revision else { panic!("{key}: {by_revision:?}") };
        assert_eq!(put("none", Condition::Revision(first)).await, Outcome::Refused(Some(second)), "{key}");
        let token = acquire(&*theirs, &key, HOLD).await.unwrap();
        let by_lease = put("third", Condition::Lease(token)).await;
        assert!(matches!(by_lease, Outcome::Done(_)), "{key}: {by_lease:?}");
        assert_eq!(text(&*theirs, &key).await.as_deref(), Some("third"), "{key}");
    }
}

pub(crate) async fn a_delete_is_applied_only_if_its_condition_is_true(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let delete = async |condition| ours.delete(&key, condition).await.unwrap();
        for condition in false_conditions(&*theirs, &key).await {
            assert_eq!(delete(condition).await, Outcome::Refused(None), "{key}: {condition:?}");
        }
        // The key is absent, as expected.
        assert_eq!(delete(Condition::Absent).await, Outcome::Done(false), "{key}");

        let revision = set(&*theirs, &key, "x").await;
        for condition in false_conditions(&*theirs, &key).await {
            assert_eq!(delete(condition).await, Outcome::Refused(Some(revision)), "{key}: {condition:?}");
        }
        assert_eq!(get(&*theirs, &key).await.unwrap().revision, revision, "{key}");
        assert_eq!(delete(Condition::Revision(revision)).await, Outcome::Done(true), "{key}");
        assert_eq!(delete(Condition::Revision(revision)).await, Outcome::Refused(None), "{key}");

        set(&*theirs, &key, "x").await;
        let token = acquire(&*theirs, &key, HOLD).await.unwrap();
        assert_eq!(delete(Condition::Lease(token)).await, Outcome::Done(true), "{key}");
        let token = acquire(&*theirs, &key, HOLD).await.unwrap();
        assert_eq!(delete(Condition::Lease(token)).await, Outcome::Done(false), "{key}");
        assert_eq!(get(&*theirs, &key).await, None, "{key}");
    }
}

pub(crate) async fn a_revision_is_never_reused(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let mut seen = Vec::new();
        for round in 0..20 {
            let revision = set(&*ours, &key, "the same").await;
            assert!(!seen.contains(&revision), "{key}: {revision} again in round {round}");
            seen.push(revision);
            assert_eq!(ours.delete(&key, Condition::Revision(revision)).await.unwrap(), Outcome::Done(true));
            // A writer that read before the delete does not overwrite the newer value.
            let late = theirs.set(&key, Bytes::new(), None, Condition::Revision(revision)).await.unwrap();
            assert_eq!(late, Outcome::Refused(None), "{key}");
        }
    }
}

pub(crate) async fn one_of_many_concurrent_writers_wins(Stores { ours, theirs, .. }: Stores) {
    for key in SPACES.map(|space| space.key("a")) {
        let race = async |condition: Condition| {
            let write = async |index: usize| {
                let store = if index.is_multiple_of(2) { &ours } else { &theirs };
                let outcome = store.set(&key, index.to_string().into(), None, condition).await.unwrap();
                (index, outcome)
            };
            let outcomes = join_all((0..16).map(write)).await;
            let won = |(index, outcome)| match outcome {
                Outcome::Done(revision) => Some((index, revision)),
                Outcome::Refused(_) => None,
            };
            let won: Vec<(usize, Revision)> = outcomes.iter().copied().filter_map(won).collect();
            let [(winner, revision)] = won[..] else { panic!("{key}: {} won", won.len()) };
            for (_, outcome) in outcomes.into_iter().filter(|(index, _)| *index != winner) {
                assert_eq!(outcome, Outcome::Refused(Some(revision)), "{key}");
            }
            assert_eq!(text(&*ours, &key).await, Some(winner.to_string()), "{key}");
            revision
        };
        let first = race(Condition::Absent).await;
        race(Condition::Revision(first)).await;
    }
}
