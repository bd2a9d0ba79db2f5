//! Each alert has a runbook, a row in docs/operations.md, and two tests.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_tests::manifests::{documents, each, of_kind, text};
use serde_json::Value;

use super::{files, rules};
use crate::reference::{read, rows};

/// The sections of every runbook.
const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Check", "## Fix"];

/// Every alert, by its name.
fn alerts() -> BTreeMap<String, Value> {
    let alerts = rules().into_iter().filter(|rule| !rule["alert"].is_null());
    let alerts: BTreeMap<_, _> = alerts.map(|rule| (text(&rule["alert"]).to_owned(), rule)).collect();
    assert!(alerts.len() > 20, "{}", alerts.len());
    alerts
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts = alerts();
    for (name, alert) in &alerts {
        let url = text(&alert["annotations"]["runbook_url"]);
        assert!(url.ends_with(&format!("/runbooks/{name}.md")), "{name}: {url}");
        assert!(text(&alert["annotations"]["summary"]).ends_with('.'), "{name}: its summary is a sentence");
        let page = read(format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for section in SECTIONS {
            assert!(page.contains(&format!("\n{section}\n")), "docs/runbooks/{name}.md lacks {section}");
        }
    }
    let pages = files("docs/runbooks/")
        .into_iter()
        .map(|path| path.trim_start_matches("docs/runbooks/").trim_end_matches(".md").to_owned());
    assert_eq!(pages.collect::<BTreeSet<_>>(), alerts.into_keys().collect());
}

#[test]
fn the_page_of_operations_lists_every_alert_with_its_severity() {
    let page = read("docs/operations.md");
    let listed: BTreeMap<_, _> = rows(&page, "| alert | severity | meaning |")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let expected = alerts().into_iter().map(|(name, alert)| {
        let severity = text(&alert["labels"]["severity"]).to_owned();
        assert!(["page", "ticket"].contains(&severity.as_str()), "{name}: {severity}");
        (format!("[{name}](runbooks/{name}.md)"), severity)
    });
    assert_eq!(listed, expected.collect(), "docs/operations.md");
}

#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() {
    let (mut fires, mut does_not) = (BTreeSet::new(), BTreeSet::new());
    for file in files("k8s/observability/tests/") {
        let document = documents(&file).remove(0);
        for test in each(&document["tests"]) {
            let name = text(&test["name"]);
            let checks: Vec<_> = each(&test["alert_rule_test"]).collect();
            let firing = |check: &&&Value| each(&check["exp_alerts"]).count() > 0;
            if let Some(alert) = name.strip_suffix(" does not fire") {
                assert!(!checks.is_empty() && checks.iter().all(|check| !firing(&check)), "{name}");
                assert!(checks.iter().all(|check| check["alertname"] == alert), "{name}");
                does_not.insert(alert.to_owned());
            } else if let Some(alert) = name.strip_suffix(" fires") {
                assert!(checks.iter().all(|check| check["alertname"] == alert), "{name}");
                // Not yet at first, so that the condition of the test is what makes it fire.
                assert!(!firing(&&checks[0]) && firing(&checks.last().unwrap()), "{name}");
                fires.insert(alert.to_owned());
            }
        }
    }
    let expected: BTreeSet<_> = alerts().into_keys().collect();
    assert_eq!((&fires, &does_not), (&expected, &expected));
}

#[test]
fn short_calls_are_those_for_which_the_mesh_has_a_timeout() {
    let of_policies = of_kind("mesh/istio/resilience.yaml", "VirtualService");
    let routes = of_policies.iter().flat_map(|service| each(&service["spec"]["http"]));
    let untimed = routes.filter(|route| route["timeout"].is_null()).flat_map(|route| each(&route["match"]));
    let methods =
        untimed.map(|matched| text(&matched["uri"]["exact"]).rsplit('/').next().unwrap().to_owned());
    let untimed: BTreeSet<_> = methods.collect();
    assert!(untimed.len() > 5, "{untimed:?}");
    let mut count = 0;
    for rule in rules() {
        let query = text(&rule["expr"]);
        for matcher in query.split("grpc_method!~\"").skip(1) {
            let excluded = matcher.split('"').next().unwrap();
            let is_excluded = |method: &str| {
                excluded.split('|').any(|name| match name.strip_suffix(".*") {
                    Some(prefix) => method.starts_with(prefix),
                    None => method == name,
                })
            };
            assert!(untimed.iter().all(|method| is_excluded(method)), "{}: {excluded}", rule["record"]);
            let used =
                |name: &str| untimed.iter().any(|method| method.starts_with(name.trim_end_matches(".*")));
            assert!(excluded.split('|').all(used), "{}: {excluded}", rule["record"]);
            count += 1;
        }
    }
    assert!(count > 5, "{count}");
}
