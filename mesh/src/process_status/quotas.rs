//! The metrics of what is rationed. They are read from the status at each scrape, so that the two cannot differ.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{ProcessStatus, Quota};

/// See the module.
#[derive(Debug)]
pub(crate) struct QuotaCollector(pub(crate) ProcessStatus);

// === impl QuotaCollector ===

impl Collector for QuotaCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let quotas = self.0.quotas();
        let labels = |quota: &Quota| [("role", quota.role), ("name", quota.name)];
        let gauges = [
            ("quota_used", "How much of a quota is in use", false),
            ("quota_limit", "How much of a quota there is", true),
        ];
        for (name, help, is_limit) in gauges {
            let kind = ConstGauge::new(0_i64).metric_type();
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for quota in &quotas {
                let value = if is_limit { quota.limit } else { quota.used };
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(metric.encode_family(&labels(quota))?)?;
            }
        }
        let (name, help) = ("quota_refused", "What was refused because a quota was used up");
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for quota in &quotas {
            ConstCounter::new(quota.refused).encode(metric.encode_family(&labels(quota))?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::process::Process;

    #[test]
    fn metrics_are_those_of_the_status() {
        let (process, used) = (Process::default(), Arc::new(AtomicU64::new(0)));
        for (role, name, limit) in [("gateway", "held_bytes", u64::MAX), ("cache", "calls", 8)] {
            let used = Arc::clone(&used);
            process.status.add_quotas(move || {
                vec![Quota { role, name, used: used.load(Ordering::Relaxed), limit, refused: 2 }]
            });
        }
        let has = |sample: &str| {
            let text = process.metrics.encode();
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        };
        has("quota_used{role=\"cache\",name=\"calls\"} 0");
        used.store(5, Ordering::Relaxed);
        has("quota_used{role=\"cache\",name=\"calls\"} 5");
        has("quota_used{role=\"gateway\",name=\"held_bytes\"} 5");
        has("quota_limit{role=\"cache\",name=\"calls\"} 8");
        // A gauge has no more: a limit that is none.
        has(&format!("quota_limit{{role=\"gateway\",name=\"held_bytes\"}} {}", i64::MAX));
        has("quota_refused_total{role=\"cache\",name=\"calls\"} 2");
        assert_eq!(process.status.report().quotas.len(), 2);
    }
}
