//! Memory over time: `dataflow up` under mixed load, with callers that come and go. Its caches and its journal are
//! small, so that they are full before the measurement begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use futures_util::stream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::Status;

use crate::bench::document::document;
use crate::bench::service_process::ServiceProcess;
use crate::client;

/// The flags of this benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Minutes of the run. The first quarter is not measured.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
}

/// What is full soon.
const FLAGS: [&str; 4] = ["--cache-capacity", "16MiB", "--journal-max-bytes", "256KiB"];

/// How often memory is read.
const SAMPLE: Duration = Duration::from_secs(2);

/// The longest wait for a response.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Calls so far, by result.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    failed: AtomicU64,
}

pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    let service = ServiceProcess::up_with(&FLAGS).await?;
    let counts = Arc::new(Counts::default());
    let mut load = JoinSet::new();
    for kind in [Kind::Categorize, Kind::Analyze, Kind::Entries, Kind::Rules, Kind::HangUp] {
        load.spawn(kind.repeat(service.address.clone(), Arc::clone(&counts)));
    }
    let (begun, mut samples) = (Instant::now(), Vec::new());
    let end = Duration::from_secs(60 * args.minutes);
    let mut tick = interval(SAMPLE);
    while begun.elapsed() < end {
        tick.tick().await;
        samples.push((begun.elapsed().as_secs_f64() / 60.0, service.memory("VmRSS:")? as f64 / 1024.0));
    }
    load.shutdown().await;
    service.stop().await?;
    let quarter = samples.len() / 4;
    let slope = slope(&samples[quarter..]);
    let at = |index: usize| samples.get(index).map_or(0.0, |(_, memory)| *memory);
    Ok(format!(
        "memory of `up`: {:.1} MiB after a quarter of {} minutes, {:.1} MiB at the end, slope {slope:.2} MiB a minute; \
         {} calls, {} failed\n",
        at(quarter),
        args.minutes,
        at(samples.len().saturating_sub(1)),
        counts.calls.load(Ordering::Relaxed),
        counts.failed.load(Ordering::Relaxed),
    ))
}

/// The slope of the line through these points with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// One part of the load.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Categorize,
    /// Catalogues that differ, and so are not in the cache.
    Analyze,
    /// Writes and reads of entries under ever new keys.
    Entries,
    /// Changes of rules.
    Rules,
    /// Calls that are abandoned.
    HangUp,
}

// === impl Kind ===

impl Kind {
    fn period(self) -> Duration {
        Duration::from_millis(match self {
            Kind::Categorize => 5,
            Kind::Analyze => 100,
            Kind::Entries => 10,
            Kind::Rules => 200,
            Kind::HangUp => 20,
        })
    }

    /// Calls forever, every hundred calls on a new connection.
    async fn repeat(self, address: Upstream, counts: Arc<Counts>) {
        let mut tick = interval(self.period());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut channel = Outbound::new(&address, TIMEOUT);
        for index in 0_u64.. {
            tick.tick().await;
            if index % 100 == 0 {
                channel = Outbound::new(&address, TIMEOUT);
            }
            let called = self.call(channel.clone(), index).await;
            counts.calls.fetch_add(1, Ordering::Relaxed);
            if let Err(status) = called {
                tracing::debug!(?self, %status, "soak: failed");
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    async fn call(self, channel: Outbound, index: u64) -> Result<(), Status> {
        match self {
            Kind::Categorize => categorize(channel).await,
            Kind::Analyze => {
                let text = format!("{}<!-- {index} -->", document(40));
                let document = HttpBody { data: text.into(), ..Default::default() };
                let request =
                    analysis::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() };
                let mut client = AnalysisServiceClient::new(channel);
                client.analyze_catalogue(stream::iter([request])).await.map(drop)
            }
            Kind::Entries => {
                let key = format!("user/soak/{index}");
                let entry =
                    cache::Entry { key: key.clone(), value: vec![7; 2048].into(), ..Default::default() };
                let mut client = CacheServiceClient::new(channel);
                client.set_entry(cache::SetEntryRequest { entry: Some(entry), ..Default::default() }).await?;
                client.get_entry(cache::GetEntryRequest { key }).await.map(drop)
            }
            Kind::Rules => change_rule(channel, index).await,
            Kind::HangUp => {
                // Abandoned before, during or after the call.
                let limit = Duration::from_micros(index % 1000);
                let _ = timeout(limit, categorize(channel)).await;
                Ok(())
            }
        }
    }
}

async fn categorize(channel: Outbound) -> Result<(), Status> {
    let names = [("en".to_owned(), "Unemployment rate by age group and region".to_owned())];
    let dataflow = analysis::Dataflow { id: "a".to_owned(), names: names.into(), ..Default::default() };
    let request = analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    AnalysisServiceClient::new(channel).categorize_dataflow(request).await.map(drop)
}

/// Creates one of a few rules, or deletes it if it exists.
async fn change_rule(channel: Outbound, index: u64) -> Result<(), Status> {
    let mut client = RuleServiceClient::new(channel);
    let rule = format!("soak{}", index % 7);
    let request = config::CreateRuleRequest {
        ruleset: "legacy".to_owned(),
        rule_id: rule.clone(),
        category: Category::Health.into(),
        keywords: vec![format!("soak{index}")],
        ..Default::default()
    };
    match client.create_rule(request).await {
        Err(status) if client::is_for(&status, "RULE_EXISTS") => {
            let request =
                config::DeleteRuleRequest { ruleset: "legacy".to_owned(), rule, ..Default::default() };
            client.delete_rule(request).await.map(drop)
        }
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let check = |points: &[(f64, f64)], expected: f64| {
            assert!((slope(points) - expected).abs() < 1e-9, "{points:?}: {}", slope(points));
        };
        check(&[(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)], 2.0);
        check(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)], 0.0);
        check(&[(3.0, 4.0)], 0.0);
        check(&[], 0.0);
    }
}
