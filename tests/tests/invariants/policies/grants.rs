//! Permissions: both meshes grant the same, only methods that exist, and all of them.

use std::collections::BTreeSet;

use dataflow_tests::manifests::{Grant, each, istio_grants, of_kind, text};
use serde_json::Value;

use super::contract::served_by;

/// Services that are called within the mesh.
const CALLED: [&str; 3] = ["analysis", "cache", "config"];

fn linkerd() -> BTreeSet<Grant> {
    const FILE: &str = "mesh/linkerd/identity.yaml";
    let named = |all: &[Value], name: &Value| {
        let found = all.iter().find(|one| one["metadata"]["name"] == *name);
        found.unwrap_or_else(|| panic!("no object is named {name}")).clone()
    };
    let (routes, callers) = (of_kind(FILE, "GRPCRoute"), of_kind(FILE, "MeshTLSAuthentication"));
    let mut grants = BTreeSet::new();
    for policy in of_kind(FILE, "AuthorizationPolicy") {
        let target = &policy["spec"]["targetRef"];
        if target["kind"] != "GRPCRoute" {
            continue;
        }
        let route = named(&routes, &target["name"]);
        let server = text(&route["spec"]["parentRefs"][0]["name"]).to_owned();
        let role = CALLED.into_iter().find(|role| server.starts_with(role)).unwrap();
        let authentication = named(&callers, &policy["spec"]["requiredAuthenticationRefs"][0]["name"]);
        for caller in each(&authentication["spec"]["identityRefs"]) {
            assert_eq!(caller["kind"], "ServiceAccount");
            let matches = each(&route["spec"]["rules"]).flat_map(|rule| each(&rule["matches"]));
            grants.extend(matches.map(|matched| {
                let method = &matched["method"];
                let path = format!("/{}/{}", text(&method["service"]), text(&method["method"]));
                (text(&caller["name"]).to_owned(), role.to_owned(), path)
            }));
        }
    }
    grants
}

#[test]
fn exactly_the_methods_of_the_contract_are_granted() {
    let grants = istio_grants();
    for role in CALLED {
        let granted: BTreeSet<_> =
            grants.iter().filter(|(_, called, _)| called == role).map(|(_, _, path)| path.clone()).collect();
        let served: BTreeSet<_> = served_by(role).into_iter().collect();
        let unknown: Vec<_> = granted.difference(&served).collect();
        let forgotten: Vec<_> = served.difference(&granted).collect();
        assert!(
            unknown.is_empty() && forgotten.is_empty(),
            "{role}: unknown {unknown:?}, forgotten {forgotten:?}"
        );
    }
}

#[test]
fn no_route_exceeds_the_match_limit_of_older_gateway_apis() {
    // Before Gateway API 1.3 a rule of a GRPCRoute has at most eight matches.
    for file in ["mesh/linkerd/identity.yaml", "mesh/linkerd/resilience.yaml"] {
        for route in of_kind(file, "GRPCRoute") {
            let most = each(&route["spec"]["rules"]).map(|rule| each(&rule["matches"]).count()).max();
            assert!(most.is_some_and(|most| most <= 8), "{}: {most:?}", route["metadata"]["name"]);
        }
    }
}

#[test]
fn both_meshes_grant_the_same() {
    let (istio, linkerd) = (istio_grants(), linkerd());
    let (only_istio, only_linkerd): (Vec<_>, Vec<_>) =
        (istio.difference(&linkerd).collect(), linkerd.difference(&istio).collect());
    assert!(only_istio.is_empty() && only_linkerd.is_empty(), "{only_istio:#?} {only_linkerd:#?}");
}

#[test]
fn services_are_granted_exactly_what_they_call() {
    let grants = istio_grants();
    let of = |caller: &str| -> Vec<&str> {
        let of_caller = grants.iter().filter(|(name, _, _)| name == caller);
        of_caller.map(|(_, _, path)| path.rsplit('/').next().unwrap()).collect()
    };
    assert_eq!(of("cache"), ["WatchConfig"]);
    let of_cache = ["LeaseEntry", "ReleaseLease", "SetEntry"];
    let of_config = [
        "WatchConfig",
        "WatchFlags",
        "GetProvider",
        "GetOverlay",
        "WatchOverlays",
        "WatchRulesets",
        "GetThemeOverlay",
        "WatchThemes",
    ];
    assert_eq!(of("analysis"), [&of_cache[..], &of_config].concat());
    let callers: BTreeSet<_> = grants.iter().map(|(caller, _, _)| caller.as_str()).collect();
    assert_eq!(callers.into_iter().collect::<Vec<_>>(), ["analysis", "cache", "gateway"]);
}

#[test]
fn inbound_traffic_is_mutual_tls_and_redis_is_outside_the_mesh() {
    let modes = of_kind("mesh/istio/identity.yaml", "PeerAuthentication");
    let mode =
        |name: &str| modes.iter().find(|mode| mode["metadata"]["name"] == name).unwrap()["spec"].clone();
    assert_eq!(mode("default")["mtls"]["mode"], "STRICT");
    let admin = mode("admin");
    assert_eq!(
        (&admin["mtls"]["mode"], &admin["portLevelMtls"]["9090"]["mode"]),
        (&"STRICT".into(), &"PERMISSIVE".into())
    );

    // Other than the mesh's own accounts only the ingress is allowed, and only for the gateway.
    for policy in of_kind("mesh/istio/identity.yaml", "AuthorizationPolicy") {
        let namespaces = each(&policy["spec"]["rules"])
            .flat_map(|rule| each(&rule["from"]).flat_map(|from| each(&from["source"]["namespaces"])));
        let namespaces: Vec<_> = namespaces.map(text).collect();
        let expected: &[&str] = if policy["metadata"]["name"] == "gateway" { &["ingress"] } else { &[] };
        assert_eq!(namespaces, expected, "{}", policy["metadata"]["name"]);
    }

    let redis = of_kind("k8s/components/redis/redis.yaml", "StatefulSet").pop().unwrap();
    let pod = redis["spec"]["template"]["metadata"].to_string();
    assert!(!pod.contains("inject"), "{pod}");
    let clients = of_kind("k8s/components/redis/network.yaml", "NetworkPolicy");
    let callers: BTreeSet<_> = clients
        .iter()
        .flat_map(|policy| each(&policy["spec"]["ingress"]).flat_map(|rule| each(&rule["from"])))
        .flat_map(|from| {
            let labels = &from["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
            let listed = each(&from["podSelector"]["matchExpressions"]).flat_map(|one| each(&one["values"]));
            std::iter::once(labels).chain(listed).filter_map(Value::as_str).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(callers.into_iter().collect::<Vec<_>>(), ["analysis", "cache", "config"]);
}
