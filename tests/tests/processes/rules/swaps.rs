//! Rule changes under load: every call uses either the rules before or the rules after a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_store::embedded::Embedded;
use dataflow_tests::editor::{categorize, category_at, editor, new, put, small};
use dataflow_tests::services;

/// Number of rule changes under load.
const SWAPS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_or_sees_a_partial_rule_set_during_changes() {
    let config = services::config_over(Arc::new(Embedded::new(1 << 20)), small()).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    editor(&config).create_rule(new("swap", category_at(2), "alphabetical")).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let load = (0..4).map(|_| {
        let (mut client, done) = (AnalysisServiceClient::new(analysis.channel()), Arc::clone(&done));
        tokio::spawn(async move {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = categorize(&mut client).await;
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
