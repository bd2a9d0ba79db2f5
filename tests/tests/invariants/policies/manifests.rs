//! Manifests name flags, ports and paths that the binary has, and leave it the time that it takes to stop.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use dataflow_tests::manifests::{documents, each, of_kind, text};
use dataflow_tests::{binary, in_repository};
use serde_json::Value;

const ROLES: [&str; 4] = ["gateway", "analysis", "cache", "config"];

/// The Deployment of a role and what is laid over all of them.
fn deployment(role: &str) -> [Value; 2] {
    let own = of_kind(&format!("k8s/base/{role}.yaml"), "Deployment").pop().unwrap();
    [own, documents("k8s/base/pods.yaml").pop().unwrap()]
}

fn container(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]
}

/// The variables that a role's pod sets in any overlay, the base's values last.
fn variables(role: &str) -> BTreeMap<String, String> {
    let patches = ["production/environment", "dev/gateway", "production/gateway"];
    let patches = patches.map(|patch| format!("k8s/overlays/{patch}.yaml"));
    let patches = patches.iter().filter(|patch| role == "gateway" || !patch.contains("gateway"));
    let mut all: Vec<Value> = patches.flat_map(|patch| of_kind(patch, "Deployment")).collect();
    if ["cache", "config"].contains(&role) {
        all.extend(of_kind("k8s/components/redis/clients.yaml", "Deployment"));
    }
    all.extend(deployment(role));
    let variables = all.iter().flat_map(|deployment| each(&container(deployment)["env"]));
    let pair = |variable: &Value| (text(&variable["name"]).to_owned(), text(&variable["value"]).to_owned());
    variables.map(pair).collect()
}

#[test]
fn every_variable_is_one_of_the_commands_and_has_a_value_that_it_takes() {
    for role in ROLES {
        let variables = variables(role);
        assert!(variables.len() > 3, "{variables:?}");
        let own: Vec<_> = variables.keys().filter(|name| !name.starts_with("DATAFLOW_")).collect();
        assert!(own.is_empty(), "{role}: {own:?}");
        // The binary itself says what it makes of them, and what it does not know.
        let mut command = binary::command(&[role, "--show-config"]);
        let ended = command.envs(&variables).output().unwrap();
        let shown = String::from_utf8(ended.stdout).unwrap();
        assert!(ended.status.success(), "{role}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(!shown.contains("unknown:"), "{role}: {shown}");
        for name in variables.keys() {
            assert!(shown.contains(name.as_str()), "{role}: nothing comes of {name}: {shown}");
        }
    }
}

#[test]
fn ports_and_probes_are_where_the_process_listens() {
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

        let service = of_kind(&format!("k8s/base/{role}.yaml"), "Service").pop().unwrap();
        let ports = &service["spec"]["ports"];
        assert_eq!(
            (&ports[0]["port"], &ports[0]["targetPort"]),
            (&api["containerPort"], &api["name"]),
            "{role}"
        );
        // Anything else makes Linkerd balance by the connection.
        assert_eq!(ports[0]["appProtocol"], "kubernetes.io/h2c", "{role}");
        for peer in ["ANALYSIS", "CACHE", "CONFIG"] {
            let Some(url) = variables.get(&format!("DATAFLOW_{peer}_URL")) else { continue };
            let peer = peer.to_lowercase();
            let service = of_kind(&format!("k8s/base/{peer}.yaml"), "Service").pop().unwrap();
            assert_eq!(*url, format!("http://{peer}:{}", service["spec"]["ports"][0]["port"]), "{role}");
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
fn a_pod_has_the_time_that_its_process_takes_to_stop() {
    let [_, all] = deployment("gateway");
    let grace = all["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    let variables = variables("gateway");
    let seconds = |text: &str| humantime(text).as_secs();
    // A second to close connections, and as many as exporters may take to send what they hold.
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

/// Seconds, as these files write all durations.
fn humantime(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).unwrap())
}

#[test]
fn the_image_is_built_by_the_compiler_that_everybody_uses_and_runs_as_the_manifests_say() {
    let dockerfile = fs::read_to_string(in_repository("Dockerfile")).unwrap();
    let toolchain = fs::read_to_string(in_repository("rust-toolchain.toml")).unwrap();
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "{channel}");
    let [_, all] = deployment("gateway");
    let security = &all["spec"]["template"]["spec"]["securityContext"];
    let user = format!("USER {}:{}", security["runAsUser"], security["runAsGroup"]);
    assert!(dockerfile.contains(&user), "{user}");
    assert!(dockerfile.contains("ENTRYPOINT [\"/dataflow\"]"), "a role is the container's argument");
    let ended = binary::run(&["healthcheck", "--help"]);
    assert_eq!(ended.code, 0, "the image asks by it");
}
