//! Watches of rule sets that start late or reconnect.

use std::sync::Arc;
use std::time::Duration;

use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_store::embedded::Embedded;
use dataflow_tests::editor::{categorize, category_at, editor, new, put, small};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::relay::Relay;
use dataflow_tests::services;
use tokio::time::{Instant, interval, timeout};

#[tokio::test]
async fn a_watch_sends_a_complete_snapshot_and_ends_on_the_newest_revision() {
    let config = services::config(dataflow_rules::built_in::rulesets()).await;
    let watch = async |known: &[(&str, i64)]| {
        let known_revisions = known.iter().map(|(name, revision)| ((*name).to_owned(), *revision)).collect();
        let request = pb::WatchRulesetsRequest { known_revisions, ..Default::default() };
        editor(&config).watch_rulesets(request).await.unwrap().into_inner()
    };
    let mut up_to_date = watch(&[("default", 1), ("legacy", 1)]).await;
    let nothing = up_to_date.message().await.unwrap().unwrap();
    assert_eq!(nothing, pb::WatchRulesetsResponse { ruleset: None, complete: true });
    for index in 0..20 {
        let rule = new(&format!("r{index}"), Category::Health, "care");
        editor(&config).create_rule(rule).await.unwrap();
    }
    let mut returning = watch(&[("default", 5), ("legacy", 1)]).await;
    let first = returning.message().await.unwrap().unwrap();
    assert_eq!((first.ruleset.unwrap().revision, first.complete), (21, true));
    // A watch that was not read meanwhile may skip revisions, but ends on the newest too.
    loop {
        let message = timeout(TIMEOUT, up_to_date.message()).await.unwrap().unwrap().unwrap();
        if message.ruleset.unwrap().revision == 21 {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_watch_has_the_newest_revision_within_a_second_after_reconnecting() {
    let config = services::config_over(Arc::new(Embedded::new(1 << 20)), small()).await;
    let mut relay = Relay::to(&config.upstream).await;
    let analysis = services::analysis(&["--config-url", &relay.upstream.to_string()]).await;
    let mut client = AnalysisServiceClient::new(analysis.channel());
    let mut revision = 2;
    editor(&config).create_rule(new("swap", category_at(revision), "alphabetical")).await.unwrap();

    // A busy machine may delay it, but not every time.
    let mut times = Vec::new();
    while times.last().is_none_or(|took| *took >= Duration::from_secs(1)) {
        assert!(times.len() < 5, "{times:?}");
        relay.cut();
        let before = revision;
        let (cut, mut pace) = (Instant::now(), interval(Duration::from_millis(50)));
        while cut.elapsed() < Duration::from_secs(10) {
            pace.tick().await;
            revision += 1;
            editor(&config).update_rule(put(category_at(revision))).await.unwrap();
        }
        let known = categorize(&mut client).await.rules_revision;
        assert!(known <= before, "it is disconnected and still serves");

        let back = timeout(TIMEOUT, relay.restore()).await.expect("it reconnects");
        eventually(TIMEOUT, "the newest revision has arrived", async || {
            let answer = categorize(&mut client).await;
            let is_there = answer.rules_revision == revision;
            assert!(!is_there || answer.category() == category_at(revision), "{answer:?}");
            is_there
        })
        .await;
        times.push(back.elapsed());
    }
    println!("{revision} revisions, the newest arrived {times:?} after reconnecting");
}
