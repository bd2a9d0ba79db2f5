//! The memory for the rule sets of tenants: those that were used least recently leave it, and are loaded again.

use std::sync::Arc;

use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis::Degradation;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_store::embedded::Embedded;
use dataflow_tests::editor::{editor, new, small};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services::{self, Service};
use tonic::Request;

const KEYWORD: &str = "alphabetical";
const TENANTS: [&str; 3] = ["acme", "bolt", "cog"];

fn of<T>(tenant: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("dataflow-tenant", tenant.parse().unwrap());
    request
}

/// The estimate for the compiled set of a tenant: of its own rule and the shared one.
fn weight() -> usize {
    let shared = small().into_iter().flat_map(|set| set.rules).flat_map(|rule| rule.keywords);
    shared.chain([KEYWORD.to_owned()]).map(|keyword| 64 * (keyword.len() + 1)).sum()
}

/// An analysis service with this memory for the rules of tenants.
async fn analysis(config: &Service, memory: usize) -> Service {
    let (url, memory) = (config.upstream.to_string(), memory.to_string());
    services::analysis(&["--config-url", &url, "--tenant-rules-memory", &memory]).await
}

/// The category by the rule of a tenant, and whether the shared rules were used instead.
async fn categorize(analysis: &Service, tenant: &str) -> (Category, bool) {
    let names = [("en".to_owned(), "Alphabetical order".to_owned())].into();
    let dataflow = analysis::Dataflow { id: "X".to_owned(), names, ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    let mut client = AnalysisServiceClient::new(analysis.channel());
    let found = client.categorize_dataflow(of(tenant, request)).await.unwrap().into_inner();
    let is_shared = found.degraded.contains(&i32::from(Degradation::SharedRules));
    (found.category(), is_shared)
}

/// How often the rules of a tenant were loaded.
fn loads(analysis: &Service) -> u64 {
    let metrics = analysis.metrics.encode();
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix("analysis_tenant_rules_total{outcome=\"loaded\"} "));
    count.expect("the metric is there").parse().unwrap()
}

/// A config service in which each tenant has a rule of its own.
async fn config() -> Service {
    let config = services::config_over(Arc::new(Embedded::new(1 << 20)), small()).await;
    for tenant in TENANTS {
        editor(&config).create_rule(of(tenant, new("own", Category::Health, KEYWORD))).await.unwrap();
    }
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_takes_at_most_half_of_the_memory() {
    let config = config().await;
    for (memory, expected) in
        [(2 * weight(), (Category::Health, false)), (2 * weight() - 1, (Category::Other, true))]
    {
        assert_eq!(categorize(&analysis(&config, memory).await, "acme").await, expected, "{memory} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_leave_the_memory_are_loaded_again_when_they_are_used() {
    let config = config().await;
    let (enough, too_little) = (3 * weight(), 3 * weight() - 1);
    let roomy = analysis(&config, enough).await;
    let tight = analysis(&config, too_little).await;
    let use_all = async |analysis: &Service| {
        for tenant in TENANTS {
            assert_eq!(categorize(analysis, tenant).await, (Category::Health, false), "{tenant}");
        }
    };
    // The one that comes next is always the one that was used least recently.
    eventually(TIMEOUT, "each is loaded several times", async || {
        use_all(&tight).await;
        use_all(&roomy).await;
        loads(&tight) > 9
    })
    .await;
    assert_eq!(loads(&roomy), 3, "each is loaded once where there is room for all");
}
