//! What metrics and the status say of the servers and the pools, read when they are asked for. Separate from `metrics`,
//! which links use and which knows none of them.

use std::fmt;
use std::sync::{Arc, Weak};

use dataflow_mesh::process::Process;
use dataflow_mesh::process_status::{RedisRole, RedisServer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::metrics::{KINDS, label};
use super::primaries::Primaries;

/// The links at a scrape. Weak: the registry lives as long as the process.
struct Links {
    primaries: Weak<Primaries>,
    /// The replicas that must confirm a durable write.
    required: u64,
}

/// Shows the links of these primaries, in the metrics and in the status. `required` replicas must confirm a durable
/// write.
pub(super) fn show(process: &Process, primaries: &Arc<Primaries>, required: u64) {
    process.metrics.collect(Links { primaries: Arc::downgrade(primaries), required });
    let primaries = Arc::downgrade(primaries);
    process.status.add_redis(move || servers(&primaries));
}

fn servers(primaries: &Weak<Primaries>) -> Vec<RedisServer> {
    let Some(primaries) = primaries.upgrade() else { return Vec::new() };
    let topology = primaries.topology();
    let server =
        topology.links.iter().map(|link| RedisServer { address: link.node.to_string(), role: link.role() });
    server.collect()
}

// === impl Links ===

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

impl Collector for Links {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help) =
            ("redis_server_primary", "Whether a server of Redis accepts writes, by its last reply");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for RedisServer { address, role } in servers(&self.primaries) {
            let gauge = ConstGauge::new(i64::from(role == RedisRole::Primary));
            gauge.encode(metric.encode_family(&[("server", address)])?)?;
        }
        let links = self.primaries.upgrade().map(|primaries| primaries.topology());
        let (name, help) = ("redis_server_replicas", "Replicas that are connected to a server of Redis");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for link in links.iter().flat_map(|topology| &topology.links) {
            let gauge = ConstGauge::new(i64::try_from(link.replicas()).unwrap_or(i64::MAX));
            gauge.encode(metric.encode_family(&[("server", link.node.to_string())])?)?;
        }
        let (name, help) = ("redis_replicas_required", "Replicas that must confirm a durable write");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(self.required).unwrap_or(i64::MAX)).encode(metric)?;
        let pools = links.iter().flat_map(|topology| &topology.links).map(|link| link.pools());
        let (mut in_use, mut idle) = ([0; 2], [0; 2]);
        for pools in pools {
            for (index, (of_pool, waiting)) in pools.into_iter().enumerate() {
                in_use[index] += of_pool;
                idle[index] += waiting;
            }
        }
        let all = [
            ("redis_pool_in_use", "Permits of a pool of connections that are in use", in_use),
            ("redis_pool_idle", "Connections of a pool that no call uses", idle),
        ];
        for (name, help, values) in all {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (kind, value) in KINDS[1..].iter().zip(values) {
                let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
                gauge.encode(metric.encode_family(&[("call", label(kind))])?)?;
            }
        }
        Ok(())
    }
}
