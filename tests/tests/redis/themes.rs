//! The mapping of themes in a Redis that several config services share: the first change stores it once, and every process
//! reads the changes of the others.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::theme_service_client::ThemeServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_rules::themes::Mapping;
use dataflow_tests::binary;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use futures_util::future::join_all;
use tonic::transport::Channel;

/// A theme of an agency of its own.
pub(crate) fn new(theme_id: &str) -> pb::CreateThemeRequest {
    pb::CreateThemeRequest {
        theme_id: theme_id.to_owned(),
        scheme: "A:*".to_owned(),
        path: vec![theme_id.to_owned()],
        category: Category::Health.into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_over_one_store_store_the_mapping_once_and_read_each_others_changes() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let flags = ["--redis-url", server.url(), "--redis-timeout", "20s"];
    let start = || binary::Service::start("config", &flags);
    let client = async |config: &binary::Service| -> ThemeServiceClient<Channel> {
        ThemeServiceClient::connect(format!("http://{}", config.address)).await.unwrap()
    };
    let (one, other) = (start(), start());
    // Each of them may be the first, which stores the mapping of the release.
    let create = async |(config, theme): (&binary::Service, &str)| {
        client(config).await.create_theme(new(theme)).await.unwrap();
    };
    join_all([(&one, "a"), (&other, "b"), (&one, "c"), (&other, "d")].map(create)).await;
    let later = start();
    let mut seen = Vec::new();
    for config in [&one, &other, &later] {
        let mut client = client(config).await;
        let mut mapping = pb::ThemeMapping::default();
        eventually(TIMEOUT, "all changes are visible", async || {
            let exported = client.export_themes(pb::ExportThemesRequest {}).await.unwrap();
            mapping = exported.into_inner().mapping.unwrap();
            mapping.revision == 5
        })
        .await;
        seen.push(mapping);
    }
    assert_eq!((&seen[0], &seen[1]), (&seen[1], &seen[2]), "the same including etags");
    assert_eq!(seen[0].themes.len(), Mapping::built_in().themes.len() + 4);
}
