//! The metrics of uploads: the permits in use. They are named for the role that receives catalogues.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_mesh::inbound::Shares;
use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_mesh::process_status::Quota;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::Semaphore;

/// The permits of uploads and parsers, and how many there are in all.
#[derive(Debug, Clone)]
pub(crate) struct Permits {
    pub(crate) uploads: (Shares, u32),
    pub(crate) parsers: (Arc<Semaphore>, usize),
    pub(crate) refused_uploads: Arc<AtomicU64>,
    /// The memory of results.
    pub(crate) results: MemoryShares,
}

// === impl Permits ===

impl Permits {
    /// The permits in the status. For a parser calls wait, so that none is refused.
    pub(crate) fn quotas(&self) -> Vec<Quota> {
        let refused = self.refused_uploads.load(Ordering::Relaxed);
        let quota = |name, used, limit, refused| Quota { role: "analysis", name, used, limit, refused };
        let (_, max_uploads) = self.uploads;
        let (_, max_parsers) = self.parsers;
        vec![
            quota("uploads", self.receiving().into(), max_uploads.into(), refused),
            quota("parsers", self.parsing() as u64, max_parsers as u64, 0),
            Quota { name: "result_bytes", ..self.results.quota("analysis") },
        ]
    }

    fn receiving(&self) -> u32 {
        self.uploads.0.total()
    }

    fn parsing(&self) -> usize {
        let (seats, max) = &self.parsers;
        max.saturating_sub(seats.available_permits())
    }
}

impl Collector for Permits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let parsing = i64::try_from(self.parsing()).unwrap_or(i64::MAX);
        let all = [
            ("analysis_uploads", "Documents that are being received", i64::from(self.receiving())),
            ("analysis_parsers", "Documents that are being parsed", parsing),
        ];
        for (name, help, in_use) in all {
            let gauge = ConstGauge::new(in_use);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::inbound::Claimant;
    use dataflow_mesh::metrics::Metrics;

    use super::*;

    #[test]
    fn permits_in_use_are_shown() {
        let metrics = Metrics::default();
        let uploads = Shares::default();
        let parsers = (Arc::new(Semaphore::new(2)), 2);
        let (refused_uploads, results) = (Arc::default(), MemoryShares::new(0));
        metrics.collect(Permits { uploads: (uploads.clone(), 3), parsers, refused_uploads, results });
        let _permit = uploads.try_acquire(3, Claimant::default()).unwrap();
        let text = metrics.encode();
        for sample in ["analysis_uploads 1", "analysis_parsers 0"] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }
}
