//! Every query of the dashboards and every rule, on a Prometheus that scrapes `dataflow up` with Redis.

use std::collections::BTreeMap;
use std::fs;

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::manifests::{each, text};
use dataflow_tests::prometheus::{self, Prometheus};
use dataflow_tests::{example, http, in_repository, redis};
use serde_json::Value;

/// Panels of which a query returns nothing here: what a healthy mesh does not have, and what a flag switches on.
const EMPTY: [&str; 7] = [
    "Age of the key set",
    "Alerts",
    "Calls rejected because of overload",
    "Calls that fail",
    "Failed reads of the key set",
    "Faults a second by method",
    "Identities with a rate",
];

/// All queries of the dashboards, with where they are.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for file in fs::read_dir(in_repository("k8s/observability/dashboards")).unwrap().flatten() {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(file.path()).unwrap()).unwrap();
        for panel in each(&dashboard["panels"]) {
            for target in each(&panel["targets"]) {
                let query = text(&target["expr"]);
                let query = query.replace("$__rate_interval", "1m").replace("$namespace", ".*");
                queries.push((text(&panel["title"]).to_owned(), query));
            }
        }
    }
    queries
}

/// One call of each kind, some of which fail.
async fn calls(up: &Upstream) {
    let catalogue = fs::read(example()).unwrap();
    for (method, target, body) in [
        ("POST", "/v1/catalogues:analyze", catalogue.as_slice()),
        ("POST", "/v1/catalogues:analyze", b"no catalogue".as_slice()),
        ("POST", "/v1/dataflows:categorize", br#"{"dataflow":{"id":"A","names":{"en":"Jobs"}}}"#),
        ("GET", "/v1/rules", b""),
        ("GET", "/v1/rules/absent", b""),
        ("GET", "/absent", b""),
    ] {
        http::request(up, method, target, &[("content-type", "application/json")], body).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboards_is_answered_and_most_show_something() {
    if !prometheus::available() || !redis::available() {
        return;
    }
    let redis = redis::Server::start();
    let up = Service::start("up", &["--redis-url", redis.url()]);
    let upstream = format!("http://{}", up.address).parse().unwrap();
    let prometheus = Prometheus::scraping(&up.admin.to_string());
    let queries = queries();
    assert!(queries.len() > 50, "{}", queries.len());
    // A rate needs two scrapes, and a rule what it is made of.
    let mut empty = BTreeMap::new();
    let checked = async {
        loop {
            calls(&upstream).await;
            empty = shown_nothing(&prometheus, &queries).await;
            if empty.keys().all(|title| EMPTY.contains(&title.as_str())) {
                return;
            }
        }
    };
    let checked = tokio::time::timeout(TIMEOUT, checked).await;
    assert!(checked.is_ok(), "these queries return nothing: {empty:#?}");
    for title in EMPTY {
        assert!(queries.iter().any(|(panel, _)| panel == title), "there is no panel {title:?}");
    }
}

/// The queries that return no series, by the title of their panel.
async fn shown_nothing(prometheus: &Prometheus, queries: &[(String, String)]) -> BTreeMap<String, String> {
    let mut empty = BTreeMap::new();
    for (title, query) in queries {
        let series = prometheus.query(query).await;
        if series.unwrap_or_else(|error| panic!("{title}: {query}: {error}")).is_empty() {
            empty.insert(title.clone(), query.clone());
        }
    }
    empty
}
