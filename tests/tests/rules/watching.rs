//! Watchers that come late, come back, or wait for what the store does not say.

use std::time::Duration;

use dataflow_mesh::metrics::Metrics;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services;
use tokio::time::timeout;

use super::{editor, new};

#[tokio::test]
async fn who_has_everything_is_told_so_and_who_was_away_ends_on_the_newest() {
    let config = services::config(dataflow_config::built_in::rulesets()).await;
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
    // The one that did not read meanwhile may have missed some, but ends there too.
    loop {
        let message = timeout(Duration::from_secs(10), up_to_date.message()).await.unwrap().unwrap().unwrap();
        if message.ruleset.unwrap().revision == 21 {
            break;
        }
    }
}

#[tokio::test]
async fn without_its_store_the_service_tells_what_the_release_brings_and_refuses_changes() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    server.kill();
    let store = services::redis_at(server.url(), &Metrics::default());
    let config = services::config_over(store, dataflow_config::built_in::rulesets()).await;
    let sets = editor(&config).list_rulesets(pb::ListRulesetsRequest {}).await.unwrap().into_inner().rulesets;
    assert_eq!(
        sets.iter().map(|set| set.revision).collect::<Vec<_>>(),
        [0, 0],
        "they are none of the store's"
    );
    let refused = editor(&config).create_rule(new("r", Category::Health, "care")).await.unwrap_err();
    assert_eq!(super::reason(&refused), "STORE_UNAVAILABLE");
    server.restart();
    // It finds the store by itself, seeds it, and goes on.
    let mut tries = 0;
    while editor(&config).create_rule(new("r", Category::Health, "care")).await.is_err() {
        tries += 1;
        assert!(tries < 100_000, "it never comes back");
    }
}
