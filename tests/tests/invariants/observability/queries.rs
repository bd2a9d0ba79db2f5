//! The metrics and labels that a query names, compared with docs/metrics.md. Only what that takes is read of PromQL:
//! promtool parses each query.

use std::collections::{BTreeMap, BTreeSet};

use super::{recorded, rules};
use crate::expect_none;
use crate::reference::{read, rows};

/// Labels that Prometheus adds to the series of a pod. Of two labels of the same name, that of the metric gets the
/// prefix `exported_`.
const OF_TARGETS: [&str; 7] = ["exported_namespace", "instance", "job", "le", "namespace", "pod", "service"];

/// Metrics that Prometheus itself and kube-state-metrics have, and their labels.
const OF_OTHERS: [(&str, &[&str]); 3] = [
    ("up", &[]),
    ("ALERTS", &["alertname", "alertstate"]),
    ("kube_cronjob_status_last_successful_time", &["cronjob"]),
];

/// Words of the language that stand where a metric could.
const RESERVED: [&str; 15] = [
    "and",
    "avg",
    "bool",
    "by",
    "count",
    "count_values",
    "group",
    "group_left",
    "max",
    "min",
    "offset",
    "or",
    "sum",
    "unless",
    "without",
];

/// Words that a list of labels follows.
const GROUPINGS: [&str; 4] = ["by", "ignoring", "on", "without"];

/// What a query names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    /// The metrics, each with the labels of its selectors.
    metrics: Vec<(String, Vec<String>)>,
    /// The labels by which series are aggregated.
    labels: BTreeSet<String>,
}

// === impl Named ===

impl Named {
    fn read(query: &str) -> Self {
        let mut named = Self::default();
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            let length =
                rest.find(|c: char| !(c.is_alphanumeric() || "_:.$".contains(c))).unwrap_or(rest.len());
            let (word, after) = rest.split_at(length);
            let next = after.trim_start();
            match first {
                '"' => rest = until(&rest[1..], '"').1,
                '[' => rest = until(&rest[1..], ']').1,
                '{' => {
                    let (matchers, after) = until(&rest[1..], '}');
                    let labels = labels_of(matchers);
                    named.metrics.last_mut().expect("a selector follows a metric").1.extend(labels);
                    rest = after;
                }
                _ if word.is_empty() => rest = &rest[first.len_utf8()..],
                _ if GROUPINGS.contains(&word) && next.starts_with('(') => {
                    let (labels, after) = until(&next[1..], ')');
                    let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
                    named.labels.extend(labels.map(str::to_owned));
                    rest = after;
                }
                _ => {
                    let is_metric =
                        !first.is_ascii_digit() && !RESERVED.contains(&word) && !next.starts_with('(');
                    if is_metric {
                        named.metrics.push((word.to_owned(), Vec::new()));
                    }
                    rest = after;
                }
            }
        }
        named
    }
}

/// The text up to a character outside of quotation marks, and the text after it.
fn until(text: &str, end: char) -> (&str, &str) {
    let mut quoted = false;
    let at = text.char_indices().find(|(_, c)| {
        let ends = *c == end && !quoted;
        quoted ^= *c == '"';
        ends
    });
    at.map_or((text, ""), |(at, _)| (&text[..at], &text[at + end.len_utf8()..]))
}

/// The labels of the matchers in braces.
fn labels_of(matchers: &str) -> Vec<String> {
    let mut outside = matchers.split('"').step_by(2).collect::<String>();
    outside.retain(|c| !c.is_whitespace());
    let labels = outside.split(',').filter(|label| !label.is_empty());
    labels.map(|label| label.trim_end_matches(['=', '!', '~']).to_owned()).collect()
}

/// Every series that may be named, with its labels; none for recorded ones, which have those of others.
pub(super) fn known() -> BTreeMap<String, Option<Vec<String>>> {
    let page = read("docs/metrics.md");
    let mut known = BTreeMap::new();
    for row in rows(&page, "| family | type | labels | unit | meaning |") {
        let [family, kind, labels, ..] = &row[..] else { panic!("{row:?}") };
        let labels: Vec<_> = labels.split(", ").map(str::to_owned).collect();
        let endings: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        for ending in endings {
            known.insert(format!("{family}{ending}"), Some(labels.clone()));
        }
    }
    assert!(known.len() > 25, "{known:?}");
    let of_others = OF_OTHERS.map(|(name, labels)| {
        (name.to_owned(), Some(labels.iter().map(|label| (*label).to_owned()).collect()))
    });
    known.extend(of_others);
    known.extend(recorded().into_iter().map(|name| (name, None)));
    known
}

/// What a query names that does not exist.
pub(super) fn unknown(query: &str, known: &BTreeMap<String, Option<Vec<String>>>) -> Vec<String> {
    let named = Named::read(query);
    let is_of_target = |label: &String| OF_TARGETS.contains(&label.as_str());
    let all: BTreeSet<_> = known.values().flatten().flatten().collect();
    let mut found = Vec::new();
    for (metric, labels) in &named.metrics {
        match known.get(metric) {
            None => found.push(format!("the metric {metric}")),
            Some(of_metric) => {
                let has = |label: &String| match of_metric {
                    Some(of_metric) => of_metric.contains(label),
                    None => all.contains(label),
                };
                let foreign = labels.iter().filter(|label| !is_of_target(label) && !has(label));
                found.extend(foreign.map(|label| format!("the label {label} of {metric}")));
            }
        }
    }
    let foreign = named.labels.iter().filter(|label| !is_of_target(label) && !all.contains(label));
    found.extend(foreign.map(|label| format!("the label {label}")));
    found
}

/// The queries on a page: blocks of PromQL, arguments of the command `ask`, and code within a sentence that aggregates.
fn queries(page: &str) -> Vec<&str> {
    let mut queries = Vec::new();
    for (at, part) in page.split("```").enumerate() {
        if at % 2 == 0 {
            queries.extend(part.split('`').skip(1).step_by(2).filter(|code| code.contains(" by (")));
        } else if let Some(query) = part.strip_prefix("promql\n") {
            queries.push(query);
        } else {
            let asked = part.lines().filter_map(|line| line.strip_prefix("ask '"));
            queries.extend(asked.map(|query| query.trim_end_matches('\'')));
        }
    }
    queries
}

#[test]
fn queries_are_found_on_a_page() {
    let page = "`a` and `sum by (b) (c)`\n```promql\nd\n```\n`e`\n```sh\nask 'f > 1'\ncurl g\n```\n";
    assert_eq!(queries(page), ["sum by (b) (c)", "d\n", "f > 1"]);
}

#[test]
fn metrics_and_labels_are_found_in_a_query() {
    let named = Named::read(
        r#"histogram_quantile(0.95, sum by (le, a) (rate(b_bucket{c="}", d=~"x|y"}[5m]))) > 1e-6 and on() e:f or 0 * g"#,
    );
    let metric = |name: &str, labels: &[&str]| {
        (name.to_owned(), labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(named.metrics, [metric("b_bucket", &["c", "d"]), metric("e:f", &[]), metric("g", &[])]);
    assert_eq!(named.labels, ["a", "le"].map(str::to_owned).into());

    let known = BTreeMap::from([
        ("a_total".to_owned(), Some(vec!["name".to_owned()])),
        ("b".to_owned(), Some(vec!["to".to_owned()])),
        ("r:s".to_owned(), None),
    ]);
    let check = |query: &str, expected: &[&str]| assert_eq!(unknown(query, &known), expected, "{query}");
    check(r#"sum by (pod, name) (rate(a_total{name="x", pod="y"}[5m])) / r:s{name="z"}"#, &[]);
    check("rate(a[5m])", &["the metric a"]);
    check(r#"a_total{to="x"}"#, &["the label to of a_total"]);
    check("sum by (lost) (b)", &["the label lost"]);
    check(r#"r:s{lost!~"x"}"#, &["the label lost of r:s"]);
}

#[test]
fn rules_name_only_metrics_that_are_exported_or_recorded() {
    let known = known();
    let rules = rules();
    assert!(rules.len() > 50, "{}", rules.len());
    let violations = rules.iter().flat_map(|rule| {
        let name = rule["record"].as_str().or(rule["alert"].as_str()).expect("a rule has a name");
        let query = rule["expr"].as_str().expect("a rule has a query");
        unknown(query, &known).into_iter().map(move |what| format!("{name}: {what}"))
    });
    expect_none(
        &violations.collect::<Vec<_>>(),
        "name a metric and its labels as docs/metrics.md lists them, or a name that k8s/observability/rules record.",
    );
}

#[test]
fn runbooks_and_pages_name_only_metrics_that_are_exported_or_recorded() {
    let known = known();
    let mut count = 0;
    let mut violations = Vec::new();
    let pages = super::files("docs/runbooks/").into_iter().chain(["docs/operations.md".to_owned()]);
    for page in pages {
        let text = read(&page);
        for query in queries(&text) {
            count += 1;
            violations.extend(unknown(query, &known).into_iter().map(|what| format!("{page}: {what}")));
        }
    }
    assert!(count > 20, "{count} queries");
    expect_none(&violations, "name a metric and its labels as docs/metrics.md lists them.");
}
