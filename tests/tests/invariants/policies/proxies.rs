//! What the proxies of both meshes are told besides identities and retries: destinations, connection pools, deadlines,
//! their own telemetry, and access to their own ports.

use std::collections::BTreeSet;

use dataflow_tests::manifests::{documents, each, of_kind, text};
use serde_json::{Value, json};

use crate::reference::read;

/// The port of the calls of a service.
fn port(role: &str) -> Value {
    of_kind(&format!("k8s/base/{role}.yaml"), "Service")[0]["spec"]["ports"][0]["port"].clone()
}

/// The namespaces that the egress of a NetworkPolicy names.
fn namespaces(policy: &Value) -> BTreeSet<String> {
    let peers = each(&policy["spec"]["egress"]).flat_map(|rule| each(&rule["to"]));
    let names = peers.filter_map(|peer| {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].as_str().map(str::to_owned)
    });
    names.collect()
}

/// The ports of a NetworkPolicy's first rule of one direction.
fn ports(policy: &Value, direction: &str) -> Vec<u64> {
    each(&policy["spec"][direction][0]["ports"]).filter_map(|port| port["port"].as_u64()).collect()
}

fn policy(file: &str, name: &str) -> Value {
    let found = of_kind(file, "NetworkPolicy").into_iter().find(|policy| policy["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{file} has no NetworkPolicy {name}"))
}

#[test]
fn every_destination_in_istio_names_its_port_and_retries_may_leave_the_zone() {
    let services = of_kind("mesh/istio/resilience.yaml", "VirtualService");
    let routes: Vec<_> = services.iter().flat_map(|service| each(&service["spec"]["http"])).collect();
    let patches = documents("mesh/istio/canary/routes.yaml").remove(0);
    let patched = each(&patches).map(|patch| &patch["value"]);
    let of_canary = patched.flat_map(|value| each(value).chain(each(&value["route"])));
    let destinations = routes.iter().flat_map(|route| each(&route["route"])).chain(of_canary);
    let mut count = 0;
    for destination in destinations.map(|target| &target["destination"]) {
        let role = text(&destination["host"]).split('.').next().unwrap();
        assert_eq!(destination["port"]["number"], port(role), "{destination}");
        count += 1;
    }
    assert!(count > 10, "{count}");
    for route in routes {
        let retries = &route["retries"];
        let leaves = retries["retryRemoteLocalities"] == true;
        assert_eq!(leaves, retries["attempts"].as_u64().unwrap() > 0, "{}", route["name"]);
    }
}

#[test]
fn a_proxy_does_not_reject_what_a_process_would_accept() {
    let rule = documents("mesh/istio/outliers.yaml").remove(0);
    let rule = &rule["spec"]["trafficPolicy"];
    let flags = read("docs/flags.md");
    let row = flags.lines().find(|line| line.starts_with("| `--max-concurrent-requests ")).unwrap();
    let default =
        row.split('|').map(|cell| cell.trim().trim_matches('`')).find_map(|cell| cell.parse::<u64>().ok());
    let requests = rule["connectionPool"]["http"]["http2MaxRequests"].as_u64().unwrap();
    assert!(requests >= 2 * default.expect("the flag has a default"), "{requests} of {default:?}");
    assert!(
        rule["connectionPool"]["http"]["maxRequestsPerConnection"].is_null(),
        "HTTP/2 connections are reused"
    );

    let outliers = &rule["outlierDetection"];
    assert_eq!(outliers["splitExternalLocalOriginErrors"], true);
    assert!(
        outliers["consecutiveLocalOriginFailures"].as_u64() > outliers["consecutiveGatewayErrors"].as_u64()
    );
}

#[test]
fn istio_configures_proxies_for_all_that_they_may_reach_and_leaves_request_ids_alone() {
    let sidecar = documents("mesh/istio/sidecar.yaml").remove(0);
    assert!(sidecar["spec"]["workloadSelector"].is_null(), "it is for every workload of the namespace");
    let hosts: BTreeSet<_> =
        each(&sidecar["spec"]["egress"]).flat_map(|egress| each(&egress["hosts"])).map(text).collect();
    let traces = policy("k8s/base/network.yaml", "traces");
    let control = policy("mesh/istio/network.yaml", "istio");
    let needed = namespaces(&traces).into_iter().chain(namespaces(&control));
    let needed: Vec<_> = needed.map(|namespace| format!("{namespace}/*")).chain(["./*".to_owned()]).collect();
    assert_eq!(hosts, needed.iter().map(String::as_str).collect());

    let telemetry = documents("mesh/istio/telemetry.yaml").remove(0);
    let tracing = &telemetry["spec"]["tracing"][0];
    assert_eq!(
        tracing["useRequestIdForTraceSampling"], false,
        "Envoy would write the decision into x-request-id"
    );
    let percentage = tracing["randomSamplingPercentage"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&percentage), "{percentage}");
    let logged = &telemetry["spec"]["accessLogging"][0]["filter"]["expression"];
    assert_eq!(
        logged, "response.code >= 400 || response.flags != 0",
        "the services log all that reaches them"
    );
}

#[test]
fn linkerd_admits_prometheus_to_its_proxies_and_limits_floods_at_the_gateway() {
    const FILE: &str = "mesh/linkerd/identity.yaml";
    let server =
        |name: &str| of_kind(FILE, "Server").into_iter().find(|server| server["metadata"]["name"] == name);
    let admin = server("linkerd-admin").unwrap();
    assert_eq!(admin["spec"]["port"], "linkerd-admin");
    assert_eq!(admin["spec"]["podSelector"], server("admin").unwrap()["spec"]["podSelector"]);
    let of_server = of_kind(FILE, "AuthorizationPolicy").into_iter().find(|policy| {
        policy["spec"]["targetRef"]["kind"] == "Server"
            && policy["spec"]["targetRef"]["name"] == "linkerd-admin"
    });
    let admitted = &of_server.unwrap()["spec"]["requiredAuthenticationRefs"][0];
    assert_eq!((&admitted["kind"], &admitted["name"]), (&json!("NetworkAuthentication"), &json!("anywhere")));
    // Anywhere, as far as the NetworkPolicy admits it.
    assert_eq!(ports(&policy("mesh/linkerd/network.yaml", "linkerd"), "ingress"), [4191]);

    let limit = documents("mesh/linkerd/rate.yaml").remove(0);
    let target = &limit["spec"]["targetRef"];
    assert_eq!(target["kind"], "Server");
    assert!(server(text(&target["name"])).is_some(), "{target}");
    assert!(limit["spec"]["identity"].is_null(), "the proxy knows one caller: the ingress");
    assert!(limit["spec"]["total"]["requestsPerSecond"].as_u64().unwrap() >= 10_000);
}

#[test]
fn both_meshes_eject_after_as_many_failures_and_send_the_canary_the_same_share() {
    let istio = documents("mesh/istio/outliers.yaml").remove(0);
    let linkerd = documents("mesh/linkerd/accrual.yaml").remove(0);
    let failures =
        &linkerd["metadata"]["annotations"]["balancer.linkerd.io/failure-accrual-consecutive-max-failures"];
    let of_istio = &istio["spec"]["trafficPolicy"]["outlierDetection"]["consecutiveGatewayErrors"];
    assert_eq!(*failures, of_istio.to_string());

    let share = |file: &str, path: &str| -> Vec<u64> {
        let patches = documents(file).remove(0);
        let patch = each(&patches).find(|patch| patch["path"] == path).unwrap();
        each(&patch["value"]).map(|target| target["weight"].as_u64().unwrap()).collect()
    };
    let of_istio = share("mesh/istio/canary/routes.yaml", "/spec/http/0/route");
    assert_eq!(of_istio, share("mesh/linkerd/canary/routes.yaml", "/spec/rules/0/backendRefs"));
    assert_eq!(of_istio.iter().sum::<u64>(), 100);
}

#[test]
fn calls_between_proxies_of_linkerd_pass_every_network_policy() {
    let component = documents("mesh/linkerd/kustomization.yaml").remove(0);
    let patched = each(&component["patches"]).filter(|patch| patch["target"]["kind"] == "NetworkPolicy");
    let patched: Vec<_> = patched
        .filter(|patch| text(&patch["patch"]).contains("port: 4143"))
        .flat_map(|patch| {
            let direction = if text(&patch["patch"]).contains("/egress/") { "egress" } else { "ingress" };
            text(&patch["target"]["name"]).split('|').map(move |name| format!("{direction} {name}"))
        })
        .collect();
    for name in ["ingress metrics", "egress traces", "ingress gateway", "egress gateway", "ingress config"] {
        assert!(patched.iter().any(|one| one == name), "{name} is not in {patched:?}");
    }
}
