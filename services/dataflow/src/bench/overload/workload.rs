//! The calls that are sent, and the services that take them.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::config::v1::Rule;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bench::document::document;
use crate::bench::frame::framed;
use crate::bench::service_process::ServiceProcess;

/// Permits of the service whose calls wait.
const FEW: &str = "8";

/// How long such a call waits.
const WAIT: Duration = Duration::from_millis(10);

/// One kind of call.
pub(super) struct Workload {
    pub(super) name: &'static str,
    service: Service,
    pub(super) path: &'static str,
    /// The framed request, and the one that comes before all others.
    pub(super) message: Bytes,
    pub(super) first: Option<Bytes>,
    /// Concurrent calls when the capacity is measured.
    pub(super) concurrent: usize,
}

/// Who takes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Analysis,
    Up,
    /// A cache with few permits.
    Cache,
}

/// All of them.
pub(super) fn all() -> [Workload; 4] {
    let categorize = Workload {
        name: "analysis, CategorizeDataflow (about 0.1 ms of CPU)",
        service: Service::Analysis,
        path: "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow",
        message: framed(&categorization()),
        first: None,
        concurrent: 64,
    };
    let message = categorize.message.clone();
    let through = Workload {
        name: "the same, through the gateway of `up`",
        service: Service::Up,
        message,
        first: None,
        ..categorize
    };
    let evaluate = Workload {
        name: "analysis, EvaluateRules of a catalogue (some ms of CPU)",
        service: Service::Analysis,
        path: "/dataflow.analysis.v1.AnalysisService/EvaluateRules",
        message: framed(&evaluation()),
        first: None,
        concurrent: 16,
    };
    let wait = Workload {
        name: "cache, LeaseEntry that waits (10 ms, 8 at a time)",
        service: Service::Cache,
        path: "/dataflow.cache.v1.CacheService/LeaseEntry",
        message: framed(&lease(WAIT)),
        // The lease for which all others wait.
        first: Some(framed(&lease(Duration::ZERO))),
        concurrent: 8,
    };
    [categorize, through, evaluate, wait]
}

// === impl Workload ===

impl Workload {
    pub(super) async fn start(&self) -> anyhow::Result<ServiceProcess> {
        match self.service {
            Service::Analysis => ServiceProcess::analysis().await,
            Service::Up => ServiceProcess::up().await,
            Service::Cache => ServiceProcess::service("cache", &["--max-concurrent-requests", FEW]).await,
        }
    }
}

fn categorization() -> analysis::CategorizeDataflowRequest {
    let dataflow = analysis::Dataflow {
        id: "151_929_DF_DCCV_TAXDISOCCU1_4".to_owned(),
        names: [("en".to_owned(), "Unemployment rate by age group and region".to_owned())].into(),
        ..Default::default()
    };
    analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() }
}

/// A small message with a catalogue that takes a while: compressed, it is read again with each call.
fn evaluation() -> analysis::EvaluateRulesRequest {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = gzip.write_all(document(20).as_bytes());
    let data = gzip.finish().unwrap_or_default().into();
    let rule = Rule {
        rule_id: "mine".to_owned(),
        category: Category::Health.into(),
        keywords: vec!["beds".to_owned()],
        ..Default::default()
    };
    analysis::EvaluateRulesRequest {
        rules: vec![rule],
        document: Some(HttpBody { data, ..Default::default() }),
        ..Default::default()
    }
}

fn lease(wait: Duration) -> cache::LeaseEntryRequest {
    let duration = |given: Duration| prost_types::Duration::try_from(given).ok();
    cache::LeaseEntryRequest {
        key: "user/overload".to_owned(),
        hold: duration(Duration::from_secs(300)),
        wait: duration(wait),
        ..Default::default()
    }
}
