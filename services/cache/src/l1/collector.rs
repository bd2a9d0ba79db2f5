//! The metrics of the L1 cache, which are read at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::L1;
use super::sizes::REMOVALS;
use crate::key::NAMESPACES;

/// See the module. Without an L1 cache all values are 0.
#[derive(Debug)]
pub(crate) struct L1Collector(pub(crate) Option<L1>);

// === impl L1Collector ===

impl Collector for L1Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let l1 = self.0.as_ref();
        let sizes = NAMESPACES.map(|namespace| l1.map(|l1| l1.size(namespace)).unwrap_or_default());
        let all = [
            ("cache_l1_entries", "Copies in the L1 cache", sizes.map(|(entries, _)| entries)),
            ("cache_l1_bytes", "Memory of the copies in the L1 cache", sizes.map(|(_, bytes)| bytes)),
        ];
        for (name, help, values) in all {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (namespace, value) in NAMESPACES.into_iter().zip(values) {
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(metric.encode_family(&[("namespace", namespace)])?)?;
            }
        }
        let single = [
            ("cache_l1_capacity_bytes", "Limit of that memory", l1.map_or(0, L1::capacity)),
            (
                "cache_l1_coherent",
                "Whether the copies of all buckets are known to be current",
                l1.is_some_and(L1::is_coherent).into(),
            ),
        ];
        for (name, help, value) in single {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let (name, help) = ("cache_evictions", "Copies that left the L1 cache by themselves, by cause");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (index, cause) in REMOVALS.into_iter().enumerate() {
            let counter = ConstCounter::new(l1.map_or(0, |l1| l1.evictions()[index]));
            counter.encode(metric.encode_family(&[("cause", cause)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dataflow_mesh::metrics::Metrics;

    use super::*;

    #[test]
    fn without_an_l1_cache_all_is_at_zero() {
        let metrics = Metrics::default();
        metrics.collect(L1Collector(None));
        let text = metrics.encode();
        for sample in [
            "cache_l1_entries{namespace=\"user\"} 0",
            "cache_l1_bytes{namespace=\"results\"} 0",
            "cache_l1_capacity_bytes 0",
            "cache_l1_coherent 0",
            "cache_evictions_total{cause=\"size\"} 0",
            "cache_evictions_total{cause=\"expired\"} 0",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }
    }
}
