//! What a client of REST sees, byte by byte. Most of it is data: `scenarios/*.yaml`, one file a subject, so that who
//! knows HTTP but no Rust can read and add to it. What a list of requests cannot say stands in [`changes`],
//! [`headers`], [`limits`] and [`unruly`].

mod changes;
mod check;
mod headers;
mod limits;
mod scenario;
mod unruly;

use std::fs;
use std::path::Path;

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::{http, services};

use scenario::Scenario;

/// Small limits where the default would cost time.
const FLAGS: [&str; 2] = ["--max-body-bytes", "64KiB"];

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_holds() {
    let (gateway, _services) = services::mesh(&FLAGS).await;
    let (mut failures, mut count) = (Vec::new(), 0);
    for (file, scenarios) in files() {
        for scenario in scenarios {
            count += 1;
            let wrongs = run(&gateway.upstream, &scenario).await;
            failures.extend(wrongs.into_iter().map(|wrong| format!("{file}: {}: {wrong}", scenario.name)));
        }
    }
    assert!(failures.is_empty(), "{} wrongs in {count} scenarios:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 0, "there are no scenarios");
}

/// What is wrong with the answer to a scenario, and with what a refusal leaves behind.
async fn run(gateway: &Upstream, scenario: &Scenario) -> Vec<String> {
    let answer = match http::send(gateway, &scenario.request.bytes()).await {
        Ok(answer) => answer,
        Err(error) => return vec![format!("no answer: {error}")],
    };
    let is_refused = answer.status >= 400;
    let mut wrongs = check::wrongs(scenario, &answer);
    if is_refused && !is_served(gateway).await {
        wrongs.push("the next request is not served".to_owned());
    }
    wrongs
}

/// Whether a gateway still answers.
async fn is_served(gateway: &Upstream) -> bool {
    let answer = http::request(gateway, "GET", "/health", &[], &[]).await;
    answer.is_ok_and(|answer| answer.status == 200)
}

/// The scenarios by file, in the order of names.
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
