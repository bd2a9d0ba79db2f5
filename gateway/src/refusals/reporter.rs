//! Reports refused writes, and the uses of API keys, to the config service: at most one report of each in a second. A
//! report of refusals that fails is lost and counted; uses are reported again.

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::config::v1::audit_service_server::SERVICE_NAME as AUDIT_SERVICE;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use dataflow_proto::config::v1::key_service_server::SERVICE_NAME as KEY_SERVICE;
use tonic::Status;

use super::queue::{Outcome, Queue};
use crate::auth::KeyUses;

/// The shortest time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// The timeout of a report.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The most refusals of a report; the config service takes no more.
const MAX_REFUSALS: usize = 100;

/// The most uses of a report; the config service takes no more.
const MAX_USES: usize = 1000;

/// Reports to one config service. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    config: Outbound,
    refusals: Arc<Queue>,
    uses: KeyUses,
    /// Whether the last report failed: the log has the first failure only.
    is_failing: bool,
}

// === impl Reporter ===

impl Reporter {
    pub(super) fn new(config: &Upstream, refusals: Arc<Queue>, uses: KeyUses, context: &Context) -> Self {
        let observer = context.observer("config", &[AUDIT_SERVICE, KEY_SERVICE], FILE_DESCRIPTOR_SET);
        let config = Outbound::new(config, TIMEOUT).observed(&observer);
        Self { config, refusals, uses, is_failing: false }
    }

    /// Reports without end.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.refusals.news() => {}
                () = self.uses.news() => {}
            }
            self.report().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn report(&mut self) {
        let refusals = self.refusals.take(MAX_REFUSALS);
        if !refusals.is_empty() {
            let count = refusals.len();
            // A mesh may send it again.
            let report_id = format!("{:032x}", fastrand::u128(..));
            let request = pb::ReportRefusalsRequest { report_id, refusals };
            let reported = AuditServiceClient::new(self.config.clone()).report_refusals(request).await;
            self.refusals.count(if reported.is_ok() { Outcome::Reported } else { Outcome::Lost }, count);
            self.log(reported.map(drop));
        }
        let uses = self.uses.take(MAX_USES);
        if !uses.is_empty() {
            let used = uses
                .iter()
                .map(|(key_id, time)| pb::KeyUse { key_id: key_id.clone(), use_time: Some((*time).into()) });
            let request = pb::ReportKeyUsesRequest { uses: used.collect() };
            let reported = KeyServiceClient::new(self.config.clone()).report_key_uses(request).await;
            if reported.is_err() {
                self.uses.put_back(uses);
            }
            self.log(reported.map(drop));
        }
    }

    fn log(&mut self, reported: Result<(), Status>) {
        match reported {
            Ok(()) if std::mem::take(&mut self.is_failing) => {
                tracing::info!("reports: the config service takes them again");
            }
            Err(status) if !std::mem::replace(&mut self.is_failing, true) => {
                let error = status.message();
                tracing::warn!(
                    error,
                    "reports: the config service takes none, refused writes are lost meanwhile"
                );
            }
            _ => {}
        }
    }
}
