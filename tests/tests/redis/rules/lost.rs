//! A Redis that restarts without its data: the rules stay in use, and changes are rejected until an operator decides.

use std::sync::Arc;

use dataflow_mesh::process::Process;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::editor::{editor, new, reason};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services;

#[tokio::test(flavor = "multi_thread")]
async fn rules_outlive_a_redis_that_restarts_empty() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    let store = services::redis_at(server.url(), &Process::default());
    let start =
        async || services::config_over(Arc::clone(&store), dataflow_rules::built_in::rulesets()).await;
    let (config, other) = (start().await, start().await);
    let create =
        async |config, rule: &str| editor(config).create_rule(new(rule, Category::Health, "care")).await;
    let get = async |config, rule: &str| {
        let request = pb::GetRuleRequest { rule: rule.to_owned(), ..pb::GetRuleRequest::default() };
        editor(config).get_rule(request).await
    };
    create(&config, "kept").await.unwrap();
    eventually(TIMEOUT, "every replica has it", async || get(&other, "kept").await.is_ok()).await;

    server.kill();
    // The test server has no persistence.
    server.restart();
    for config in [&config, &other] {
        eventually(TIMEOUT, "changes are rejected", async || {
            create(config, "new").await.is_err_and(|refused| reason(&refused) == "JOURNAL_LOST")
        })
        .await;
        get(config, "kept").await.unwrap();
    }

    // A restarted replica begins with what the store has; the others stay as they are.
    let restarted = start().await;
    assert!(get(&restarted, "kept").await.is_err());
    create(&restarted, "new").await.unwrap();
    let refused = create(&other, "another").await.unwrap_err();
    assert_eq!(reason(&refused), "JOURNAL_LOST");
    get(&other, "kept").await.unwrap();
}
