//! The metrics of the process, its cgroup and its runtime, which are read at each scrape.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::Handle;

use crate::cgroup::Cgroups;

use super::usage::{self, ProcessUsage};

/// See the module. Every family is always present, at 0 where the system does not have it.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    cgroups: Cgroups,
    /// In seconds since 1970.
    start: f64,
}

/// Writes families without labels.
struct Writer<'a>(DescriptorEncoder<'a>);

// === impl ProcessCollector ===

impl ProcessCollector {
    pub(super) fn new(cgroups: Cgroups) -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { cgroups, start: start.as_secs_f64() }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (mut write, process) = (Writer(encoder), ProcessUsage::read());
        write.counter(
            "process_cpu_seconds",
            "Time of processors that the process has had",
            usage::cpu_seconds(),
        )?;
        write.gauge("process_resident_memory_bytes", "Resident memory", process.resident)?;
        write.gauge("process_virtual_memory_bytes", "Virtual memory", process.virtual_memory)?;
        write.gauge("process_open_fds", "Open file descriptors", process.descriptors)?;
        write.gauge("process_max_fds", "Most file descriptors that may be open", process.max_descriptors)?;
        write.gauge("process_threads", "Threads", process.threads)?;
        let help = "When the process started, in seconds since 1970";
        write.real("process_start_time_seconds", help, self.start)?;

        let cgroups = &self.cgroups;
        let memory = cgroups.memory_used().unwrap_or_default();
        write.gauge("cgroup_memory_usage_bytes", "Memory in use in the cgroup", memory)?;
        let limit = cgroups.memory_limit().unwrap_or_default();
        write.gauge("cgroup_memory_limit_bytes", "Limit of memory of the cgroup, 0 without one", limit)?;
        let limit = cgroups.cpu_limit().unwrap_or_default();
        write.real("cgroup_cpu_limit", "Processors that the cgroup may use, 0 without a limit", limit)?;
        let throttling = cgroups.throttling().unwrap_or_default();
        let (periods, help) = (throttling.periods as f64, "Periods in which the cgroup ran");
        write.counter("cgroup_cpu_periods", help, periods)?;
        let (periods, help) = (throttling.throttled as f64, "Periods in which the cgroup was throttled");
        write.counter("cgroup_cpu_throttled_periods", help, periods)?;
        let help = "Time for which the cgroup was throttled";
        write.counter("cgroup_cpu_throttled_seconds", help, throttling.seconds)?;

        let runtime = Handle::try_current().ok().map(|handle| handle.metrics());
        let number = |read: fn(&tokio::runtime::RuntimeMetrics) -> usize| {
            runtime.as_ref().map_or(0, |runtime| read(runtime) as u64)
        };
        write.gauge(
            "tokio_runtime_workers",
            "Threads of the runtime",
            number(|runtime| runtime.num_workers()),
        )?;
        write.gauge(
            "tokio_runtime_tasks",
            "Tasks of the runtime",
            number(|runtime| runtime.num_alive_tasks()),
        )?;
        let (depth, help) = (number(|runtime| runtime.global_queue_depth()), "Tasks that wait for a thread");
        write.gauge("tokio_runtime_queue_depth", help, depth)?;
        let busy = runtime.map_or(0.0, |runtime| {
            let workers = 0..runtime.num_workers();
            workers.map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum()
        });
        write.counter("tokio_runtime_busy_seconds", "Time in which threads of the runtime ran tasks", busy)
    }
}

// === impl Writer ===

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn real(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    use super::*;

    fn value(text: &str, name: &str) -> f64 {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name} is missing in {text}")).parse().unwrap()
    }

    #[tokio::test]
    async fn values_are_those_of_the_process_at_the_scrape() {
        let metrics = Metrics::default();
        metrics.collect(ProcessCollector::new(Cgroups::default()));
        let text = metrics.encode();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_threads",
            "process_start_time_seconds",
            "tokio_runtime_workers",
        ] {
            assert!(value(&text, name) > 0.0, "{name}");
        }
        for name in ["cgroup_cpu_limit", "cgroup_memory_limit_bytes", "cgroup_cpu_throttled_seconds_total"] {
            assert_eq!(value(&text, name), 0.0, "{name}");
        }
    }
}
