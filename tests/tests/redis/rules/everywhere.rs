//! A change reaches every replica, soon and completely.

use std::time::{Duration, Instant};

use dataflow_mesh::process::Process;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::binary;
use dataflow_tests::editor::{categorize, category_at, editor, new, put, small};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services::{self, Service};

/// Number of rule writes, whose 99th percentile is printed.
const WRITES: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_in_use_on_every_replica_within_a_second() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let mut replicas: Vec<(Service, Service)> = Vec::new();
    for _ in 0..3 {
        let store = services::redis_at(server.url(), &Process::default());
        let config = services::config_over(store, small()).await;
        let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
        replicas.push((config, analysis));
    }
    editor(&replicas[0].0).create_rule(new("swap", category_at(2), "alphabetical")).await.unwrap();
    let mut took = Vec::new();
    for write in 0..WRITES {
        let (config, _) = &replicas[write % replicas.len()];
        let revision = i64::try_from(write).unwrap() + 3;
        let began = Instant::now();
        // An editor at a replica without the previous change reloads and decides again.
        editor(config).update_rule(put(category_at(revision))).await.unwrap();
        for (_, analysis) in &replicas {
            let mut client = AnalysisServiceClient::new(analysis.channel());
            eventually(TIMEOUT, "the rule is in use", async || {
                let answer = categorize(&mut client).await;
                let is_there = answer.rules_revision >= revision;
                assert!(!is_there || answer.category() == category_at(revision), "{answer:?}");
                is_there
            })
            .await;
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a rule everywhere: p50 {:?}, p99 {:?}", took[WRITES / 2], took[WRITES * 99 / 100]);
    // A busy machine delays only a few.
    assert!(took[WRITES * 9 / 10] < Duration::from_secs(1), "{:?}", took[WRITES * 9 / 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_over_one_store_read_each_others_changes() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let flags = ["--redis-url", server.url(), "--redis-timeout", "20s"];
    let start = || binary::Service::start("config", &flags);
    let client = async |config: &binary::Service| {
        RuleServiceClient::connect(format!("http://{}", config.address)).await.unwrap()
    };
    let (one, other) = (start(), start());
    for (index, writer) in [&one, &other, &one, &other].into_iter().enumerate() {
        let rule = new(&format!("r-{index}"), Category::Health, "care");
        client(writer).await.create_rule(rule).await.unwrap();
    }
    let later = start();
    let mut seen = Vec::new();
    for config in [&one, &other, &later] {
        let mut client = client(config).await;
        let mut set = pb::Ruleset::default();
        // Its own change is visible immediately, that of the other process after its message.
        eventually(TIMEOUT, "all changes are visible", async || {
            let sets = client.list_rulesets(pb::ListRulesetsRequest {}).await.unwrap().into_inner().rulesets;
            set = sets.into_iter().find(|set| set.ruleset == "default").unwrap();
            set.revision == 5
        })
        .await;
        seen.push(set);
    }
    assert_eq!((&seen[0], &seen[1]), (&seen[1], &seen[2]), "the same including etags");
}
