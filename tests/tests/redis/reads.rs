//! Audited reads in a Redis that two config services share. Over the embedded store, the same contract is tested in the
//! binary `processes`.

use dataflow_config::{AuditLogArgs, ReadLogArgs};
use dataflow_mesh::process::Process;
use dataflow_proto::config::v1 as pb;
use dataflow_tests::editor::small;
use dataflow_tests::reads;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services::{self, Service};

async fn config(server: &Server, reads: ReadLogArgs) -> Service {
    let store = services::redis_at(server.url(), &Process::default());
    services::config_with(store, small(), AuditLogArgs { reads, ..AuditLogArgs::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_audited_reads() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let limits = ReadLogArgs::default;
    let (one, other) = (config(&server, limits()).await, config(&server, limits()).await);
    reads::reads_are_listed_to_their_tenant(&one, &other).await;
    let known = reads::list(&one, "", Default::default()).await.unwrap();
    one.stop().await;
    other.stop().await;
    let restarted = config(&server, limits()).await;
    assert_eq!(reads::list(&restarted, "", Default::default()).await.unwrap(), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_without_redis_and_the_lost_records_are_counted() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    let config =
        config(&server, ReadLogArgs { entries: 100, per_minute: 200, ..ReadLogArgs::default() }).await;
    for _ in 0..130 {
        reads::list_keys(&config, "acme", "ada").await.unwrap();
    }
    let all = || pb::ListReadsRequest { page_size: 1000, ..Default::default() };
    assert_eq!(reads::list(&config, "", all()).await.unwrap().reads.len(), 100, "the bound of the flag");
    server.kill();
    for _ in 0..3 {
        reads::list_keys(&config, "acme", "ada").await.expect("keys are listed from what was read last");
    }
    reads::list(&config, "", all()).await.expect_err("the log is in the store");
    let metrics = config.metrics.encode();
    for sample in ["recorded\"} 130\n", "left_out\"} 0\n", "lost\"} 3\n"] {
        assert!(metrics.contains(&format!("config_audited_reads_total{{outcome=\"{sample}")), "{metrics}");
    }
    server.restart();
    dataflow_tests::eventually::eventually(dataflow_tests::eventually::TIMEOUT, "it is back", async || {
        reads::list_keys(&config, "acme", "ada").await.unwrap();
        let found = reads::list(&config, "", all()).await;
        // What was lost meanwhile is told with the first one that was not.
        found.is_ok_and(|found| found.reads.iter().any(|read| read.left_out >= 3))
    })
    .await;
}
