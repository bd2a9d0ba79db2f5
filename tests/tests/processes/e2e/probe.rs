//! `dataflow probe`: it succeeds against a mesh that works, and says what is wrong with one that does not.

use dataflow_tests::binary::{self, Service};
use dataflow_tests::services;

/// The exit status of a probe of this address, and what it printed on standard output and error.
fn probe(endpoint: &str) -> (Option<i32>, String, String) {
    let output = binary::command(&["probe", "--endpoint", endpoint]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_succeeds_again_and_again_without_the_cache() {
    let up = Service::start("up", &[]);
    let endpoint = format!("http://{}", up.address);
    for _ in 0..2 {
        let (code, found, error) = probe(&endpoint);
        assert_eq!((code, error.as_str()), (Some(0), ""), "{found}");
        assert!(found.starts_with(&endpoint) && found.contains("  5 dataflows in "), "{found}");
        assert!(found.ends_with("rules 1\n"), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fails_where_the_mesh_is_degraded_or_out_of_reach() {
    let closed = services::closed_port();
    let peers = closed.upstream.to_string();
    let analysis = Service::start("analysis", &["--cache-url", &peers, "--config-url", &peers]);
    let (code, found, error) = probe(&format!("http://{}", analysis.address));
    assert_eq!((code, found.as_str()), (Some(1), ""), "{error}");
    assert!(error.contains("degraded: CACHE_UNAVAILABLE"), "{error}");

    let (code, found, error) = probe(&peers);
    assert_eq!((code, found.as_str()), (Some(4), ""), "{error}");
    assert!(error.contains("is unreachable"), "{error}");
}
