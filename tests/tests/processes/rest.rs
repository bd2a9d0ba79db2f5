//! REST at the level of HTTP. Most tests are data: `scenarios/*.yaml`, one file per subject, so that people who know
//! HTTP but not Rust can read and extend them. Tests that a list of requests cannot express are in [`changes`],
//! [`headers`], [`limits`], [`unruly`] and [`validate_only`].

mod changes;
mod check;
mod headers;
mod limits;
mod scenario;
mod unruly;
mod validate_only;

use std::fs;
use std::path::Path;

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::{http, services};

use scenario::Scenario;

/// Small limits where the default would make tests slow.
const FLAGS: [&str; 2] = ["--max-body-bytes", "64KiB"];

#[tokio::test(flavor = "multi_thread")]
async fn all_scenarios_pass() {
    let (gateway, _services) = services::mesh(&FLAGS).await;
    let (mut failures, mut count) = (Vec::new(), 0);
    for (file, scenarios) in files() {
        for scenario in scenarios {
            count += 1;
            let deviations = run(&gateway.upstream, &scenario).await;
            failures
                .extend(deviations.into_iter().map(|wrong| format!("{file}: {}: {wrong}", scenario.name)));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures in {count} scenarios:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(count > 0, "there are no scenarios");
}

/// The failures of a scenario, and whether the gateway still serves after a rejected request.
async fn run(gateway: &Upstream, scenario: &Scenario) -> Vec<String> {
    let answer = match http::send(gateway, &scenario.request.bytes()).await {
        Ok(answer) => answer,
        Err(error) => return vec![format!("no response: {error}")],
    };
    let is_refused = answer.status >= 400;
    let mut deviations = check::deviations(scenario, &answer);
    if is_refused && !is_served(gateway).await {
        deviations.push("the next request is not served".to_owned());
    }
    deviations
}

/// Whether a gateway still serves.
async fn is_served(gateway: &Upstream) -> bool {
    let answer = http::request(gateway, "GET", "/health", &[], &[]).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The scenarios by file, sorted by name.
fn files() -> Vec<(String, Vec<Scenario>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scenarios = serde_saphyr::from_str(&fs::read_to_string(path).unwrap());
        let scenarios = scenarios.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, scenarios)
    };
    paths.iter().map(|path| read(path)).collect()
}
