//! Only idempotent methods are retried, and streams have no timeout.

use dataflow_tests::manifests::{each, of_kind, text};
use serde_json::Value;

use super::contract::{is_safe, methods};

/// The policy of a mesh for a set of methods.
struct Rule {
    name: String,
    paths: Vec<String>,
    retries: bool,
    timeout: bool,
}

fn istio() -> Vec<Rule> {
    let services = of_kind("mesh/istio/resilience.yaml", "VirtualService");
    let rules = services.iter().flat_map(|service| {
        let routes = each(&service["spec"]["http"]).map(|route| {
            let paths = each(&route["match"]).map(|matched| text(&matched["uri"]["exact"]).to_owned());
            let attempts =
                route["retries"]["attempts"].as_u64().expect("by default Istio retries every method twice");
            let timeout = !route["timeout"].is_null();
            Rule {
                name: format!("istio {}", route["name"]),
                paths: paths.collect(),
                retries: attempts > 0,
                timeout,
            }
        });
        routes.collect::<Vec<_>>()
    });
    rules.collect()
}

fn linkerd() -> Vec<Rule> {
    let routes = of_kind("mesh/linkerd/resilience.yaml", "GRPCRoute");
    let rules = routes.iter().map(|route| {
        let matches = each(&route["spec"]["rules"]).flat_map(|rule| each(&rule["matches"]));
        let path = |method: &Value| {
            let name = method["method"].as_str().unwrap_or("*");
            format!("/{}/{name}", text(&method["service"]))
        };
        let annotation = |name: &str| !route["metadata"]["annotations"][name].is_null();
        Rule {
            name: format!("linkerd {}", route["metadata"]["name"]),
            paths: matches.map(|matched| path(&matched["method"])).collect(),
            retries: annotation("retry.linkerd.io/grpc"),
            timeout: annotation("timeout.linkerd.io/request"),
        }
    });
    rules.collect()
}

#[test]
fn only_idempotent_methods_are_retried_and_only_unary_ones_have_timeouts() {
    let methods = methods();
    let (mut tried, mut timed) = (0, 0);
    for Rule { name, paths, retries, timeout } in istio().into_iter().chain(linkerd()) {
        if !retries && !timeout {
            continue;
        }
        assert!(!paths.is_empty(), "{name}: applies to every method");
        for path in paths {
            let method = methods.get(&path).unwrap_or_else(|| panic!("{name}: {path} does not exist"));
            let streams = method.is_client_streaming() || method.is_server_streaming();
            assert!(!streams, "{name}: {path} is a stream");
            assert!(!retries || is_safe(method), "{name}: {path} is not safe to repeat");
            tried += usize::from(retries);
            timed += usize::from(timeout);
        }
    }
    assert!(tried > 20 && timed > 20, "{tried} {timed}");
}
