//! A well-behaved client beside the hostile ones: everything that it does succeeds.

use dataflow_mesh::outbound::Upstream;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1::ListRulesetsRequest;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::{example, http};
use tokio::time::timeout;
use tonic::transport::Channel;

/// The client of a public port, over REST and gRPC.
pub(crate) struct Bystander {
    gateway: Upstream,
    channel: Channel,
    document: Vec<u8>,
}

// === impl Bystander ===

impl Bystander {
    /// Connects to `HOST:PORT`.
    pub(crate) async fn connect(address: &str) -> Self {
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        let document = std::fs::read(example()).unwrap();
        Self { gateway: url.parse().unwrap(), channel, document }
    }

    /// Uses each service this many times, and analyzes a catalogue once. Each call must succeed.
    pub(crate) async fn is_unharmed(&self, times: usize) {
        for _ in 0..times {
            timeout(TIMEOUT, self.use_each_service()).await.expect("each service responds");
        }
        let analyzed = http::request(&self.gateway, "POST", "/v1/catalogues:analyze", &[], &self.document)
            .await
            .unwrap();
        assert_eq!(analyzed.status, 200, "{}", String::from_utf8_lossy(&analyzed.body));
    }

    async fn use_each_service(&self) {
        let body = br#"{"dataflow": {"id": "a", "names": {"en": "Employment"}}}"#;
        let json = [("content-type", "application/json")];
        let categorized =
            http::request(&self.gateway, "POST", "/v1/dataflows:categorize", &json, body).await.unwrap();
        assert_eq!(categorized.status, 200, "{}", String::from_utf8_lossy(&categorized.body));
        let mut analyses = AnalysisServiceClient::new(self.channel.clone());
        let dataflow = analysis::Dataflow {
            id: "a".to_owned(),
            names: [("en".to_owned(), "Employment".to_owned())].into(),
            ..Default::default()
        };
        let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
        analyses.categorize_dataflow(request).await.unwrap();
        let mut entries = CacheServiceClient::new(self.channel.clone());
        entries.entry_exists(cache::EntryExistsRequest { key: "user/x".to_owned() }).await.unwrap();
        RuleServiceClient::new(self.channel.clone()).list_rulesets(ListRulesetsRequest {}).await.unwrap();
    }
}
