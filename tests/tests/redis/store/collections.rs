//! Collections: changes that belong together are made at once, and an item is whole or absent.

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::collections::{Applied, Change, Collection, ContentId};
use dataflow_store::key::Key;
use futures_util::future::join_all;

use super::backend::{LASTING, Stores};

fn put(item: &str, record: &'static str) -> Change {
    Change::Put { item: item.to_owned(), record: record.into() }
}

fn remove(item: &str) -> Change {
    Change::Remove { item: item.to_owned() }
}

/// The collection with its items in order.
async fn read(store: &dyn Store, key: &Key) -> (u64, Vec<(String, Bytes)>) {
    let Collection { version, mut items } = store.collection(key).await.unwrap();
    items.sort();
    (version, items)
}

/// Stages a content of so many chunks.
async fn stage(store: &dyn Store, key: &Key, chunks: u32) -> ContentId {
    let content = ContentId::random();
    for index in 0..chunks {
        store.stage(key, content, index, format!("{content} {index}").into()).await.unwrap();
    }
    content
}

async fn chunk(store: &dyn Store, key: &Key, content: ContentId, index: u32) -> Option<String> {
    let chunk = store.chunk(key, content, index).await.unwrap();
    chunk.map(|bytes| String::from_utf8(bytes.into()).unwrap())
}

pub(crate) async fn changes_are_made_together_or_not_at_all(Stores { ours, theirs, .. }: Stores) {
    let (key, other) = (LASTING.key("acme"), LASTING.key("acme2"));
    assert_eq!(read(&*theirs, &key).await, (0, vec![]));
    let applied = ours.apply(&key, 0, vec![put("b", "1"), put("a", "2"), put("c", "3")]).await.unwrap();
    assert_eq!(applied, Applied::At(1));
    let items = |items: &[(&str, &'static str)]| -> Vec<(String, Bytes)> {
        items.iter().map(|(item, record)| ((*item).to_owned(), (*record).into())).collect()
    };
    assert_eq!(read(&*theirs, &key).await, (1, items(&[("a", "2"), ("b", "1"), ("c", "3")])));
    // Another writer that has read the state before.
    let late = theirs.apply(&key, 0, vec![put("d", "4"), remove("a")]).await.unwrap();
    assert_eq!(late, Applied::Behind { version: 1 });
    // One with a content that is not there.
    let content = stage(&*ours, &key, 1).await;
    let keep = |chunks| Change::Keep { content, chunks };
    let incomplete = theirs.apply(&key, 1, vec![put("d", "4"), keep(2)]).await.unwrap();
    assert_eq!(incomplete, Applied::Incomplete);
    assert_eq!(read(&*ours, &key).await, (1, items(&[("a", "2"), ("b", "1"), ("c", "3")])));
    let applied = theirs.apply(&key, 1, vec![put("d", "4"), remove("a"), remove("x"), put("b", "5")]).await;
    assert_eq!(applied.unwrap(), Applied::At(2));
    assert_eq!(read(&*ours, &key).await, (2, items(&[("b", "5"), ("c", "3"), ("d", "4")])));
    assert_eq!(read(&*ours, &other).await, (0, vec![]), "a collection is separate from others");
}

pub(crate) async fn of_concurrent_changes_one_is_made(Stores { ours, theirs, .. }: Stores) {
    let key = LASTING.key("acme");
    for version in 0..3 {
        let tries =
            (0..8).map(|index| {
                let (store, key) = (if index % 2 == 0 { &ours } else { &theirs }, &key);
                async move {
                    store.apply(key, version, vec![put(&format!("{version}-{index}"), "x")]).await.unwrap()
                }
            });
        let mut outcomes = join_all(tries).await;
        outcomes.sort_by_key(|outcome| matches!(outcome, Applied::Behind { .. }));
        assert_eq!(outcomes[0], Applied::At(version + 1));
        let others = &outcomes[1..];
        assert!(others.iter().all(|one| *one == Applied::Behind { version: version + 1 }), "{outcomes:?}");
    }
    assert_eq!(read(&*ours, &key).await.1.len(), 3);
}

pub(crate) async fn a_content_is_kept_until_it_is_dropped(Stores { ours, theirs, .. }: Stores) {
    let (key, other) = (LASTING.key("acme"), LASTING.key("bolt"));
    let (kept, staged) = (stage(&*ours, &key, 3).await, stage(&*ours, &key, 2).await);
    assert_eq!(chunk(&*theirs, &key, kept, 2).await, Some(format!("{kept} 2")));
    assert_eq!(chunk(&*theirs, &key, kept, 3).await, None);
    assert_eq!(chunk(&*theirs, &other, kept, 0).await, None, "another collection has other contents");
    let keep = Change::Keep { content: kept, chunks: 3 };
    let first = theirs.apply(&key, 0, vec![put("a", "1"), keep, Change::Drop { content: staged }]).await;
    assert_eq!(first.unwrap(), Applied::At(1));
    assert_eq!(chunk(&*ours, &key, staged, 0).await, None);
    assert_eq!(chunk(&*ours, &key, kept, 0).await, Some(format!("{kept} 0")));
    let second = ours.apply(&key, 1, vec![remove("a"), Change::Drop { content: kept }]).await;
    assert_eq!(second.unwrap(), Applied::At(2));
    for index in 0..3 {
        assert_eq!(chunk(&*theirs, &key, kept, index).await, None);
    }
    let again = ours.apply(&key, 2, vec![Change::Drop { content: kept }]).await;
    assert_eq!(again.unwrap(), Applied::At(3), "what is gone can be dropped");
}

pub(crate) async fn a_chunk_of_a_megabyte_is_stored_unchanged(Stores { ours, theirs, .. }: Stores) {
    let (key, content) = (LASTING.key("acme"), ContentId::random());
    let chunk: Bytes = (0..1 << 20).map(|index: u32| (index % 251) as u8).collect::<Vec<_>>().into();
    // Staged again, as after an unknown outcome.
    for _ in 0..2 {
        ours.stage(&key, content, 0, chunk.clone()).await.unwrap();
    }
    let record = chunk.slice(..100_000);
    let put = Change::Put { item: "a".to_owned(), record: record.clone() };
    let applied = ours.apply(&key, 0, vec![put, Change::Keep { content, chunks: 1 }]).await;
    assert_eq!(applied.unwrap(), Applied::At(1));
    assert!(theirs.chunk(&key, content, 0).await.unwrap() == Some(chunk));
    assert!(theirs.collection(&key).await.unwrap().items == [("a".to_owned(), record)]);
}
