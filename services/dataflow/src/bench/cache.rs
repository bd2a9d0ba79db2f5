//! What the first level is worth, and how soon a change is known everywhere: two replicas of `cache` over one Redis.

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
use super::running::Running;

/// How long to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds to measure; the median of their ratios counts.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Calls of each kind in a round.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    calls: u32,
}

const LIMIT: Duration = Duration::from_secs(10);

/// Calls at once, on as many connections.
const LANES: u32 = 16;
const CHANNELS: u32 = 2;

/// Entries that one tag invalidates, and deletions of which the slowest hundredth counts.
const TAGGED: u32 = 10_000;
const DELETED: u32 = 200;

const TAG: &str = "bench";

/// Starts Redis, two replicas of `cache`, and a service that does nothing when asked for its breakers, since it has none.
pub(super) async fn measure(on: &Args) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let (redis, url) = redis(directory.path()).await?;
    let flags = ["--redis-url", url.as_str()];
    let [near, far] = [Running::service("cache", &flags).await?, Running::service("cache", &flags).await?];
    let idle = Running::service("config", &[]).await?;

    let level = first_level(&near, &idle, on).await?;
    let [near_client, far_client] =
        [&near, &far].map(|cache| CacheServiceClient::new(Outbound::new(&cache.address, LIMIT)));
    let invalidation = invalidate(near_client.clone()).await?;
    let deletion = delete(near_client, far_client).await?;
    for service in [near, far, idle] {
        service.stop().await?;
    }
    drop(redis);
    Ok(format!(
        "{level}invalidating {TAGGED} entries by one tag   {:8.2} ms (below 5)\n\
         deleted in one replica, gone in the other {:8.2} ms, p99 of {DELETED} (below 1000)\n",
        invalidation.as_secs_f64() * 1e3,
        deletion.as_secs_f64() * 1e3,
    ))
}

/// Redis as its package installs it, without persistence, killed when dropped; and its URL.
async fn redis(directory: &std::path::Path) -> anyhow::Result<(Child, String)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let redis = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(directory)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("redis-server cannot be started: is it installed?")?;
    let end = Instant::now() + LIMIT;
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        ensure!(Instant::now() < end, "redis-server does not listen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok((redis, format!("redis://127.0.0.1:{port}")))
}

/// Reads of one entry of 100 bytes, against calls that do nothing, in turns.
async fn first_level(cache: &Running, idle: &Running, on: &Args) -> anyhow::Result<String> {
    let key = "user/bench".to_owned();
    let [reads, nothing] = [channels(cache).await?, channels(idle).await?];
    let entry = pb::Entry { key: key.clone(), value: vec![7; 100].into(), ..Default::default() };
    let entry = Some(entry);
    CacheServiceClient::new(reads[0].clone())
        .set_entry(pb::SetEntryRequest { entry, ..Default::default() })
        .await?;

    let read = move |channel: Channel| {
        let key = key.clone();
        async move {
            let reply = CacheServiceClient::new(channel).get_entry(pb::GetEntryRequest { key }).await?;
            ensure!(reply.into_inner().entry.is_some_and(|entry| entry.value.len() == 100), "another entry");
            Ok(())
        }
    };
    let nothing_at_all = |channel: Channel| async move {
        MeshServiceClient::new(channel).list_circuit_breakers(ListCircuitBreakersRequest {}).await?;
        Ok(())
    };
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    // The first round fills caches and pools; it is no measurement.
    for round in 0..=on.rounds {
        let nothing = rate(&nothing, on.calls, nothing_at_all).await?;
        let read = rate(&reads, on.calls, read.clone()).await?;
        if round > 0 {
            rates.push(read);
            ratios.push(read / nothing);
        }
    }
    let stats =
        CacheServiceClient::new(reads[0].clone()).get_stats(pb::GetStatsRequest {}).await?.into_inner();
    let all = i64::from(on.calls) * i64::from(on.rounds + 1);
    ensure!(
        stats.first_level_hits * 100 > all * 99,
        "of {all} reads only {} were of the first level",
        stats.first_level_hits
    );
    Ok(format!(
        "reads from the first level, a second      {:8.0}    {:.2} x calls that do nothing (at least 0.80)\n",
        median(rates).context("no round")?,
        median(ratios).context("no round")?,
    ))
}

/// Makes so many calls, 16 at once; how many a second.
async fn rate<F>(
    channels: &[Channel],
    calls: u32,
    call: impl Fn(Channel) -> F + Clone + Send + 'static,
) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let began = Instant::now();
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (channel, call) = (channels[(lane % CHANNELS) as usize].clone(), call.clone());
        lanes.spawn(async move {
            for _ in 0..calls / LANES {
                call(channel.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(f64::from(calls / LANES * LANES) / began.elapsed().as_secs_f64())
}

async fn channels(service: &Running) -> anyhow::Result<Vec<Channel>> {
    let endpoint = Endpoint::try_from(service.address.to_string())?.tcp_nodelay(true);
    let connecting = (0..CHANNELS).map(|_| endpoint.connect());
    Ok(futures_util::future::try_join_all(connecting).await?)
}

/// The median time that InvalidateTags takes when so many entries have the tag.
async fn invalidate(client: CacheServiceClient<Outbound>) -> anyhow::Result<Duration> {
    let set = |index: u32| {
        let mut client = client.clone();
        let tags = vec![TAG.to_owned()];
        let entry = pb::Entry { key: format!("user/{index}"), value: "x".into(), tags, ..Default::default() };
        async move { client.set_entry(pb::SetEntryRequest { entry: Some(entry), ..Default::default() }).await }
    };
    let setting = stream::iter((0..TAGGED).map(set)).buffer_unordered(LANES as usize);
    setting.try_for_each(async |_| Ok(())).await?;
    let mut took = Vec::new();
    for _ in 0..11 {
        let began = Instant::now();
        let request = pb::InvalidateTagsRequest { tags: vec![TAG.to_owned()], ..Default::default() };
        client.clone().invalidate_tags(request).await?;
        took.push(began.elapsed());
    }
    median(took).context("no round")
}

/// How long after a deletion through one replica the other still answers with the entry, in the slowest hundredth.
async fn delete(
    mut near: CacheServiceClient<Outbound>,
    mut far: CacheServiceClient<Outbound>,
) -> anyhow::Result<Duration> {
    let mut took = Vec::new();
    for index in 0..DELETED {
        let key = format!("user/deleted-{index}");
        let entry = pb::Entry { key: key.clone(), value: "x".into(), ..Default::default() };
        near.set_entry(pb::SetEntryRequest { entry: Some(entry), ..Default::default() }).await?;
        // Twice, so that the second is of the first level.
        for _ in 0..2 {
            far.get_entry(pb::GetEntryRequest { key: key.clone() }).await?;
        }
        let began = Instant::now();
        near.delete_entry(pb::DeleteEntryRequest { key: key.clone(), ..Default::default() }).await?;
        loop {
            let exists =
                far.entry_exists(pb::EntryExistsRequest { key: key.clone() }).await?.into_inner().exists;
            if !exists {
                break;
            }
            ensure!(began.elapsed() < LIMIT, "it never goes");
        }
        took.push(began.elapsed());
    }
    took.sort();
    Ok(took[took.len() * 99 / 100])
}
