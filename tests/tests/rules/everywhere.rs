//! A change reaches every replica, soon and whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_store::embedded::Embedded;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services::{self, Service};

use super::{editor, new, small};

/// Rule writes of which the slowest hundredth counts.
const WRITES: usize = 200;

/// How often the rules are swapped under load.
const SWAPS: usize = 1_000;

async fn categorise(client: &mut AnalysisServiceClient<Outbound>) -> analysis::CategorizeDataflowResponse {
    let names = [("en".to_owned(), "Alphabetical order".to_owned())].into();
    let dataflow = analysis::Dataflow { id: "X".to_owned(), names, ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    client.categorize_dataflow(request).await.expect("no request fails").into_inner()
}

fn put(category: Category) -> pb::UpdateRuleRequest {
    let rule = pb::Rule {
        rule_id: "swap".to_owned(),
        category: category.into(),
        keywords: vec!["alphabetical".to_owned()],
        priority: 1000,
        ..Default::default()
    };
    pb::UpdateRuleRequest { rule: Some(rule), ..Default::default() }
}

/// HEALTH at even revisions, LABOUR at odd ones.
fn category_at(revision: i64) -> Category {
    if revision % 2 == 0 { Category::Health } else { Category::Labour }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_compiled_on_every_replica_within_a_second() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let mut replicas: Vec<(Service, Service)> = Vec::new();
    for _ in 0..3 {
        let store = services::redis_at(server.url(), &Metrics::default());
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
        // An editor at a replica that has not heard of the change before decides anew.
        editor(config).update_rule(put(category_at(revision))).await.unwrap();
        for (_, analysis) in &replicas {
            let mut client = AnalysisServiceClient::new(analysis.channel());
            loop {
                let answer = categorise(&mut client).await;
                if answer.rules_revision >= revision {
                    assert_eq!(answer.category(), category_at(revision));
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(60), "it never comes");
            }
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a rule everywhere: p50 {:?}, p99 {:?}", took[WRITES / 2], took[WRITES * 99 / 100]);
    assert!(took[WRITES * 99 / 100] < Duration::from_secs(1), "{:?}", took[WRITES * 99 / 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_or_sees_a_half_made_set_while_rules_are_swapped() {
    let config = services::config_over(Arc::new(Embedded::new(1 << 20)), small()).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    editor(&config).create_rule(new("swap", category_at(2), "alphabetical")).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let load = (0..4).map(|_| {
        let (mut client, done) = (AnalysisServiceClient::new(analysis.channel()), Arc::clone(&done));
        tokio::spawn(async move {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = categorise(&mut client).await;
                if answer.rules_revision >= 2 {
                    assert_eq!(answer.category(), category_at(answer.rules_revision), "{answer:?}");
                }
                calls += 1;
            }
            calls
        })
    });
    let load: Vec<_> = load.collect();
    for swap in 0..SWAPS {
        let revision = i64::try_from(swap).unwrap() + 3;
        editor(&config).update_rule(put(category_at(revision))).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for lane in load {
        calls += lane.await.unwrap();
    }
    println!("{SWAPS} swaps under {calls} requests");
    assert!(calls > SWAPS, "{calls}");
}
