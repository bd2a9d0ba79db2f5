//! Dependency rules between crates, checked with `cargo metadata` instead of the manifests, because it resolves renamed
//! and inherited dependencies as the build does. `--no-deps` keeps it offline and fast, since only our own crates
//! matter. Three small structs parse the needed part of its JSON.

use std::process::Command;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::expect_none;
use crate::source;

/// The crates that a capability may depend on: libraries, never another capability.
const CAPABILITY: &[&str] = &[
    "dataflow-proto",
    "dataflow-mesh",
    "dataflow-store",
    "dataflow-settings",
    "dataflow-sdmx",
    "dataflow-rules",
    "dataflow-render",
    "dataflow-uploads",
];

/// All crates: the binary wires them together and the tests use them.
const ALL: &[&str] = &[
    "dataflow-proto",
    "dataflow-mesh",
    "dataflow-store",
    "dataflow-settings",
    "dataflow-sdmx",
    "dataflow-rules",
    "dataflow-render",
    "dataflow-uploads",
    "dataflow-transcode",
    "dataflow-gateway",
    "dataflow-analysis",
    "dataflow-cache",
    "dataflow-catalogue",
    "dataflow-config",
];

/// Every crate of the workspace and the crates that it may depend on, including dev-dependencies.
const DIRECTIONS: [(&str, &[&str]); 16] = [
    ("dataflow-proto", &[]),
    ("dataflow-settings", &[]),
    ("dataflow-sdmx", &[]),
    ("dataflow-rules", &[]),
    ("dataflow-render", &["dataflow-proto", "dataflow-transcode"]),
    ("dataflow-mesh", &["dataflow-proto", "dataflow-settings"]),
    ("dataflow-store", &["dataflow-proto", "dataflow-mesh"]),
    ("dataflow-uploads", &["dataflow-proto", "dataflow-mesh", "dataflow-sdmx", "dataflow-settings"]),
    ("dataflow-transcode", &[]),
    ("dataflow-gateway", &["dataflow-proto", "dataflow-mesh", "dataflow-transcode"]),
    ("dataflow-analysis", CAPABILITY),
    ("dataflow-cache", CAPABILITY),
    ("dataflow-catalogue", CAPABILITY),
    ("dataflow-config", CAPABILITY),
    ("dataflow", ALL),
    ("dataflow-tests", ALL),
];

/// The domain crates: they need no network, so that other programs can use them.
const DOMAIN: [&str; 3] = ["dataflow-sdmx", "dataflow-rules", "dataflow-transcode"];

/// Crates that the domain must not depend on.
const NETWORK: [&str; 8] = ["axum", "h2", "hyper", "http", "redis", "tokio", "tonic", "tower"];

/// The domain crates that know no message of the contract either.
const STATISTICS: [&str; 2] = ["dataflow-sdmx", "dataflow-rules"];

/// Third-party crates that only some of our crates may depend on, with the reason.
const RESERVED: [(&str, &[&str], &str); 4] = [
    ("redis", &["dataflow-store"], "only the store knows Redis; use its traits"),
    (
        "anyhow",
        &["dataflow", "dataflow-tests"],
        "a library's failures are an enum that callers can match; anyhow is for the command and for tests",
    ),
    (
        "axum+serde_json",
        &["dataflow-gateway", "dataflow-mesh", "dataflow-tests"],
        "only the gateway speaks JSON over HTTP, and the mesh's admin port for its status document",
    ),
    (
        "hyper+serde_json",
        &["dataflow-gateway", "dataflow-mesh", "dataflow", "dataflow-tests"],
        "only the gateway speaks JSON over HTTP; the command may, since it fetches and prints",
    ),
];

/// The crates of the workspace.
static WORKSPACE: LazyLock<Vec<Package>> = LazyLock::new(|| {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(source::root()).output();
    let output = output.expect("cargo runs, as it did to build this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).expect("cargo prints the requested format");
    metadata.packages
});

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

/// A dependency of any kind: normal, dev or build.
#[derive(Deserialize)]
struct Dependency {
    name: String,
}

// === impl Package ===

impl Package {
    /// A fictitious crate for a test.
    fn fictitious(name: &str, dependencies: &[&str]) -> Self {
        let dependencies = dependencies.iter().map(|name| Dependency { name: (*name).to_owned() }).collect();
        Self { name: name.to_owned(), manifest_path: String::new(), dependencies }
    }

    fn depends_on(&self, name: &str) -> bool {
        self.dependencies.iter().any(|dependency| dependency.name == name)
    }
}

#[test]
fn dependencies_point_inwards() {
    let check = |package: &Package| -> Vec<String> {
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(name, _)| *name == package.name) else {
            return vec![format!("{} is not in the table of directions", package.name)];
        };
        let names = package.dependencies.iter().map(|dependency| dependency.name.as_str());
        let ours = names.filter(|name| *name == "dataflow" || name.starts_with("dataflow-"));
        let astray = ours.filter(|name| !allowed.contains(name));
        astray.map(|name| format!("{} depends on {name}", package.name)).collect()
    };
    let violations = |name, dependencies: &[&str]| check(&Package::fictitious(name, dependencies)).len();
    assert_eq!(violations("dataflow-cache", &["dataflow-mesh", "tokio"]), 0);
    assert_eq!(violations("dataflow-cache", &["dataflow-mesh", "dataflow-config"]), 1);
    assert_eq!(violations("dataflow-mesh", &["dataflow-store", "dataflow"]), 2);
    assert_eq!(violations("dataflow-novel", &[]), 1);
    expect_none(
        &WORKSPACE.iter().flat_map(check).collect::<Vec<_>>(),
        "services do not know each other: they meet in the contract (proto), on the wire, and in the binary that wires \
         them. Move what two of them need into the crate that both may know, or pass it in from the binary. A new crate \
         is entered in DIRECTIONS here.",
    );
}

#[test]
fn reserved_crates_are_used_only_by_their_owners() {
    let check = |package: &Package| -> Vec<String> {
        let astray = RESERVED.iter().filter(|(names, owners, _)| {
            names.split('+').all(|name| package.depends_on(name)) && !owners.contains(&package.name.as_str())
        });
        astray.map(|(names, _, why)| format!("{} depends on {names}: {why}", package.name)).collect()
    };
    let violations = |name, dependencies: &[&str]| check(&Package::fictitious(name, dependencies)).len();
    assert_eq!(violations("dataflow-store", &["redis"]), 0);
    assert_eq!(violations("dataflow-cache", &["redis"]), 1);
    assert_eq!(violations("dataflow-mesh", &["anyhow"]), 1);
    assert_eq!(violations("dataflow-config", &["serde_json", "tonic"]), 0);
    assert_eq!(violations("dataflow-config", &["serde_json", "axum", "hyper"]), 2);
    assert_eq!(violations("dataflow", &["serde_json", "axum"]), 1);
    expect_none(
        &WORKSPACE.iter().flat_map(check).collect::<Vec<_>>(),
        "use what the crate that owns the dependency offers. RESERVED lists the owners, with the reason.",
    );
}

#[test]
fn the_domain_needs_no_network() {
    let check = |package: &Package| -> Vec<String> {
        let is_domain = DOMAIN.contains(&package.name.as_str());
        let has_messages = !STATISTICS.contains(&package.name.as_str());
        let found = NETWORK.iter().chain(["prost"].iter().filter(|_| !has_messages));
        let found = found.filter(|name| is_domain && package.depends_on(name));
        found.map(|name| format!("{} depends on {name}", package.name)).collect()
    };
    assert_eq!(check(&Package::fictitious("dataflow-sdmx", &["quick-xml", "tokio"])).len(), 1);
    assert_eq!(check(&Package::fictitious("dataflow-sdmx", &["prost"])).len(), 1);
    assert_eq!(check(&Package::fictitious("dataflow-cache", &["tokio"])).len(), 0);
    let known = |name: &&&str| WORKSPACE.iter().any(|package| package.name == ***name);
    assert_eq!(DOMAIN.iter().filter(known).count(), DOMAIN.len(), "DOMAIN names a crate that does not exist");
    expect_none(
        &WORKSPACE.iter().flat_map(check).collect::<Vec<_>>(),
        "the domain computes only from its arguments: move code that needs the network to the capability that uses it.",
    );
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let takes = |manifest: &str| {
        let mut lines = manifest.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
        lines.next().is_some_and(|line| line.trim() == "workspace = true")
    };
    assert!(takes("[package]\n\n[lints]\nworkspace = true\n"));
    assert!(!takes("[package]\nworkspace = true\n"));
    assert!(!takes("[lints.rust]\nworkspace = true\n"));
    let strict = |package: &&Package| {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("Cargo has just read it");
        !takes(&manifest)
    };
    expect_none(
        &WORKSPACE.iter().filter(strict).map(|package| package.manifest_path.clone()).collect::<Vec<_>>(),
        "end the manifest with\n\n[lints]\nworkspace = true",
    );
}

#[test]
fn a_crate_is_named_for_its_folder() {
    let check = |name: &str, manifest_path: &str| {
        let folder = manifest_path.trim_end_matches("/Cargo.toml").rsplit('/').next().unwrap_or_default();
        name.strip_prefix("dataflow-").unwrap_or("dataflow") == folder && name.starts_with("dataflow")
    };
    assert!(check("dataflow-cache", "/x/services/cache/Cargo.toml"));
    assert!(check("dataflow", "/x/services/dataflow/Cargo.toml"));
    assert!(!check("dataflow-cache", "/x/services/kv/Cargo.toml"));
    assert!(!check("cache", "/x/services/cache/Cargo.toml"));
    let astray = WORKSPACE.iter().filter(|package| !check(&package.name, &package.manifest_path));
    expect_none(
        &astray.map(|package| package.manifest_path.clone()).collect::<Vec<_>>(),
        "the crate in folder `x` is `dataflow-x`; only the binary is `dataflow`.",
    );
}
