//! The calls that are sent, and the services that take them.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::config::v1::Rule;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::bench::document::document;
use crate::bench::frame::framed;
use crate::bench::service_process::ServiceProcess;

use super::{GENERATOR, slow};

/// Permits of the service whose calls wait.
const FEW: &str = "8";

/// How long such a call waits.
const WAIT: Duration = Duration::from_millis(10);

/// One kind of call.
pub(super) struct Workload {
    pub(super) name: &'static str,
    service: Service,
    pub(super) path: &'static str,
    /// The framed request.
    pub(super) message: Bytes,
    /// Concurrent calls when the capacity is measured.
    pub(super) concurrent: usize,
}

/// Who takes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Analysis,
    Up,
    /// A gateway with few permits before a slow upstream.
    Gateway,
}

/// All of them.
pub(super) fn all() -> [Workload; 4] {
    let categorize = Workload {
        name: "analysis, CategorizeDataflow (about 0.1 ms of CPU)",
        service: Service::Analysis,
        path: "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow",
        message: framed(&categorization()),
        concurrent: 64,
    };
    let message = categorize.message.clone();
    let through = Workload {
        name: "the same, through the gateway of `up`",
        service: Service::Up,
        message,
        ..categorize
    };
    let evaluate = Workload {
        name: "analysis, EvaluateRules of a catalogue (some ms of CPU)",
        service: Service::Analysis,
        path: "/dataflow.analysis.v1.AnalysisService/EvaluateRules",
        message: framed(&evaluation()),
        concurrent: 16,
    };
    let wait = Workload {
        name: "gateway, calls that wait for an upstream (10 ms, 8 at a time)",
        service: Service::Gateway,
        message: categorize.message.clone(),
        concurrent: 8,
        ..categorize
    };
    [categorize, through, evaluate, wait]
}

// === impl Workload ===

impl Workload {
    pub(super) async fn start(&self) -> anyhow::Result<ServiceProcess> {
        match self.service {
            Service::Analysis => ServiceProcess::analysis().await,
            Service::Up => ServiceProcess::up().await,
            Service::Gateway => {
                let upstream = format!("http://{}", slow::start(WAIT, GENERATOR)?);
                let flags = ["--max-concurrent-requests", FEW, "--analysis-url", &upstream];
                ServiceProcess::service("gateway", &flags).await
            }
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
