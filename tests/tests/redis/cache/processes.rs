//! Whole meshes as processes: two on one Redis share one cache.

use dataflow_tests::binary::{self, Service};
use dataflow_tests::example;
use dataflow_tests::redis::{self, Server};

/// Whether a mesh has the result of the example in its cache.
fn is_cached(up: &Service) -> bool {
    let endpoint = format!("http://{}", up.address);
    let ended = binary::run(&["analyze", &example(), "--format", "json", "--endpoint", &endpoint]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let analysis: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(analysis["total"], 24);
    analysis["cached"].as_bool().unwrap()
}

#[test]
fn meshes_on_one_redis_share_results() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let flags = ["--redis-url", server.url(), "--redis-timeout", "20s"];
    let (one, other) = (Service::start("up", &flags), Service::start("up", &flags));
    let stranger = Service::start("up", &[&flags[..], &["--redis-prefix", "stranger:"]].concat());
    assert!(!is_cached(&one));
    assert!(is_cached(&other) && is_cached(&one));
    assert!(!is_cached(&stranger), "a mesh with another prefix shares nothing");
    let keys = server.command(&["KEYS", "*"]);
    let ours = |key: &str| key.starts_with("dataflow:") || key.starts_with("stranger:");
    assert!(!keys.items().is_empty() && keys.items().iter().all(|key| ours(key.text())), "{keys:?}");
    for up in [one, other, stranger] {
        let (code, log) = up.stop();
        assert_eq!(code, 0, "{log:#?}");
        binary::assert_no_warnings(&log, &[]);
    }
}
