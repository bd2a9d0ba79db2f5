//! Listings: exactly the keys with a prefix.

use std::collections::BTreeSet;

use dataflow_store::Store;
use dataflow_store::key::Space;
use dataflow_tests::eventually::TIMEOUT;
use futures_util::future::join_all;

use super::backend::{LASTING, SPACES, Stores, VOLATILE, acquire, set};

/// The names on all pages, and the number of pages.
async fn listed(store: &dyn Store, space: Space, prefix: &str) -> (BTreeSet<String>, usize) {
    let (mut names, mut pages, mut from) = (BTreeSet::new(), 0, None);
    loop {
        let page = store.list(space, prefix, from).await.unwrap();
        assert!(page.keys.iter().all(|key| key.space == space), "{:?}", page.keys);
        names.extend(page.keys.into_iter().map(|key| key.name));
        pages += 1;
        assert!(pages < 10_000, "the listing does not end");
        from = page.next;
        if from.is_none() {
            return (names, pages);
        }
    }
}

pub(crate) async fn a_listing_returns_exactly_the_prefix(Stores { ours, theirs, .. }: Stores) {
    for space in SPACES {
        for name in ["a/1", "a/2", "a", "ab/1", "b/a/1"] {
            set(&*ours, &space.key(name), "x").await;
        }
        // Without other data: other spaces, leases, generations, logs.
        set(&*ours, &Space::durable("configs").key("a/9"), "x").await;
        set(&*ours, &Space::volatile("other").key("a/9"), "x").await;
        acquire(&*ours, &space.key("a/lease"), TIMEOUT).await.unwrap();
        ours.renew(&space.key("a/generation")).await.unwrap();
        ours.append(&LASTING.key("a/log"), "id", "x".into()).await.unwrap();
        let check = async |prefix: &str, expected: &[&str]| {
            let (names, _) = listed(&*theirs, space, prefix).await;
            assert!(names.iter().eq(expected), "{space:?} {prefix:?}: {names:?}");
        };
        check("a/", &["a/1", "a/2"]).await;
        check("a", &["a", "a/1", "a/2", "ab/1"]).await;
        check("", &["a", "a/1", "a/2", "ab/1", "b/a/1"]).await;
        check("a/1/", &[]).await;
        check("c", &[]).await;
        theirs.delete(&space.key("a/1"), dataflow_store::entries::Condition::Always).await.unwrap();
        check("a/", &["a/2"]).await;
    }
}

pub(crate) async fn a_prefix_is_not_a_pattern(Stores { ours, theirs, .. }: Stores) {
    let special = ["*[", "*", "?", "[a-z]", "\\", "^", "{a}", "}", "a-b", "è", "[^a]", "a*b?c[d]\\"];
    for space in SPACES {
        let names = special.map(|name| format!("{name}/1"));
        for name in names.iter().map(String::as_str).chain(["a/1", "x/1", "ab/1"]) {
            set(&*ours, &space.key(name), "x").await;
        }
        for (prefix, name) in special.iter().zip(&names) {
            let (listed, _) = listed(&*theirs, space, &format!("{prefix}/")).await;
            assert!(listed.iter().eq([name]), "{space:?} {prefix:?}: {listed:?}");
        }
    }
}

pub(crate) async fn a_long_listing_has_pages(Stores { ours, theirs, .. }: Stores) {
    const MANY: usize = 2_500;
    let names: Vec<_> = (0..MANY).map(|index| format!("a/{index}")).collect();
    for space in SPACES {
        for some in names.chunks(16) {
            let put = async |name: &String| set(&*ours, &space.key(name), "x").await;
            join_all(some.iter().map(put)).await;
        }
        set(&*ours, &space.key("b/1"), "x").await;
        let (listed, pages) = listed(&*theirs, space, "a/").await;
        assert!(listed.iter().eq(names.iter().collect::<BTreeSet<_>>()), "{space:?}: {} names", listed.len());
        // In memory there is one page.
        let is_in_memory = space == VOLATILE && ours.version_counters().is_none();
        assert_eq!(pages > 1, !is_in_memory, "{space:?}: {pages} pages");
    }
}
