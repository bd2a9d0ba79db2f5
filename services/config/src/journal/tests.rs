//! Several replicas with one log: all apply every change once, in the same order, whichever replica made it.

use dataflow_rules::file;
use dataflow_rules::{Rule, RuleSet};
use dataflow_store::embedded::Embedded;
use dataflow_store::logs::Logs;

use super::*;
use crate::built_in;
use crate::key::{Key, MAX_KEYS, MAX_TENANT_KEYS};

mod compaction;
mod lost;
mod tenants;
mod themes;

const SET: &str =
    "ruleset: default\nmode: WORDS\nrules:\n  - ruleId: a\n    category: HEALTH\n    keywords: [health]\n";

const MAX_BYTES: u64 = 1 << 20;

fn seeds() -> Vec<Change> {
    vec![Change::RulesetSeeded(file::parse(SET).unwrap())]
}

fn store() -> Arc<Embedded> {
    Arc::new(Embedded::new(1 << 20))
}

/// A replica that has read the log.
async fn replica(store: &Arc<Embedded>) -> Journal {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let journal = Journal::new(store, seeds(), MAX_BYTES).unwrap();
    journal.open().await.unwrap();
    journal
}

fn rule(id: &str, keyword: &str) -> Rule {
    let text = SET.replace("ruleId: a", &format!("ruleId: {id}")).replace("health]", &format!("{keyword}]"));
    file::parse(&text).unwrap().rules.remove(0)
}

async fn put(journal: &Journal, rule: Rule) -> Result<Arc<State>, Error> {
    let ruleset = "default".to_owned();
    let change = Change::RulePut { ruleset, rule };
    journal.change(Origin::default(), |_| Ok(Some(change.clone()))).await
}

fn keywords(state: &State) -> Vec<(String, String)> {
    let rules = &state.rulesets["default"].set.rules;
    rules.iter().map(|rule| (rule.id.clone(), rule.keywords.join(" "))).collect()
}

#[tokio::test]
async fn an_empty_store_is_seeded_once() {
    let store = store();
    let (one, other) = tokio::join!(replica(&store), replica(&store));
    for journal in [&one, &other] {
        let state = journal.state();
        assert_eq!((state.position, state.rulesets["default"].set.revision), (1, 1));
    }
    let entries = one.page(0, 10).await.unwrap().entries;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].record.origin.author, crate::change::SYSTEM);
}

#[tokio::test]
async fn all_seeds_are_in_the_journal() {
    let store: Arc<dyn Store> = store();
    let seeds = built_in::seeds(dataflow_rules::built_in::rulesets());
    let journal = || Journal::new(Arc::clone(&store), seeds.clone(), MAX_BYTES).unwrap();
    let first = journal();
    let removed = Change::RuleRemoved { ruleset: "legacy".to_owned(), rule_id: "pop_rule".to_owned() };
    first.change(Origin::default(), |_| Ok(Some(removed.clone()))).await.unwrap();
    let second = journal();
    second.open().await.unwrap();
    for state in [first.state(), second.state()] {
        let legacy = &state.rulesets["legacy"];
        assert_eq!((legacy.set.revision, legacy.item("pop_rule").is_none()), (2, true));
        assert_eq!(state.position, seeds.len() as u64 + 1);
    }
}

#[tokio::test]
async fn the_seeds_are_served_until_the_log_is_read() {
    let journal = Journal::new(store(), seeds(), MAX_BYTES).unwrap();
    assert_eq!(journal.state().rulesets["default"].set.revision, 0);
    assert_eq!(keywords(&journal.state()), [("a".to_owned(), "health".to_owned())]);
}

#[tokio::test]
async fn the_seeds_are_written_before_the_first_change() {
    let store = store();
    let journal = Journal::new(Arc::clone(&store) as Arc<dyn Store>, seeds(), MAX_BYTES).unwrap();
    assert_eq!(put(&journal, rule("b", "x")).await.unwrap().position, 2);
    assert_eq!(keywords(&replica(&store).await.state()).len(), 2);
}

#[tokio::test]
async fn concurrent_changes_of_replicas_converge() {
    let store = store();
    let journals = [replica(&store).await, replica(&store).await, replica(&store).await];
    let puts = (0..30).map(|index| {
        let journal = &journals[index % 3];
        async move { put(journal, rule(&format!("r{index}"), "care")).await.unwrap() }
    });
    futures_util::future::join_all(puts).await;
    for journal in &journals {
        journal.catch_up().await.unwrap();
        let state = journal.state();
        assert_eq!((state.position, state.rulesets["default"].set.revision), (31, 31));
        assert_eq!(keywords(&state), keywords(&journals[0].state()));
        assert_eq!(state.rulesets["default"].history.revisions.len(), 31);
    }
}

#[tokio::test]
async fn a_change_based_on_an_old_state_is_decided_again() {
    let store = store();
    let (ours, theirs) = (replica(&store).await, replica(&store).await);
    put(&theirs, rule("a", "care")).await.unwrap();
    // Our replica has not read that change, and must do so before it makes its own.
    let mut seen = Vec::new();
    let seen_by = std::sync::Mutex::new(&mut seen);
    let decided = ours.change(Origin::default(), |state| {
        seen_by.lock().unwrap().push(state.position);
        let known = state.rulesets["default"].item("a").map(|(rule, _)| rule.keywords[0].clone());
        if known.as_deref() == Some("care") {
            Ok(None)
        } else {
            Ok(Some(Change::RulePut { ruleset: "default".to_owned(), rule: rule("a", "mine") }))
        }
    });
    assert_eq!(keywords(&decided.await.unwrap()), [("a".to_owned(), "care".to_owned())]);
    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_change_that_makes_a_set_invalid_is_rejected() {
    let store = store();
    let journal = replica(&store).await;
    let rejected = put(&journal, Rule { keywords: Vec::new(), ..rule("b", "x") }).await;
    assert!(matches!(rejected, Err(Error::RulesetInvalid { field, .. }) if field == "rules[1].keywords"));
    assert_eq!(journal.page(0, 10).await.unwrap().entries.len(), 1);
    assert_eq!(journal.state().position, 1);
}

#[tokio::test]
async fn a_rollback_makes_a_new_revision() {
    let store = store();
    let journal = replica(&store).await;
    put(&journal, rule("a", "care")).await.unwrap();
    put(&journal, rule("b", "ill")).await.unwrap();
    let earlier = journal.ruleset_at("default", 1).await.unwrap();
    let back =
        journal.change(Origin::default(), |_| Ok(Some(Change::RolledBack(earlier.clone())))).await.unwrap();
    assert_eq!(keywords(&back), [("a".to_owned(), "health".to_owned())]);
    let ruleset = &back.rulesets["default"];
    assert_eq!(ruleset.set.revision, 4);
    assert_eq!(ruleset.history.revisions[3].differences.len(), 2, "a was changed, b removed");
    assert_eq!((ruleset.history.revision_at(3), ruleset.history.revision_at(9)), (Some(3), None));
    for revision in [0, 5] {
        assert!(matches!(journal.ruleset_at("default", revision).await, Err(Error::RevisionNotFound { .. })));
    }
    let another = replica(&store).await;
    assert_eq!(keywords(&another.state()), keywords(&back));
    assert_eq!(another.ruleset_at("default", 3).await.unwrap().rules.len(), 2);
}

#[tokio::test]
async fn a_removed_provider_is_not_seeded_again() {
    let store = store();
    let journal = Journal::new(Arc::clone(&store) as Arc<dyn Store>, built_in::seeds([]), MAX_BYTES).unwrap();
    let provider_id = "IT1".to_owned();
    journal
        .change(Origin::default(), |_| Ok(Some(Change::ProviderRemoved { provider_id: provider_id.clone() })))
        .await
        .unwrap();
    let next = Journal::new(store, built_in::seeds([]), MAX_BYTES).unwrap();
    next.open().await.unwrap();
    assert!(!next.state().providers.contains_key("IT1"));
    assert_eq!(next.state().providers.len(), 8);
}

#[test]
fn the_number_of_keys_is_limited_and_a_revoked_one_makes_room() {
    let key = |index: usize, tenant: &str| Key {
        key_id: format!("k-{index}"),
        display_name: "x".to_owned(),
        scope: dataflow_mesh::access::Scope::Read,
        tenant: tenant.to_owned(),
        expires: None,
        rate: None,
        creator: String::new(),
        digest: [0; 32],
    };
    let mut state = State::default();
    let mut apply = |change: Change| {
        let origin = Origin::default();
        state.apply(&ChangeRecord { change: change.clone(), origin, time: SystemTime::now() }).unwrap();
        state.validate(&change)
    };
    for index in 0..MAX_TENANT_KEYS {
        apply(Change::KeyCreated(key(index, "acme"))).unwrap();
    }
    let limit_of = |outcome| match outcome {
        Err(Error::TooManyKeys { owner, limit }) => (owner, limit),
        other => panic!("{other:?}"),
    };
    let excess = apply(Change::KeyCreated(key(MAX_KEYS, "acme")));
    assert_eq!(limit_of(excess), ("the tenant", MAX_TENANT_KEYS));
    // The journal drops a state that is not valid; here the excess is still in it.
    for index in [MAX_KEYS, 0] {
        apply(Change::KeyRevoked { key_id: key(index, "").key_id, tenant: String::new() }).unwrap();
    }
    apply(Change::KeyCreated(key(0, "acme"))).unwrap();

    for index in MAX_TENANT_KEYS..MAX_KEYS {
        apply(Change::KeyCreated(key(index, ""))).unwrap();
    }
    for tenant in ["", "other"] {
        let excess = apply(Change::KeyCreated(key(MAX_KEYS, tenant)));
        assert_eq!(limit_of(excess), ("the mesh", MAX_KEYS));
    }
    for index in [MAX_KEYS, 1] {
        apply(Change::KeyRevoked { key_id: key(index, "").key_id, tenant: String::new() }).unwrap();
    }
    apply(Change::KeyCreated(key(1, ""))).unwrap();
}

#[tokio::test]
async fn nothing_is_appended_after_a_record_of_a_later_release() {
    let store = store();
    let journal = replica(&store).await;
    let later = b"\x08\x08".as_slice();
    store.append(&SPACE.key(LOG), "later", later.into()).await.unwrap();
    assert!(matches!(put(&journal, rule("b", "x")).await, Err(Error::ReleaseOutdated)));
    assert_eq!(keywords(&journal.state()).len(), 1, "the state read before is served");
}

#[tokio::test]
async fn an_unreadable_record_is_skipped_and_its_position_counts() {
    let store = store();
    let journal = replica(&store).await;
    for (id, record) in [("garbage", &b"\xff\xff"[..]), ("unknown", b"\x08\x01")] {
        store.append(&SPACE.key(LOG), id, record.into()).await.unwrap();
    }
    assert_eq!(put(&journal, rule("b", "x")).await.unwrap().position, 4);
    assert_eq!(replica(&store).await.state().position, 4);
    let positions: Vec<_> =
        journal.page(0, 10).await.unwrap().entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, [1, 4]);
}
