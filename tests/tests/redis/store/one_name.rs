//! One name for several servers, of which one is the primary: a Kubernetes Service, or a managed Redis. Connections
//! that are open stay with the server to which the name led before.

use dataflow_store::entries::Condition;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::relay::Relay;

use super::backend::{LASTING, VOLATILE, connect, get, set, text};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_behind_one_name_writes_go_to_the_new_primary() {
    if !redis::available() {
        return;
    }
    let (old, new) = (Server::start(), Server::start());
    let upstream = |server: &Server| format!("http://127.0.0.1:{}", server.port()).parse().unwrap();
    let name = Relay::to(&upstream(&old)).await;
    let address = name.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    for flags in [&[][..], &["--redis-replicas", "1"]] {
        let follow = |replica: &Server, primary: &Server| {
            primary.command(&["REPLICAOF", "NO", "ONE"]);
            replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
        };
        follow(&new, &old);
        name.lead_to(&upstream(&old));
        let url = format!("redis://{address}");
        let store = connect(&[&["--redis-url", &url], flags].concat()).await;
        let (key, other) = (LASTING.key("a"), VOLATILE.key("b"));
        let written = async || store.set(&key, "before".into(), None, Condition::Always).await.is_ok();
        eventually(TIMEOUT, "the replica confirms", written).await;
        eventually(TIMEOUT, "the replica has it", async || {
            new.command(&["DBSIZE"]).integer() == old.command(&["DBSIZE"]).integer()
        })
        .await;

        follow(&old, &new);
        name.lead_to(&upstream(&new));
        // Without a confirmation by replicas, not even the first write fails.
        if flags.is_empty() {
            set(&*store, &other, "after").await;
        }
        let written = async || store.set(&key, "after".into(), None, Condition::Always).await.is_ok();
        eventually(TIMEOUT, "the new primary takes writes", written).await;
        assert_eq!(text(&*store, &key).await.as_deref(), Some("after"));
        assert_eq!(get(&*store, &other).await.is_some(), flags.is_empty());
        for server in [&old, &new] {
            server.command(&["REPLICAOF", "NO", "ONE"]);
            server.command(&["FLUSHALL"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_have_a_connection_of_their_own() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = connect(&["--redis-url", server.url()]).await;
    let count = |what: &str| {
        let clients = server.command(&["CLIENT", "LIST"]);
        clients.text().lines().filter(|line| line.contains(" resp=3") && line.contains(what)).count()
    };
    let connections = || count(" sub=0 ");
    eventually(TIMEOUT, "the store is subscribed", async || count(" sub=1 ") == 1).await;
    let (small, large) = (VOLATILE.key("small"), VOLATILE.key("large"));
    set(&*store, &small, "x").await;
    let before = connections();
    get(&*store, &small).await.unwrap();
    // The key, the conditions and the digest of the script take less than 1 KiB.
    store.set(&small, vec![b'x'; 63 << 10].into(), None, Condition::Always).await.unwrap();
    get(&*store, &small).await.unwrap();
    assert_eq!(connections(), before, "up to 64 KiB, all calls share one");
    store.set(&large, vec![b'x'; (64 << 10) + 1].into(), None, Condition::Always).await.unwrap();
    assert_eq!(connections(), before + 1);
    assert_eq!(get(&*store, &large).await.unwrap().value.len(), (64 << 10) + 1);
    assert_eq!(connections(), before + 1, "it is used again");
}
