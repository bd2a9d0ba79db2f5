//! Refused writes and the uses of keys in a Redis that two config services share. Over the embedded store, the same
//! contract is tested in the binary `processes`.

use dataflow_config::{AuditLogArgs, ReadLogArgs, RefusalLogArgs};
use dataflow_mesh::process::Process;
use dataflow_tests::editor::small;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::refusals;
use dataflow_tests::services::{self, Service};

async fn config(server: &Server) -> Service {
    let store = services::redis_at(server.url(), &Process::default());
    services::config_over(store, small()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_refusals_and_the_uses_of_keys() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let (one, other) = (config(&server).await, config(&server).await);
    refusals::refusals_are_listed_to_their_tenant(&one, &other).await;
    refusals::the_last_use_of_a_key_is_listed(&one, &other).await;
    refusals::invalid_requests_are_rejected(&one).await;
    let known = refusals::list(&one, "", Default::default()).await.unwrap();
    one.stop().await;
    other.stop().await;
    let restarted = config(&server).await;
    assert_eq!(refusals::list(&restarted, "", Default::default()).await.unwrap(), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_in_redis_has_the_bounds_of_its_flags() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let store = services::redis_at(server.url(), &Process::default());
    let refusals = RefusalLogArgs { entries: 100, ..RefusalLogArgs::default() };
    let reads = ReadLogArgs { entries: 100, per_minute: 200, ..ReadLogArgs::default() };
    let config = services::config_with(store, small(), AuditLogArgs { refusals, reads }).await;
    for report in 0..4 {
        let refusals = vec![refusals::refusal("ada", "acme", &report.to_string()); 40];
        refusals::report(&config, &report.to_string(), refusals).await.unwrap();
    }
    let request = dataflow_proto::config::v1::ListRefusalsRequest { page_size: 1000, ..Default::default() };
    let listed = refusals::list(&config, "", request).await.unwrap().refusals;
    assert_eq!((listed.len(), listed[0].reason.as_str(), listed[79].reason.as_str()), (80, "2", "3"));
    assert!(config.metrics.encode().contains("config_refusal_log_entries 80\n"));
}
