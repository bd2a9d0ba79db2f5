//! The reads that the audit has, in a log of their own beside the journal: a caller that polls pushes no change out of the
//! audit, and only a sample of its reads is recorded.

use std::sync::Arc;

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::sampling::CallerSampler;
use dataflow_store::Store;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::args::ReadLogArgs;
use crate::audited_read::AuditedRead;
use crate::bounded_log::{BoundedLog, Bounds};
use crate::journal::SPACE;
use crate::key::random_id;

/// The name of the log.
const LOG: &str = "reads";

/// The audited reads.
pub struct AuditedReads {
    log: Arc<BoundedLog<AuditedRead>>,
    sampler: CallerSampler,
    outcomes: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

// === impl AuditedReads ===

impl AuditedReads {
    /// The reads in `store`, within the limits of the flags.
    pub fn new(store: Arc<dyn Store>, limits: &ReadLogArgs) -> Self {
        let bounds = Bounds { entries: limits.entries, age: limits.age };
        let log = Arc::new(BoundedLog::new(store, SPACE.key(LOG), bounds));
        let outcomes = Family::<Labels, Counter>::default();
        for outcome in ["recorded", "left_out", "lost"] {
            drop(outcomes.get_or_create(&Labels { outcome }));
        }
        Self { log, sampler: CallerSampler::new(limits.per_minute), outcomes }
    }

    /// Registers the metrics of the log.
    pub fn register(&self, metrics: &Metrics) {
        let help = "Audited reads in the log, as of the last change or check; at most `--read-log-entries`";
        metrics.register("config_read_log_entries", help, self.log.entries());
        let help = "Audited reads, by what became of their records";
        metrics.register("config_audited_reads", help, self.outcomes.clone());
    }

    /// The log itself.
    pub fn log(&self) -> &Arc<BoundedLog<AuditedRead>> {
        &self.log
    }

    /// Records a read, unless its caller has made many, before its response leaves. A read goes on without a store, as
    /// all others do; the record of it is lost then, and counted.
    pub async fn record(&self, mut read: AuditedRead) {
        let Some(left_out) = self.sampler.take(&read.tenant, &read.subject) else {
            return self.count("left_out");
        };
        read.left_out = left_out;
        let now = read.time;
        match self.log.record(&random_id(), std::slice::from_ref(&read), now).await {
            Ok(()) => self.count("recorded"),
            Err(error) => {
                self.sampler.leave_out(&read.tenant, &read.subject, left_out + 1);
                self.count("lost");
                let AuditedRead { subject, tenant, peer, request_id, action, .. } = read;
                // In place of the record.
                tracing::warn!(%error, subject, tenant, peer, request_id, action, "audited read: not recorded");
            }
        }
    }

    /// Removes reads for their age, without end.
    pub async fn follow(&self) {
        self.log.follow().await;
    }

    fn count(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&Labels { outcome }).inc();
    }
}
