//! A config service without its store: it serves the built-in rules and themes, and waits for the store.

use dataflow_mesh::process::Process;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::themes::Mapping;
use dataflow_tests::editor::{editor, new, reason, theme_editor};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services;

use crate::themes;

#[tokio::test]
async fn without_its_store_the_service_serves_what_is_built_in_and_rejects_changes() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    server.kill();
    let store = services::redis_at(server.url(), &Process::default());
    let config = services::config_over(store, dataflow_rules::built_in::rulesets()).await;
    let sets = editor(&config).list_rulesets(pb::ListRulesetsRequest {}).await.unwrap().into_inner().rulesets;
    assert_eq!(
        sets.iter().map(|set| set.revision).collect::<Vec<_>>(),
        [0, 0],
        "these calls do not need the store"
    );
    let exported = theme_editor(&config).export_themes(pb::ExportThemesRequest {}).await.unwrap();
    let mapping = exported.into_inner().mapping.unwrap();
    assert_eq!((mapping.revision, mapping.themes.len()), (0, Mapping::built_in().themes.len()));
    let refused = editor(&config).create_rule(new("r", Category::Health, "care")).await.unwrap_err();
    assert_eq!(reason(&refused), "STORE_UNAVAILABLE");
    let refused = theme_editor(&config).create_theme(themes::new("t")).await.unwrap_err();
    assert_eq!(reason(&refused), "STORE_UNAVAILABLE");
    server.restart();
    // It connects to the store by itself, seeds it, and accepts changes.
    let writes = async || editor(&config).create_rule(new("r", Category::Health, "care")).await.is_ok();
    eventually(TIMEOUT, "changes are accepted", writes).await;
    theme_editor(&config).create_theme(themes::new("t")).await.unwrap();
}
