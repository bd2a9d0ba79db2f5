//! Manifests use flags, ports and paths of the binary, and a sufficient grace period.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use dataflow_tests::manifests::{documents, each, of_kind, text};
use dataflow_tests::{binary, in_repository};
use serde_json::{Value, json};

const ROLES: [&str; 4] = ["gateway", "analysis", "cache", "config"];

/// The Deployment of a role, and the patch for all of them.
fn deployment(role: &str) -> [Value; 2] {
    let own = of_kind(&format!("k8s/base/{role}.yaml"), "Deployment").pop().unwrap();
    [own, documents("k8s/base/pods.yaml").pop().unwrap()]
}

/// The Service of a role that receives calls.
fn service(role: &str) -> Value {
    of_kind(&format!("k8s/base/{role}.yaml"), "Service").swap_remove(0)
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// The variables of a role's pod in production; values of the base are last.
fn variables(role: &str) -> BTreeMap<String, String> {
    variables_in(&["production/environment", "production/gateway"], role)
}

/// The variables of a role's pod with the patches of an overlay.
fn variables_in(patches: &[&str], role: &str) -> BTreeMap<String, String> {
    let patches: Vec<_> = patches.iter().map(|patch| format!("k8s/overlays/{patch}.yaml")).collect();
    let patches = patches.iter().filter(|patch| role == "gateway" || !patch.contains("gateway"));
    let mut all: Vec<Value> = patches.flat_map(|patch| of_kind(patch, "Deployment")).collect();
    if ["analysis", "cache", "config"].contains(&role) {
        all.extend(of_kind("k8s/components/redis/clients.yaml", "Deployment"));
    }
    all.extend(deployment(role));
    let variables = all.iter().flat_map(|deployment| each(&container(deployment)["env"]));
    // A field of the pod stands for its value.
    let value = |variable: &Value| match &variable["valueFrom"]["fieldRef"]["fieldPath"] {
        Value::String(path) => path.clone(),
        _ => text(&variable["value"]).to_owned(),
    };
    let pair = |variable: &Value| (text(&variable["name"]).to_owned(), value(variable));
    variables.map(pair).collect()
}

#[test]
fn every_variable_belongs_to_a_flag_and_has_a_valid_value() {
    let dev = variables_in(&["dev/gateway"], "gateway");
    let production = ROLES.into_iter().map(|role| (role, variables(role)));
    for (role, variables) in production.chain([("gateway", dev)]) {
        assert!(variables.len() > 3, "{variables:?}");
        let own: Vec<_> = variables.keys().filter(|name| !name.starts_with("DATAFLOW_")).collect();
        assert!(own.is_empty(), "{role}: {own:?}");
        // The binary reports the resulting settings, and unknown names.
        let mut command = binary::command(&[role, "--show-config"]);
        let ended = command.envs(&variables).output().unwrap();
        let shown = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success(), "{role}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(!shown.contains("unknown:"), "{role}: {shown}");
        for name in variables.keys() {
            assert!(shown.contains(name.as_str()), "{role}: {name} has no effect: {shown}");
        }
    }
}

#[test]
fn ports_and_probes_match_the_addresses_of_the_process() {
    for role in ROLES {
        let [own, all] = deployment(role);
        let variables = variables(role);
        let port =
            |variable: &str| -> u64 { variables[variable].rsplit(':').next().unwrap().parse().unwrap() };
        let api = &container(&own)["ports"][0];
        assert_eq!(api["containerPort"], port("DATAFLOW_LISTEN"), "{role}");
        let admin = &container(&all)["ports"][0];
        assert_eq!(
            (&admin["name"], &admin["containerPort"]),
            (&"admin".into(), &port("DATAFLOW_ADMIN").into())
        );
        assert_eq!(container(&own)["args"][0], role);

        let called = service(role);
        let ports = &called["spec"]["ports"];
        assert_eq!(
            (&ports[0]["port"], &ports[0]["targetPort"]),
            (&api["containerPort"], &api["name"]),
            "{role}"
        );
        // With any other protocol Linkerd balances per connection.
        assert_eq!(ports[0]["appProtocol"], "kubernetes.io/h2c", "{role}");
        for peer in ["ANALYSIS", "CACHE", "CONFIG"] {
            let Some(url) = variables.get(&format!("DATAFLOW_{peer}_URL")) else { continue };
            let peer = peer.to_lowercase();
            let service = service(&peer);
            assert_eq!(*url, format!("http://{peer}:{}", service["spec"]["ports"][0]["port"]), "{role}");
        }
        for peer in ["ANALYSIS", "CACHE", "CONFIG"] {
            let Some(url) = variables.get(&format!("DATAFLOW_{peer}_REPLICAS")) else { continue };
            let [calls, replicas] = of_kind(&format!("k8s/base/{}.yaml", peer.to_lowercase()), "Service")
                .try_into()
                .expect("one Service for calls, one for every replica");
            assert_eq!(replicas["spec"]["clusterIP"], "None", "{peer}");
            assert_eq!(replicas["spec"]["selector"], calls["spec"]["selector"], "{peer}");
            assert_eq!(replicas["spec"]["ports"][0], calls["spec"]["ports"][0], "{peer}");
            let (name, port) = (text(&replicas["metadata"]["name"]), &calls["spec"]["ports"][0]["port"]);
            assert_eq!(*url, format!("dns://{name}:{port}"), "{peer}");
        }
        for (probe, path) in
            [("startupProbe", "/startupz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/livez")]
        {
            let asked = &container(&all)[probe]["httpGet"];
            assert_eq!((&asked["path"], &asked["port"]), (&path.into(), &"admin".into()), "{probe}");
        }
    }
}

#[test]
fn the_gateway_reaches_a_key_set_over_https_only() {
    let policy = documents("k8s/components/jwks/network.yaml").pop().unwrap();
    let [gateway, _] = deployment("gateway");
    let labels = &gateway["spec"]["template"]["metadata"]["labels"];
    let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
    assert!(!selected.is_empty(), "an empty selector is every pod");
    assert!(selected.iter().all(|(name, value)| labels[name] == *value), "{selected:?}");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Egress"]));
    let rules: Vec<_> = each(&policy["spec"]["egress"]).collect();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0]["ports"], json!([{"port": 443}]));
    let of_clouds = ["169.254.0.0/16", "fd00:ec2::254/128"];
    let excepted: Vec<_> =
        each(&rules[0]["to"]).flat_map(|block| each(&block["ipBlock"]["except"])).map(text).collect();
    assert!(of_clouds.iter().all(|metadata| excepted.contains(metadata)), "{excepted:?}");
}

#[test]
fn the_grace_period_covers_the_stop_of_the_process() {
    let [_, all] = deployment("gateway");
    let grace = all["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    let variables = variables("gateway");
    let seconds = |text: &str| humantime(text).as_secs();
    // A second to close connections, and the time in which exporters flush their buffers.
    let stopping =
        seconds(&variables["DATAFLOW_DRAIN_DELAY"]) + seconds(&variables["DATAFLOW_DRAIN_TIMEOUT"]) + 1;
    assert!(stopping + 5 <= grace, "{stopping} s of {grace}");
    let patch = |mesh: &str| documents(&format!("mesh/{mesh}/pods.yaml")).pop().unwrap();
    let annotation = |mesh: &str, name: &str| {
        text(&patch(mesh)["spec"]["template"]["metadata"]["annotations"][name]).to_owned()
    };
    let istio = annotation("istio", "proxy.istio.io/config");
    let istio = istio.trim().strip_prefix("terminationDrainDuration: ").unwrap();
    for proxy in [istio, &annotation("linkerd", "config.linkerd.io/shutdown-grace-period")] {
        assert!(
            (stopping..grace).contains(&seconds(proxy)),
            "{proxy} is not between {stopping} s and {grace} s"
        );
    }
}

/// Parses a duration in seconds, the unit of these files.
fn humantime(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).unwrap())
}

#[test]
fn the_image_uses_the_pinned_compiler_and_the_user_of_the_manifests() {
    let dockerfile = fs::read_to_string(in_repository("Dockerfile")).unwrap();
    let toolchain = fs::read_to_string(in_repository("rust-toolchain.toml")).unwrap();
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "{channel}");
    let [_, all] = deployment("gateway");
    let security = &all["spec"]["template"]["spec"]["securityContext"];
    let user = format!("USER {}:{}", security["runAsUser"], security["runAsGroup"]);
    assert!(dockerfile.contains(&user), "{user}");
    assert!(dockerfile.contains("ENTRYPOINT [\"/dataflow\"]"), "the container's argument is the role");
    let ended = binary::run(&["healthcheck", "--help"]);
    assert_eq!(ended.code, 0, "the HEALTHCHECK uses it");
}
