//! The data in Redis: all keys have the prefix, and records of a later release are not changed.

use dataflow_mesh::status::Describe;
use dataflow_store::collections::{Change, ContentId};
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::generations::REMEMBERED;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::redis::{self, Reply, Server};

use super::backend::{LASTING, SPACES, VOLATILE, acquire, connect, get, set, text};
use super::signals::until_heard;

/// The names of all keys on a server.
pub(crate) fn names(server: &Server) -> Vec<String> {
    let reply = server.command(&["SCAN", "0", "COUNT", "100000"]);
    let [cursor, names] = reply.items() else { panic!("{reply:?}") };
    assert_eq!(cursor.text(), "0", "the scan is incomplete");
    names.items().iter().map(|name| name.text().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_has_the_prefix() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let under = async |prefix| connect(&["--redis-url", server.url(), "--redis-prefix", prefix]).await;
    let (store, other) = (under("one:").await, under("o").await);
    let mut heard = store.subscribe("topic");
    until_heard(&*store, "topic", &mut heard).await;
    for key in SPACES.map(|space| space.key("a")) {
        set(&*store, &key, "x").await;
        assert_eq!(get(&*other, &key).await, None, "{key}");
        assert_eq!(other.list(key.space, "", None).await.unwrap().keys, []);
        acquire(&*store, &key, TIMEOUT).await.unwrap();
        store.generations(&[key.space.key("b")]).await.unwrap();
        store.renew(&key).await.unwrap();
    }
    store.append(&LASTING.key("log"), "id", "x".into()).await.unwrap();
    let [kept, staged] = [(); 2].map(|()| ContentId::random());
    for content in [kept, staged] {
        store.stage(&LASTING.key("collection"), content, 0, "x".into()).await.unwrap();
    }
    let put = Change::Put { item: "item".to_owned(), record: "x".into() };
    let keep = Change::Keep { content: kept, chunks: 1 };
    store.apply(&LASTING.key("collection"), 0, vec![put, keep]).await.unwrap();
    let names = names(&server);
    assert!(names.iter().all(|name| name.starts_with("one:")), "{names:#?}");
    // 2 entries, leases and generations, 2 renewed generations, a log with its last position and one id, a collection
    // with its version and two contents, 1 or 2 counters.
    assert!(names.len() >= 16, "{names:#?}");
    let channels = server.command(&["PUBSUB", "CHANNELS"]);
    let mut channels: Vec<_> = channels.items().iter().map(Reply::text).collect();
    channels.sort_unstable();
    assert!(channels.contains(&"one:signals"), "{channels:?}");
    assert!(channels.iter().all(|name| name.starts_with('o')), "{channels:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_generation_extends_its_ttl() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = connect(&["--redis-url", server.url()]).await;
    let tag = [VOLATILE.key("a")];
    let generation = store.generations(&tag).await.unwrap();
    let name = names(&server).into_iter().find(|name| name.contains("}generation:")).unwrap();
    let full = i64::try_from(REMEMBERED.as_millis()).unwrap();
    for (left, refreshed) in [(full / 2 - 1, true), (full / 2 + 60_000, false)] {
        server.command(&["PEXPIRE", &name, &left.to_string()]);
        assert_eq!(store.generations(&tag).await.unwrap(), generation);
        assert_eq!(server.command(&["PTTL", &name]).integer() > left, refreshed, "{left} ms left of {full}");
    }
    // A server that cannot write at the moment still returns the generation.
    server.command(&["PEXPIRE", &name, "60000"]);
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    assert_eq!(store.generations(&tag).await.unwrap(), generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_records_are_rejected_and_not_changed() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = connect(&["--redis-url", server.url()]).await;
    // A record of the next stored version, and foreign data.
    let newer = "\x09revision\x10\x02\x1a\x03new";
    for (foreign, space) in [newer, "no record at all"].into_iter().flat_map(|it| SPACES.map(|at| (it, at))) {
        let [key, other] = ["a", "b"].map(|name| space.key(name));
        set(&*store, &key, "ours").await;
        set(&*store, &other, "ours").await;
        let name = names(&server).into_iter().find(|name| name.ends_with(&format!("}}{key}"))).unwrap();
        server.command(&["SET", &name, foreign]);
        for keys in [vec![key.clone()], vec![other.clone(), key.clone()]] {
            let refused = store.get(&keys).await.unwrap_err();
            assert_eq!(refused.reason(), "RECORD_UNREADABLE", "{refused}");
            assert!(refused.to_string().contains(&key.to_string()), "{refused}");
        }
        let put = store.set(&key, "ours".into(), None, Condition::Absent).await.unwrap();
        assert!(matches!(put, Outcome::Refused(Some(_))), "{put:?}");
        let removed = store.delete(&key, Condition::Absent).await.unwrap();
        assert!(matches!(removed, Outcome::Refused(Some(_))), "{removed:?}");
        assert_eq!(store.list(space, "a", None).await.unwrap().keys, std::slice::from_ref(&key));
        assert_eq!(server.command(&["GET", &name]).text(), foreign);
        // Other keys are not affected, and an unconditional write repairs the key.
        assert_eq!(text(&*store, &other).await.as_deref(), Some("ours"));
        set(&*store, &key, "ours").await;
        assert_eq!(text(&*store, &key).await.as_deref(), Some("ours"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_volatile_keys_expire() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = connect(&["--redis-url", server.url()]).await;
    let key = VOLATILE.key("a");
    store.set(&key, "x".into(), Some(TIMEOUT), Condition::Always).await.unwrap();
    acquire(&*store, &key, TIMEOUT).await.unwrap();
    store.generations(&[VOLATILE.key("b")]).await.unwrap();
    store.renew(&key).await.unwrap();
    store.append(&LASTING.key("log"), "id", "x".into()).await.unwrap();
    let (collection, [kept, staged]) = (LASTING.key("collection"), [(); 2].map(|()| ContentId::random()));
    for content in [kept, staged] {
        store.stage(&collection, content, 0, "x".into()).await.unwrap();
    }
    let put = Change::Put { item: "item".to_owned(), record: "x".into() };
    store.apply(&collection, 0, vec![put, Change::Keep { content: kept, chunks: 1 }]).await.unwrap();
    let staged = staged.to_string();
    for name in names(&server) {
        let expires = server.command(&["PTTL", &name]).integer() > 0;
        // Except the version counters, one per bucket, the log, and the collection without what is staged.
        let stays = name.ends_with("}changes")
            || name.contains("}log:") && !name.contains(":id:")
            || name.contains("}collection:") && !name.ends_with(&staged);
        assert_eq!(expires, !stays, "{name}");
    }
}
