//! The circuit breakers of all replicas, listed and reset through the gateway while Redis hangs.

use std::collections::BTreeSet;
use std::time::Duration;

use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::circuit_breaker::State;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use nix::sys::signal::Signal;

/// The replicas of which the response has a breaker of the cache, how many of these breakers are closed, and who is
/// silent.
fn summary(breakers: Vec<pb::CircuitBreaker>, silent: Vec<String>) -> (BTreeSet<String>, usize, Vec<String>) {
    let of_cache: Vec<_> = breakers.into_iter().filter(|one| one.name == "cache/redis").collect();
    let closed = of_cache.iter().filter(|one| one.state() == State::Closed).count();
    (of_cache.into_iter().map(|one| one.replica).collect(), closed, silent)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_is_asked_and_those_that_do_not_answer_are_named() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let flags = ["--redis-url", server.url(), "--drain-delay", "0s"];
    let caches = [(); 3].map(|()| Service::start("cache", &flags));
    let urls = caches.each_ref().map(|cache| format!("http://{}/", cache.address));
    let all = urls.join(",");
    // As a Service behaves: one address, which leads to one replica.
    let gateway = Service::start("gateway", &["--cache-url", &urls[0], "--cache-replicas", &all]);
    let upstream: Upstream = format!("http://{}", gateway.address).parse().unwrap();
    let mesh = MeshServiceClient::new(Outbound::new(&upstream, Duration::from_secs(20)));
    let list = async || {
        let listed = mesh.clone().list_circuit_breakers(pb::ListCircuitBreakersRequest {}).await.unwrap();
        let pb::ListCircuitBreakersResponse { circuit_breakers, silent } = listed.into_inner();
        // Neither analysis nor config runs.
        summary(circuit_breakers, silent.into_iter().filter(|one| urls.contains(one)).collect())
    };
    eventually(TIMEOUT, "all replicas are listed", async || {
        let (replicas, closed, silent) = list().await;
        replicas.len() == 3 && closed == 3 && silent.is_empty()
    })
    .await;

    server.pause();
    eventually(TIMEOUT, "all breakers are open, and no replica is silent", async || {
        let (replicas, closed, silent) = list().await;
        replicas.len() == 3 && closed == 0 && silent.is_empty()
    })
    .await;
    let name = "cache/redis".to_owned();
    let reset = mesh.clone().reset_circuit_breaker(pb::ResetCircuitBreakerRequest { name }).await.unwrap();
    let pb::ResetCircuitBreakerResponse { circuit_breakers, .. } = reset.into_inner();
    let (replicas, closed, _) = summary(circuit_breakers, Vec::new());
    assert_eq!((replicas.len(), closed), (3, 3));

    caches[1].signal(Signal::SIGSTOP);
    let (replicas, _, silent) = list().await;
    assert_eq!((replicas.len(), silent), (2, vec![urls[1].clone()]));
    caches[1].signal(Signal::SIGCONT);
    server.resume();
    eventually(TIMEOUT, "all breakers are closed", async || {
        let (replicas, closed, silent) = list().await;
        replicas.len() == 3 && closed == 3 && silent.is_empty()
    })
    .await;
}
