//! A canary of analysis gets a tenth of the calls, and all calls that request it with `x-canary: always`.

use dataflow_tests::binary::Service;
use dataflow_tests::envoy::{self, Envoy};
use dataflow_tests::{example, http};

use super::fleet::free_ports;
use super::proxy::{cluster, listener, routes_with_canary};

/// Calls without the header, and the accepted range for a tenth of them: four standard deviations of 1,000 draws.
const CALLS: u64 = 1_000;
const TENTH: std::ops::RangeInclusive<u64> = 62..=138;

#[tokio::test(flavor = "multi_thread")]
async fn the_canary_gets_a_tenth_of_the_calls_and_all_that_request_it() {
    if !envoy::available() {
        return;
    }
    let [v1, v2] = ["analysis"; 2].map(|role| Service::start(role, &[]));
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let versions = [("analysis-v1", &v1), ("analysis-v2", &v2)]
        .map(|(name, service)| cluster(name, &[service.address.parse().unwrap()]));
    let proxy = Envoy::start(admin, &[listener(at, &routes_with_canary("analysis"), &[], None)], &versions);
    let gateway = Service::start("gateway", &["--analysis-url", &format!("http://{at}")]);
    let upstream = format!("http://{}", gateway.address).parse().unwrap();
    let served = |version: &str| proxy.statistic(&format!("cluster.analysis-{version}.upstream_rq_total"));

    let body = br#"{"dataflow": {"id": "X", "names": {"en": "Hospital discharges"}}}"#;
    let call = async |canary: &str| {
        let headers = [("content-type", "application/json"), ("x-canary", canary)];
        let answer =
            http::request(&upstream, "POST", "/v1/dataflows:categorize", &headers, body).await.unwrap();
        assert_eq!(answer.status, 200);
    };
    for _ in 0..CALLS {
        call("never").await;
    }
    let by_chance = served("v2");
    println!("{by_chance} of {CALLS} by chance");
    assert_eq!(served("v1") + by_chance, CALLS);
    assert!(TENTH.contains(&by_chance), "{by_chance} of {CALLS}");

    // The header is sent to the gateway, which propagates it.
    for _ in 0..50 {
        call("always").await;
    }
    assert_eq!(served("v2"), by_chance + 50);

    // A whole catalogue goes to one version too.
    let example = std::fs::read(example()).unwrap();
    let headers = [("content-type", "application/xml"), ("x-canary", "always")];
    let answer =
        http::request(&upstream, "POST", "/v1/catalogues:analyze", &headers, &example).await.unwrap();
    assert_eq!((answer.status, served("v2")), (200, by_chance + 51));
    for service in [gateway, v1, v2] {
        assert_eq!(service.stop().0, 0);
    }
}
