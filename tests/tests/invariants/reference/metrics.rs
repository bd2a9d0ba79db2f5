//! `docs/metrics.md`: every metric family that running services expose, with type, labels and histogram buckets.

use std::collections::BTreeSet;

use dataflow_mesh::process::Process;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::certificates::Authority;
use dataflow_tests::services;
use dataflow_tests::tokens::Issuer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{read, rows};

#[tokio::test]
async fn the_page_lists_every_family_with_its_type_and_labels() {
    let config = services::config([]).await;
    // Over a closed port in place of Redis: a circuit breaker exposes its series from the start.
    let process = Process::default();
    let store = services::redis_at("redis://127.0.0.1:1", &process);
    let cache = services::cache_over(store, &[]).await;
    let config_url = config.upstream.to_string();
    let analysis = services::analysis(&["--config-url", &config_url]).await;
    // A family exposes its labels after the first counted call; rejected calls count too.
    let _ = RuleServiceClient::new(config.channel()).list_rulesets(config::ListRulesetsRequest {}).await;
    let _ = CacheServiceClient::new(cache.channel()).get_entry(cache::GetEntryRequest::default()).await;
    let request = pb::CategorizeDataflowRequest::default();
    let _ = AnalysisServiceClient::new(analysis.channel()).categorize_dataflow(request).await;
    let issuer = Issuer::new();
    let subjects = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(subjects.path(), r#"{"subjects": []}"#).unwrap();
    let by_table = ["--peer-identity", "istio", "--subjects-file", subjects.path().to_str().unwrap()];
    let gateway = services::gateway(&[&["--jwks", issuer.jwks()], &by_table[..]].concat()).await;
    // A call that is not admitted.
    let _ = RuleServiceClient::new(gateway.channel()).list_rulesets(config::ListRulesetsRequest {}).await;
    // Certificates of a port that has some.
    let authority = Authority::new();
    let (files, root) = (authority.server(), authority.root());
    let [certificate, key, root] = [&files.certificate, &files.key, &root].map(|path| path.to_str().unwrap());
    let of_tls = ["--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", root];
    let of_tls = [&of_tls[..], &["--subjects-file", subjects.path().to_str().unwrap()]].concat();
    let secure = services::gateway(&of_tls).await;
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut probe = TcpStream::connect(address).await.unwrap();
    probe.write_all(b"GET /live HTTP/1.0\r\n\r\n").await.unwrap();
    probe.read_to_end(&mut Vec::new()).await.unwrap();
    let shown =
        [&config, &cache, &analysis, &gateway, &secure].map(|service| service.metrics.encode()).concat();
    let shown = shown + &process.metrics.encode();

    let page = read("docs/metrics.md");
    let on_page = rows(&page, "| family | type | labels | unit | meaning |").into_iter();
    let on_page: Vec<[String; 3]> = on_page.map(|row| row[..3].to_vec().try_into().unwrap()).collect();
    assert_eq!(
        on_page,
        families(&shown).into_iter().collect::<Vec<_>>(),
        "docs/metrics.md, sorted by family"
    );

    let bounds = shown.lines().find_map(|line| line.contains("_bucket{").then(|| bounds(&shown, line)));
    let bounds = bounds.expect("a histogram has buckets").join(", ");
    let bounds = bounds.strip_suffix(", +Inf").expect("the last bucket is +Inf");
    assert!(
        page.contains(&format!(" {bounds} seconds and `+Inf`")),
        "docs/metrics.md does not list {bounds}"
    );
}

#[test]
fn families_are_read_with_their_labels() {
    let text = "# HELP a A.\n# TYPE a counter\na_total{role=\"x\",b=\"c\"} 1\na_total{role=\"y\",b=\"c\"} 1\n\
                # HELP d D.\n# TYPE d histogram\nd_sum{role=\"x\"} 1\nd_bucket{role=\"x\",le=\"0.1\"} 0\n# EOF\n";
    let expected = [["a", "counter", "role, b"], ["d", "histogram", "role"]];
    assert_eq!(families(text), expected.map(|family| family.map(str::to_owned)).into());
}

/// Name, type and labels of each family in the OpenMetrics text format.
fn families(text: &str) -> BTreeSet<[String; 3]> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let families = types.map(|(name, kind)| {
        let samples: Vec<_> = text.lines().filter(|line| line.starts_with(name)).collect();
        assert!(!samples.is_empty(), "{name} has no sample");
        let labels = samples.iter().find_map(|line| line.split_once('{')?.1.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split(',').filter(|label| !label.is_empty());
        let labels: Vec<_> =
            labels.filter_map(|label| label.split('=').next()).filter(|name| *name != "le").collect();
        [name.to_owned(), kind.to_owned(), labels.join(", ")]
    });
    families.collect()
}

/// The bucket bounds of the histogram that the sample belongs to.
fn bounds(text: &str, sample: &str) -> Vec<String> {
    // `le` is the first label, so `role=` cannot match.
    let (name, labels) = sample.split_once("{le=\"").expect("the first label of a bucket is its upper bound");
    let series = labels.split_once('"').and_then(|(_, others)| others.split_once('}')).expect("labels end").0;
    let bounds = text.lines().filter_map(|line| {
        let (bound, others) = line.strip_prefix(name)?.strip_prefix("{le=\"")?.split_once('"')?;
        others.starts_with(series).then(|| bound.to_owned())
    });
    bounds.collect()
}
