//! The admin port and the file descriptors: a client that takes all of them does not keep the kubelet
//! out.

use std::net::TcpStream;

use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http;

use super::bystander::Bystander;

async fn probe(admin: &str, path: &str) -> u16 {
    let admin = format!("http://{admin}").parse().unwrap();
    http::request(&admin, "GET", path, &[], b"").await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_to_the_admin_port_do_not_keep_probes_out() {
    // Fewer descriptors than there are connections.
    let cache = Service::start_with_descriptors(256, "cache", &[]);
    let silent: Vec<_> = (0..600).map(|_| TcpStream::connect(&cache.admin).unwrap()).collect();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(probe(&cache.admin, path).await, 200, "{path}");
    }
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_keeps_descriptors_for_probes_and_peers() {
    let up = Service::start_with_descriptors(256, "up", &[]);
    let bystander = Bystander::connect(&up.address).await;
    let silent: Vec<_> = (0..500).map(|_| TcpStream::connect(&up.address).unwrap()).collect();
    for path in ["/livez", "/readyz"] {
        assert_eq!(probe(&up.admin, path).await, 200, "{path}");
    }
    drop(silent);
    eventually(TIMEOUT, "connections are accepted again", async || {
        let gateway = format!("http://{}", up.address).parse().unwrap();
        http::request(&gateway, "GET", "/live", &[], b"").await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    bystander.is_unharmed(2).await;
    assert!(!up.log().iter().any(|line| line.contains("cannot accept connections")), "never exhausted");
}
