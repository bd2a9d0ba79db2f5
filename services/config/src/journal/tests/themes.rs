//! The mapping of themes: what is stored with its first change, its revisions, and what tenants change for themselves.

use dataflow_rules::Category;
use dataflow_rules::themes::{Mapping, Theme};

use super::*;
use crate::change::{TenantThemeChange, ThemeChange};
use crate::state::{MAX_CHANGED_THEMES, Owner};

fn theme(id: &str, category: Category) -> Theme {
    Theme { id: id.to_owned(), scheme: "A:*".parse().unwrap(), path: vec![id.to_owned()], category }
}

fn put_by(tenant: &str, id: &str, category: Category) -> Change {
    Change::theme_put(tenant, theme(id, category))
}

async fn make(journal: &Journal, change: Change) -> Result<Arc<State>, Error> {
    journal.change_themes(Origin::default(), |_| Ok(Some(change.clone()))).await
}

/// What a theme means to a tenant, with `*` if the theme is its own; empty if it has no such theme.
fn meaning(state: &State, tenant: &str, id: &str) -> String {
    let seen = state.themes_of(tenant).item(id).map(|seen| (seen.item.category, seen.owner));
    seen.map_or_else(String::new, |(category, owner)| {
        format!("{category}{}", if owner == Some(Owner::Tenant) { "*" } else { "" })
    })
}

fn actions(entries: &[crate::change::JournalEntry]) -> Vec<&Change> {
    entries.iter().map(|entry| &entry.record.change).collect()
}

#[tokio::test]
async fn the_mapping_is_stored_with_its_first_change() {
    let store = store();
    let journal = replica(&store).await;
    let built_in = Mapping::built_in();
    let state = journal.state();
    assert_eq!((&*state.themes.set, state.position), (&built_in, 1), "nothing is stored before");
    let known = &built_in.themes[0];
    let before = state.themes_of("").item(&known.id).unwrap().etag();

    // What is refused, or changes nothing, stores nothing.
    let removed = Change::theme_removed("", "unknown");
    assert!(matches!(make(&journal, removed).await, Err(Error::ThemeNotFound { .. })));
    let invalid = Change::theme_put("", Theme { path: Vec::new(), ..theme("new", Category::Health) });
    let Err(Error::ThemeInvalid { field, .. }) = make(&journal, invalid).await else { panic!() };
    assert_eq!(field, "themes[20].path");
    assert_eq!(journal.change_themes(Origin::default(), |_| Ok(None)).await.unwrap().position, 1);

    let state = make(&journal, put_by("", "new", Category::Health)).await.unwrap();
    assert_eq!((state.themes.set.revision, state.position), (2, 3));
    let entries = journal.page(1, 10).await.unwrap().entries;
    assert!(
        matches!(actions(&entries)[..], [Change::Themes(ThemeChange::Seeded(stored)), _] if *stored == built_in)
    );
    assert_eq!(entries[0].record.origin.author, crate::change::SYSTEM);
    let seen = state.themes_of("");
    let etags = [known.id.as_str(), "new"].map(|id| seen.item(id).unwrap().etag());
    assert_eq!(etags, [before.as_str(), "3"], "storing a theme does not change it");
    assert!(seen.item(&known.id).unwrap().times().is_none() && seen.item("new").unwrap().times().is_some());

    let other = replica(&store).await;
    make(&other, put_by("", "more", Category::Labour)).await.unwrap();
    journal.catch_up().await.unwrap();
    assert_eq!(*journal.state(), *other.state());
    assert_eq!(journal.state().position, 4, "it is stored once");
}

#[tokio::test]
async fn replicas_that_change_it_first_at_the_same_time_store_it_once() {
    let store = store();
    let journals = [replica(&store).await, replica(&store).await];
    let changes = journals.iter().zip(["a", "b"]);
    let changes = changes.map(|(journal, id)| make(journal, put_by("", id, Category::Health)));
    for made in futures_util::future::join_all(changes).await {
        made.unwrap();
    }
    journals[0].catch_up().await.unwrap();
    let state = journals[0].state();
    assert_eq!((state.position, state.themes.set.revision), (4, 3));
    assert_eq!(state.themes.set.themes.len(), Mapping::built_in().themes.len() + 2);
}

#[tokio::test]
async fn a_tenant_changes_themes_for_itself_alone() {
    let journal = replica(&store()).await;
    let check = async |change: Change, shared: [&str; 2], acme: [&str; 2]| {
        let state = make(&journal, change).await.unwrap();
        for (tenant, expected) in [("", shared), ("other", shared), ("acme", acme)] {
            let found = ["a", "b"].map(|id| meaning(&state, tenant, id));
            assert_eq!(found.each_ref().map(String::as_str), expected, "{tenant}");
        }
    };
    let restored = |id: &str| TenantThemeChange::Restored { theme_id: id.to_owned() }.of("acme");
    check(put_by("", "a", Category::Health), ["HEALTH", ""], ["HEALTH", ""]).await;
    check(put_by("acme", "a", Category::Labour), ["HEALTH", ""], ["LABOUR*", ""]).await;
    check(put_by("acme", "b", Category::Other), ["HEALTH", ""], ["LABOUR*", "OTHER*"]).await;
    check(put_by("", "a", Category::Economy), ["ECONOMY", ""], ["LABOUR*", "OTHER*"]).await;
    check(restored("a"), ["ECONOMY", ""], ["ECONOMY", "OTHER*"]).await;
    check(Change::theme_removed("acme", "a"), ["ECONOMY", ""], ["", "OTHER*"]).await;
    check(restored("b"), ["ECONOMY", ""], ["", ""]).await;
    check(restored("a"), ["ECONOMY", ""], ["ECONOMY", ""]).await;
    let state = journal.state();
    let seen = state.themes_of("acme");
    assert!(seen.changes().is_none() && state.rulesets["default"].set.revision == 1);
    assert_eq!(seen.revisions(), (3, 6));

    let earlier = journal.theme_overlay_at("acme", 2).await.unwrap();
    let state = make(&journal, TenantThemeChange::RolledBack(earlier).of("acme")).await.unwrap();
    assert_eq!(["a", "b"].map(|id| meaning(&state, "acme", id)), ["LABOUR*", "OTHER*"]);
    assert!(journal.theme_overlay_at("acme", 0).await.unwrap().is_empty());
    for (tenant, revision) in [("acme", 8), ("other", 1)] {
        let missing = journal.theme_overlay_at(tenant, revision).await;
        assert!(matches!(missing, Err(Error::ThemesRevisionNotFound { .. })), "{tenant} {revision}");
    }
}

#[tokio::test]
async fn earlier_revisions_are_found_and_all_survives_a_compaction() {
    let store = store();
    let journal = replica(&store).await;
    make(&journal, put_by("", "a", Category::Health)).await.unwrap();
    make(&journal, put_by("acme", "a", Category::Labour)).await.unwrap();
    make(&journal, Change::theme_removed("", "istat-labour")).await.unwrap();
    assert_eq!(journal.themes_at(1).await.unwrap().themes, Mapping::built_in().themes);
    let second = journal.themes_at(2).await.unwrap();
    assert_eq!(second.themes.last().unwrap().id, "a");
    for revision in [0, 4] {
        let missing = journal.themes_at(revision).await;
        assert!(matches!(missing, Err(Error::ThemesRevisionNotFound { .. })), "{revision}");
    }
    let before = journal.state();
    let prices = before.themes_of("").item("istat-prices").unwrap().etag();
    journal.append_snapshot().await.unwrap();
    compaction::change_until_compacted(&journal, &store, 1).await;
    let late = replica(&store).await;
    assert_eq!(*late.state(), *journal.state());
    let now = late.state();
    assert_eq!(now.themes.set, before.themes.set);
    assert_eq!(meaning(&now, "acme", "a"), "LABOUR*");
    assert_eq!(now.themes_of("").item("istat-prices").unwrap().etag(), prices);
    let state = make(&late, put_by("", "b", Category::Other)).await.unwrap();
    assert_eq!(state.themes.set.revision, 4, "it is not stored again");
}

#[tokio::test]
async fn what_a_tenant_changes_is_bounded_on_both_sides() {
    let journal = replica(&store()).await;
    let whole = |count: usize| {
        let own = (0..count).map(|index| theme(&index.to_string(), Category::Health)).collect();
        TenantThemeChange::Replaced(Arc::new(dataflow_rules::Overlay { own, removed: [].into() })).of("acme")
    };
    make(&journal, whole(MAX_CHANGED_THEMES)).await.unwrap();
    let over = make(&journal, whole(MAX_CHANGED_THEMES + 1)).await;
    assert!(matches!(over, Err(Error::TenantTooLarge { what: "changed themes", .. })), "{over:?}");
    let used = journal.state().tenants["acme"].bytes();
    assert_eq!(used, MAX_CHANGED_THEMES * (size_of::<Theme>() + 3 * 48 + 1) + 2 * (10 + 90 * 2 + 900 * 3));
}
