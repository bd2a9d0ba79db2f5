//! Throughput of the L1 cache, and the latency of invalidation across replicas: two replicas of `cache` over one Redis.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::mesh::v1::ListCircuitBreakersRequest;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use super::median;
use super::service_process::ServiceProcess;

/// The flags of `dataflow bench cache`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of rounds; the result is the median of their ratios.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Calls of each kind per round.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    calls: u32,
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Concurrent calls, and the connections that carry them.
const WORKERS: u32 = 16;
const CHANNELS: u32 = 2;

/// Entries that one tag invalidates, and deletions, of whose latencies the 99th percentile counts.
const TAGGED: u32 = 10_000;
const DELETED: u32 = 200;

const TAG: &str = "bench";

/// Starts Redis, two replicas of `cache`, and a service for no-op calls: it lists its circuit breakers and has none.
pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let (redis, url) = redis(directory.path()).await?;
    let flags = ["--redis-url", url.as_str()];
    let [first, second] =
        [ServiceProcess::service("cache", &flags).await?, ServiceProcess::service("cache", &flags).await?];
    let idle = ServiceProcess::service("config", &[]).await?;

    let l1 = l1_reads(&first, &idle, args).await?;
    let [first_client, second_client] =
        [&first, &second].map(|cache| CacheServiceClient::new(Outbound::new(&cache.address, TIMEOUT)));
    let invalidation = invalidate(first_client.clone()).await?;
    let deletion = delete(first_client, second_client).await?;
    for service in [first, second, idle] {
        service.stop().await?;
    }
    drop(redis);
    Ok(format!(
        "{l1}invalidating {TAGGED} entries by one tag   {:8.2} ms (below 5)\n\
         deleted in one replica, gone in the other {:8.2} ms, p99 of {DELETED} (below 1000)\n",
        invalidation.as_secs_f64() * 1e3,
        deletion.as_secs_f64() * 1e3,
    ))
}

/// An installed Redis without persistence, killed when dropped, and its URL.
async fn redis(directory: &std::path::Path) -> anyhow::Result<(Child, String)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let redis = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(directory)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start redis-server: is it installed?")?;
    let end = Instant::now() + TIMEOUT;
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        ensure!(Instant::now() < end, "redis-server does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok((redis, format!("redis://127.0.0.1:{port}")))
}

/// Reads of one entry of 100 bytes, alternating with no-op calls.
async fn l1_reads(cache: &ServiceProcess, idle: &ServiceProcess, args: &Args) -> anyhow::Result<String> {
    let key = "user/bench".to_owned();
    let [reads, no_ops] = [channels(cache).await?, channels(idle).await?];
    let entry = pb::Entry { key: key.clone(), value: vec![7; 100].into(), ..Default::default() };
    let entry = Some(entry);
    CacheServiceClient::new(reads[0].clone())
        .set_entry(pb::SetEntryRequest { entry, ..Default::default() })
        .await?;

    let read = move |channel: Channel| {
        let key = key.clone();
        async move {
            let reply = CacheServiceClient::new(channel).get_entry(pb::GetEntryRequest { key }).await?;
            ensure!(
                reply.into_inner().entry.is_some_and(|entry| entry.value.len() == 100),
                "the value is not the one that was set"
            );
            Ok(())
        }
    };
    let no_op = |channel: Channel| async move {
        MeshServiceClient::new(channel).list_circuit_breakers(ListCircuitBreakersRequest {}).await?;
        Ok(())
    };
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    // The first round warms up caches and pools and is not measured.
    for round in 0..=args.rounds {
        let no_ops = rate(&no_ops, args.calls, no_op).await?;
        let read = rate(&reads, args.calls, read.clone()).await?;
        if round > 0 {
            rates.push(read);
            ratios.push(read / no_ops);
        }
    }
    let stats =
        CacheServiceClient::new(reads[0].clone()).get_stats(pb::GetStatsRequest {}).await?.into_inner();
    let all = i64::from(args.calls) * i64::from(args.rounds + 1);
    ensure!(
        stats.first_level_hits * 100 > all * 99,
        "only {} of {all} reads were L1 hits",
        stats.first_level_hits
    );
    Ok(format!(
        "L1 reads per second                       {:8.0}    {:.2} x no-op calls (at least 0.80)\n",
        median(rates).context("no round")?,
        median(ratios).context("no round")?,
    ))
}

/// Makes this many calls, 16 concurrently, and returns the calls per second.
async fn rate<F>(
    channels: &[Channel],
    calls: u32,
    call: impl Fn(Channel) -> F + Clone + Send + 'static,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (channel, call) = (channels[(worker % CHANNELS) as usize].clone(), call.clone());
        workers.spawn(async move {
            for _ in 0..calls / WORKERS {
                call(channel.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(f64::from(calls / WORKERS * WORKERS) / start.elapsed().as_secs_f64())
}

async fn channels(service: &ServiceProcess) -> anyhow::Result<Vec<Channel>> {
    let endpoint = Endpoint::try_from(service.address.to_string())?.tcp_nodelay(true);
    let connecting = (0..CHANNELS).map(|_| endpoint.connect());
    Ok(futures_util::future::try_join_all(connecting).await?)
}

/// The median duration of InvalidateTags when [`TAGGED`] entries have the tag.
async fn invalidate(client: CacheServiceClient<Outbound>) -> anyhow::Result<Duration> {
    let set = |index: u32| {
        let mut client = client.clone();
        let tags = vec![TAG.to_owned()];
        let entry = pb::Entry { key: format!("user/{index}"), value: "x".into(), tags, ..Default::default() };
        async move { client.set_entry(pb::SetEntryRequest { entry: Some(entry), ..Default::default() }).await }
    };
    let setting = stream::iter((0..TAGGED).map(set)).buffer_unordered(WORKERS as usize);
    setting.try_for_each(async |_| Ok(())).await?;
    let mut took = Vec::new();
    for _ in 0..11 {
        let start = Instant::now();
        let request = pb::InvalidateTagsRequest { tags: vec![TAG.to_owned()], ..Default::default() };
        client.clone().invalidate_tags(request).await?;
        took.push(start.elapsed());
    }
    median(took).context("no round")
}

/// The 99th percentile of the time after a deletion through one replica until the other no longer returns the entry.
async fn delete(
    mut first: CacheServiceClient<Outbound>,
    mut second: CacheServiceClient<Outbound>,
) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for index in 0..DELETED {
        let key = format!("user/deleted-{index}");
        let entry = pb::Entry { key: key.clone(), value: "x".into(), ..Default::default() };
        first.set_entry(pb::SetEntryRequest { entry: Some(entry), ..Default::default() }).await?;
        // Twice, so that the second read is an L1 hit.
        for _ in 0..2 {
            second.get_entry(pb::GetEntryRequest { key: key.clone() }).await?;
        }
        let start = Instant::now();
        first.delete_entry(pb::DeleteEntryRequest { key: key.clone(), ..Default::default() }).await?;
        loop {
            let exists =
                second.entry_exists(pb::EntryExistsRequest { key: key.clone() }).await?.into_inner().exists;
            if !exists {
                break;
            }
            ensure!(start.elapsed() < TIMEOUT, "the other replica still returns the entry");
        }
        took.push(start.elapsed());
    }
    took.sort();
    Ok(took[took.len() * 99 / 100])
}
