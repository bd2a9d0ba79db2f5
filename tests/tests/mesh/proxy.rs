//! Translates the policies in `mesh/istio` to Envoy's configuration, as Istio does for the fields that they use.

use std::net::SocketAddr;

use dataflow_tests::envoy::{message, socket};
use dataflow_tests::manifests::{documents, each, of_kind, text};
use serde_json::{Value, json};

use super::fleet::Ports;
use super::identities::Identity;

/// The routes to a service: retries and timeouts by method.
pub(crate) fn routes(role: &str) -> Vec<Value> {
    let services = of_kind("mesh/istio/resilience.yaml", "VirtualService");
    let service = services.iter().find(|service| service["metadata"]["name"] == role).unwrap();
    let routes = each(&service["spec"]["http"]).flat_map(|route| {
        let action = action(route, json!({ "cluster": role }));
        matches(route).into_iter().map(move |matched| json!({ "match": matched, "route": action }))
    });
    routes.collect()
}

/// The routes to a service with a canary: by header, and by weight.
pub(crate) fn routes_with_canary(role: &str) -> Vec<Value> {
    let patches = documents("mesh/istio/canary/routes.yaml").remove(0);
    let patch = |path: &str| each(&patches).find(|patch| patch["path"] == path).unwrap()["value"].clone();
    let share = patch("/spec/http/0/route");
    let weighted = each(&share).map(|target| {
        json!({ "name": format!("{role}-{}", text(&target["destination"]["subset"])), "weight": target["weight"] })
    });
    let weighted = json!({ "weighted_clusters": { "clusters": weighted.collect::<Vec<_>>() } });
    let asked = patch("/spec/http/0");
    let (name, value) = asked["match"][0]["headers"].as_object().unwrap().iter().next().unwrap();
    let cluster = format!("{role}-{}", text(&asked["route"][0]["destination"]["subset"]));
    let first = json!({
        "match": {
            "prefix": "/",
            "headers": [{ "name": name, "string_match": { "exact": value["exact"] } }],
        },
        "route": action(&asked, json!({ "cluster": cluster })),
    });
    let others = routes(role).into_iter().map(|mut route| {
        let action = route["route"].as_object_mut().unwrap();
        action.remove("cluster");
        action.extend(weighted.as_object().unwrap().clone());
        route
    });
    std::iter::once(first).chain(others).collect()
}

/// The action of a route of a VirtualService, with this target.
fn action(route: &Value, mut target: Value) -> Value {
    let action = target.as_object_mut().unwrap();
    // Without a timeout in the policy Istio has none, but Envoy 15 s.
    let timeout = route.get("timeout").cloned().unwrap_or_else(|| json!("0s"));
    // Istio's proxies enforce `grpc-timeout`, up to the timeout of the policy.
    action.insert("max_grpc_timeout".to_owned(), timeout.clone());
    action.insert("timeout".to_owned(), timeout);
    let retries = &route["retries"];
    if retries["attempts"].as_u64().unwrap() > 0 {
        let mut policy = json!({ "retry_on": retries["retryOn"], "num_retries": retries["attempts"] });
        if retries["retryRemoteLocalities"] == true {
            // The second retry leaves the locality.
            policy["retry_priority"] = json!({
                "name": "envoy.retry_priorities.previous_priorities",
                "typed_config": {
                    "@type": message("retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"),
                    "update_frequency": 2,
                },
            });
        }
        action.insert("retry_policy".to_owned(), policy);
    }
    target
}

fn matches(route: &Value) -> Vec<Value> {
    let exact: Vec<_> =
        each(&route["match"]).map(|matched| json!({ "path": matched["uri"]["exact"] })).collect();
    if exact.is_empty() { vec![json!({ "prefix": "/" })] } else { exact }
}

/// Outlier ejection of a host. The ejection time is shortened for the test.
pub(crate) fn outliers(again: &str) -> Value {
    let policy = documents("mesh/istio/outliers.yaml").remove(0);
    let policy = &policy["spec"]["trafficPolicy"]["outlierDetection"];
    assert_eq!(policy["consecutive5xxErrors"], 0, "which Istio translates to: they do not count");
    json!({
        "consecutive_gateway_failure": policy["consecutiveGatewayErrors"],
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "split_external_local_origin_errors": policy["splitExternalLocalOriginErrors"],
        "consecutive_local_origin_failure": policy["consecutiveLocalOriginFailures"],
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "max_ejection_percent": policy["maxEjectionPercent"],
        "interval": again,
        "base_ejection_time": again,
        "max_ejection_time": again,
    })
}

/// A filter that allows what `mesh/istio/identity.yaml` grants for a service.
pub(crate) fn authorization(role: &str) -> Value {
    let policies = of_kind("mesh/istio/identity.yaml", "AuthorizationPolicy");
    let policy = policies.iter().find(|policy| policy["metadata"]["name"] == role).unwrap();
    let rules = each(&policy["spec"]["rules"]).enumerate().map(|(index, rule)| {
        let callers = each(&rule["from"]).flat_map(|from| each(&from["source"]["principals"]));
        let callers = callers.map(|caller| {
            json!({ "authenticated": { "principal_name": { "exact": format!("spiffe://{}", text(caller)) } } })
        });
        let paths = each(&rule["to"]).flat_map(|to| each(&to["operation"]["paths"]));
        let paths = paths.map(|path| json!({ "url_path": { "path": { "exact": path } } }));
        let rule = json!({ "principals": callers.collect::<Vec<_>>(), "permissions": paths.collect::<Vec<_>>() });
        (index.to_string(), rule)
    });
    let rules = json!({ "action": "ALLOW", "policies": rules.collect::<serde_json::Map<_, _>>() });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": { "@type": message("filters.http.rbac.v3.RBAC"), "rules": rules },
    })
}

/// A listener with these filters and routes; with an identity it accepts only mutual TLS.
pub(crate) fn listener(
    at: SocketAddr,
    routes: &[Value],
    filters: &[Value],
    identity: Option<&Identity>,
) -> Value {
    let router =
        json!({ "name": "router", "typed_config": { "@type": message("filters.http.router.v3.Router") } });
    let filters = [filters, &[router]].concat();
    let connections = json!({
        "@type": message("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": at.to_string(),
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": { "uri": true },
        "route_config": { "virtual_hosts": [{ "name": "any", "domains": ["*"], "routes": routes }] },
        "http_filters": filters,
    });
    let mut chain = json!({ "filters": [{ "name": "http", "typed_config": connections }] });
    if let Some(identity) = identity {
        chain["transport_socket"] = identity.server();
    }
    json!({ "name": at.to_string(), "address": socket(at), "filter_chains": [chain] })
}

/// A catch-all route to one cluster, without a timeout.
pub(crate) fn everything(cluster: &str) -> Vec<Value> {
    vec![json!({ "match": { "prefix": "/" }, "route": { "cluster": cluster, "timeout": "0s" } })]
}

/// A cluster of hosts, over HTTP/2 without TLS.
pub(crate) fn cluster(name: &str, hosts: &[SocketAddr]) -> Value {
    let hosts = hosts.iter().map(|host| json!({ "endpoint": { "address": socket(*host) } }));
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "common_lb_config": { "healthy_panic_threshold": { "value": 0 } },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": hosts.collect::<Vec<_>>() }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": message("upstreams.http.v3.HttpProtocolOptions"),
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    })
}

/// A cluster of hosts that get calls only while `/readyz` succeeds, like the endpoints of Kubernetes.
pub(crate) fn endpoints(name: &str, pods: &[Ports]) -> Value {
    let mut cluster = cluster(name, &pods.iter().map(|pod| pod.api).collect::<Vec<_>>());
    let hosts = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"];
    for (host, pod) in hosts.as_array_mut().unwrap().iter_mut().zip(pods) {
        host["endpoint"]["health_check_config"] = json!({ "port_value": pod.admin.port() });
    }
    cluster["health_checks"] = json!([{
        "timeout": "5s",
        "interval": "0.2s",
        "no_traffic_interval": "0.2s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": { "path": "/readyz", "codec_client_type": "HTTP1" },
    }]);
    cluster
}
