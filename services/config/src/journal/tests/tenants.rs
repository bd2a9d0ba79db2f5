//! What tenants change for themselves: it is theirs alone, it outlives changes of what is shared, and it is stored so
//! that earlier releases stop before it.

use std::collections::BTreeSet;

use dataflow_rules::Overlay;

use super::*;
use crate::change::TenantChange;
use crate::flag::{Flag, Rollout};
use crate::provider::Provider;
use crate::state::{MAX_CHANGED_PROVIDERS, MAX_CHANGED_RULES, MAX_TENANT_BYTES, Owner, RulesetView};

/// The rules that a tenant has, each as its identifier, its keywords, and `*` if it is its own.
fn seen(state: &State, tenant: &str) -> String {
    let set: RulesetView<'_> = state.ruleset_of(tenant, "default").unwrap();
    let shown = |seen: &crate::state::RuleView<'_>| {
        let own = if seen.owner == Some(Owner::Tenant) { "*" } else { "" };
        format!("{}={}{own}", seen.item.id, seen.item.keywords.join("+"))
    };
    set.items().iter().map(shown).collect::<Vec<_>>().join(" ")
}

async fn make(journal: &Journal, change: Change) -> Result<Arc<State>, Error> {
    journal.change(Origin::default(), |_| Ok(Some(change.clone()))).await
}

fn put_by(tenant: &str, rule: Rule) -> Change {
    Change::rule_put(tenant, "default", rule)
}

fn restore(tenant: &str, rule: &str) -> Change {
    TenantChange::RuleRestored { ruleset: "default".to_owned(), rule_id: rule.to_owned() }.of(tenant)
}

fn remove(tenant: &str, rule: &str) -> Change {
    Change::rule_removed(tenant, "default", rule)
}

#[tokio::test]
async fn a_tenant_changes_rules_for_itself_alone() {
    let journal = replica(&store()).await;
    let check = async |change: Change, shared: &str, acme: &str| {
        let state = make(&journal, change).await.unwrap();
        assert_eq!((seen(&state, ""), seen(&state, "acme")), (shared.to_owned(), acme.to_owned()));
        assert_eq!(seen(&state, "other"), shared, "a tenant without changes has the shared rules");
        let set = state.ruleset_of("acme", "default").unwrap().set().into_owned();
        assert_eq!(set.rules.len(), acme.split_whitespace().count());
    };
    check(put_by("", rule("b", "two")), "a=health b=two", "a=health b=two").await;
    check(put_by("acme", rule("b", "own")), "a=health b=two", "a=health b=own*").await;
    // A replacement outlives later changes of the shared rule, its removal and its return.
    check(put_by("", rule("b", "three")), "a=health b=three", "a=health b=own*").await;
    check(remove("", "b"), "a=health", "a=health b=own*").await;
    check(put_by("", rule("b", "four")), "a=health b=four", "a=health b=own*").await;
    check(put_by("acme", rule("c", "added")), "a=health b=four", "a=health b=own* c=added*").await;
    check(remove("acme", "a"), "a=health b=four", "b=own* c=added*").await;
    check(put_by("", rule("a", "five")), "a=five b=four", "b=own* c=added*").await;
    check(restore("acme", "a"), "a=five b=four", "a=five b=own* c=added*").await;
    // The removal of a replacement removes the shared rule too; the return of one needs no tombstone.
    check(remove("acme", "b"), "a=five b=four", "a=five c=added*").await;
    check(put_by("acme", rule("b", "again")), "a=five b=four", "a=five b=again* c=added*").await;
    check(restore("acme", "b"), "a=five b=four", "a=five b=four c=added*").await;
    check(remove("acme", "c"), "a=five b=four", "a=five b=four").await;
    let state = journal.state();
    let changes = state.ruleset_of("acme", "default").unwrap();
    assert!(changes.changes().is_none(), "nothing is left of them");
    assert_eq!(changes.revisions().1, 8);
    let shown: Vec<_> =
        changes.history().unwrap().revisions.iter().map(|made| made.differences.len()).collect();
    assert_eq!(shown, [1; 8]);
}

#[tokio::test]
async fn versions_are_those_of_the_rule_that_is_seen() {
    let journal = replica(&store()).await;
    let etag = |state: &State, tenant: &str| {
        state.ruleset_of(tenant, "default").unwrap().item("a").map(|seen| seen.etag())
    };
    let shared = etag(&journal.state(), "").unwrap();
    assert_eq!(etag(&journal.state(), "acme").unwrap(), shared);
    let state = make(&journal, put_by("acme", rule("a", "own"))).await.unwrap();
    let own = etag(&state, "acme").unwrap();
    assert_ne!(own, shared);
    assert_eq!(etag(&state, "").unwrap(), shared);
    let state = make(&journal, put_by("", rule("a", "shared"))).await.unwrap();
    assert_eq!(etag(&state, "acme").unwrap(), own);
    let state = make(&journal, remove("acme", "a")).await.unwrap();
    assert_eq!(etag(&state, "acme"), None);
    let state = make(&journal, restore("acme", "a")).await.unwrap();
    assert_eq!(etag(&state, "acme"), etag(&state, ""));
}

#[tokio::test]
async fn a_tenant_rolls_its_changes_back() {
    let journal = replica(&store()).await;
    make(&journal, put_by("acme", rule("b", "one"))).await.unwrap();
    make(&journal, put_by("", rule("c", "shared"))).await.unwrap();
    make(&journal, remove("acme", "a")).await.unwrap();
    let earlier = journal.overlay_at("acme", "default", 1).await.unwrap();
    let expected = Overlay { own: vec![rule("b", "one")], removed: BTreeSet::new() };
    assert_eq!(*earlier, expected);
    let back = TenantChange::RolledBack { ruleset: "default".to_owned(), overlay: earlier };
    let state = make(&journal, back.of("acme")).await.unwrap();
    assert_eq!(seen(&state, "acme"), "a=health c=shared b=one*");
    assert!(journal.overlay_at("acme", "default", 0).await.unwrap().is_empty());
    for (tenant, revision) in [("acme", 4), ("other", 1)] {
        let missing = journal.overlay_at(tenant, "default", revision).await;
        assert!(matches!(missing, Err(Error::RevisionNotFound { .. })), "{tenant} {revision}");
    }
}

#[tokio::test]
async fn all_of_it_survives_a_compaction() {
    let store = store();
    let journal = replica(&store).await;
    let provider = Provider { provider_id: "OWN".to_owned(), ..built_in::providers().remove(0) };
    let flag = Flag {
        flag_id: "legacy-rules".to_owned(),
        rollout: Rollout::Percentage(25),
        tenants: [("acme".to_owned(), true)].into(),
    };
    make(&journal, put_by("acme", rule("b", "own"))).await.unwrap();
    make(&journal, remove("acme", "a")).await.unwrap();
    make(&journal, Change::provider_put("acme", provider.clone())).await.unwrap();
    make(&journal, Change::provider_put("", provider)).await.unwrap();
    make(&journal, Change::provider_removed("other", "OWN")).await.unwrap();
    make(&journal, Change::FlagPut(flag)).await.unwrap();
    let before = journal.state();
    journal.append_snapshot().await.unwrap();
    compaction::change_until_compacted(&journal, &store, 1).await;
    let late = replica(&store).await;
    assert_eq!(*late.state(), *journal.state());
    let (now, tenants) = (late.state(), before.tenants.clone());
    assert_eq!(now.flags, before.flags);
    assert_eq!(now.tenants["acme"].providers, tenants["acme"].providers);
    assert_eq!(now.tenants["other"], tenants["other"]);
    let overlay = |state: &State| Arc::clone(&state.tenants["acme"].overlays["default"].overlay);
    assert_eq!(overlay(&now), overlay(&before));
}

#[tokio::test]
async fn providers_of_a_tenant_stand_in_place_of_shared_ones() {
    let journal = replica(&store()).await;
    let named = |name: &str| Provider {
        provider_id: "P".to_owned(),
        display_name: name.to_owned(),
        ..built_in::providers().remove(0)
    };
    let name = |state: &State, tenant: &str| {
        let names: Vec<_> =
            state.providers_of(tenant).map(|seen| seen.provider.provider.display_name.clone()).collect();
        let one = state.provider_of(tenant, "P").map(|seen| seen.provider.provider.display_name.clone());
        assert_eq!(names.first().cloned(), one.ok());
        names.join(" ")
    };
    let check = async |change: Change, shared: &str, acme: &str| {
        let state = make(&journal, change).await.unwrap();
        assert_eq!((name(&state, "").as_str(), name(&state, "acme").as_str()), (shared, acme));
    };
    check(Change::provider_put("acme", named("own")), "", "own").await;
    check(Change::provider_put("", named("shared")), "shared", "own").await;
    check(Change::provider_removed("acme", "P"), "shared", "").await;
    let restored = TenantChange::ProviderRestored { provider_id: "P".to_owned() }.of("acme");
    check(restored, "shared", "shared").await;
    check(Change::provider_put("acme", named("again")), "shared", "again").await;
    check(Change::provider_removed("", "P"), "", "again").await;
    check(Change::provider_removed("acme", "P"), "", "").await;
    assert!(!journal.state().tenants.contains_key("acme"), "nothing is hidden, as nothing is shared");
}

#[tokio::test]
async fn every_limit_of_a_tenant_holds_on_both_sides() {
    let journal = replica(&store()).await;
    let whole = |rules: Vec<Rule>| {
        let overlay = Arc::new(Overlay { own: rules, removed: BTreeSet::new() });
        TenantChange::Replaced { ruleset: "default".to_owned(), overlay }.of("acme")
    };
    let rules = |count: usize| (0..count).map(|index| rule(&format!("r{index}"), "x")).collect::<Vec<_>>();
    let check = async |change: Change, expected: Option<&str>| {
        let found = match make(&journal, change).await {
            Ok(_) => None,
            Err(Error::TenantTooLarge { what, .. }) => Some(what),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected);
    };
    check(whole(rules(MAX_CHANGED_RULES)), None).await;
    check(put_by("acme", rule("more", "x")), Some("changed rules in a rule set")).await;
    let described = |bytes: usize| Rule { description: "d".repeat(bytes), ..rule("123456789", "x") };
    let size = |rules: Vec<Rule>| Overlay { own: rules, removed: BTreeSet::new() }.bytes();
    let each = size(vec![described(1000)]);
    let large = |bytes: usize| {
        let count = bytes / each;
        let mut rules: Vec<_> =
            (1..count).map(|index| Rule { id: format!("{index:09}"), ..described(1000) }).collect();
        rules.push(described(bytes - (count - 1) * each - size(vec![described(0)])));
        assert_eq!(size(rules.clone()), bytes);
        rules
    };
    let rest = MAX_TENANT_BYTES - size(rules(100));
    let with_rest = |bytes: usize| [rules(100), large(bytes)].concat();
    check(whole(with_rest(rest)), None).await;
    check(whole(with_rest(rest + 1)), Some("bytes of changed rules and themes, with 48 for each text")).await;
    let provider = |index: usize| {
        let provider_id = format!("P{index}");
        Change::provider_put("acme", Provider { provider_id, ..built_in::providers().remove(0) })
    };
    for index in 0..MAX_CHANGED_PROVIDERS {
        check(provider(index), None).await;
    }
    check(provider(MAX_CHANGED_PROVIDERS), Some("changed providers")).await;
}
