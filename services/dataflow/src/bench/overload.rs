//! Goodput under overload: more calls than the service can serve, sent at a fixed rate whether or not it responds. The
//! service is pinned to one processor and the load generator to another, so that they do not compete.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use dataflow_proto::analysis::v1 as pb;
use h2::client::SendRequest;
use http::Request;
use nix::unistd::Pid;
use prost::Message;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::bench::median;
use crate::bench::service_process::{ServiceProcess, pin};

/// The flags of this benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds of each run.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

const CATEGORIZE: &str = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";

/// The processors of the service and of the generator.
const SERVICE: usize = 0;
const GENERATOR: usize = 1;

/// Connections of the generator, and concurrent calls when the capacity is measured.
const CONNECTIONS: usize = 8;
const CONCURRENT: usize = 64;

/// The most calls in progress; what would be sent beyond them counts as offered and not as sent.
const MAX_IN_PROGRESS: u64 = 8_000;

/// Longest wait for a response.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The results of one run, by call.
#[derive(Debug, Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicU64,
}

/// What one run achieved.
struct Outcome {
    offered: u64,
    served: u64,
    refused: u64,
    failed: u64,
    /// The median of the times to a refusal.
    refusal: Option<Duration>,
}

pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    ensure!(std::thread::available_parallelism()?.get() > GENERATOR, "this benchmark needs two processors");
    let direct = measure_one("analysis", ServiceProcess::analysis().await?, args.seconds).await?;
    let through = measure_one("up, through its gateway", ServiceProcess::up().await?, args.seconds).await?;
    Ok(direct + &through)
}

/// The report on one service.
async fn measure_one(name: &str, service: ServiceProcess, seconds: u64) -> anyhow::Result<String> {
    service.pin(SERVICE)?;
    let address = service.address.to_string();
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse()?;
    let generator = std::thread::spawn(move || -> anyhow::Result<String> {
        pin(Pid::from_raw(0), GENERATOR)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(report(address, seconds))
    });
    let report = tokio::task::spawn_blocking(|| generator.join()).await?;
    let report = report.map_err(|_| anyhow::anyhow!("the load generator panicked"))??;
    let cpu = service.cpu()?;
    service.stop().await?;
    Ok(format!("{name}\n{report}CPU of the service in total: {cpu:.1?}\n"))
}

async fn report(address: SocketAddr, seconds: u64) -> anyhow::Result<String> {
    let connections = connect(address).await?;
    // The first calls allocate what later ones reuse.
    capacity(&connections, 1).await?;
    let capacity_before = capacity(&connections, seconds).await?;
    let mut text = format!("capacity: {capacity_before} calls/s of CategorizeDataflow on one processor\n");
    for factor in [2, 4, 10] {
        let outcome = offer(&connections, capacity_before * factor, seconds).await?;
        let goodput = outcome.served as f64 / (seconds * capacity_before) as f64;
        let offered = outcome.offered as f64 / (seconds * capacity_before) as f64;
        let refusal = outcome.refusal.unwrap_or_default();
        let _ = writeln!(
            text,
            "{factor:>2} x: goodput {goodput:.2} of capacity; offered {offered:.1} x, {} refused in {refusal:.1?} \
             (median), {} failed",
            outcome.refused, outcome.failed
        );
        let after = capacity(&connections, 1).await?;
        let _ = writeln!(
            text,
            "      in the second after: {:.2} of capacity",
            after as f64 / capacity_before as f64
        );
    }
    Ok(text)
}

async fn connect(address: SocketAddr) -> anyhow::Result<Vec<SendRequest<Bytes>>> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(1 << 30);
        let (requests, connection) = builder.handshake(stream).await?;
        tokio::spawn(connection);
        connections.push(requests.ready().await?);
    }
    Ok(connections)
}

/// Calls per second with a constant number of calls in progress.
async fn capacity(connections: &[SendRequest<Bytes>], seconds: u64) -> anyhow::Result<u64> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let workers = (0..CONCURRENT).map(|worker| {
        let requests = connections[worker % connections.len()].clone();
        tokio::spawn(async move {
            let (mut calls, message) = (0_u64, message());
            while Instant::now() < end {
                ensure!(call(requests.clone(), message.clone()).await?, "rejected below the limit");
                calls += 1;
            }
            Ok(calls)
        })
    });
    let mut calls = 0;
    for worker in workers.collect::<Vec<_>>() {
        calls += worker.await??;
    }
    Ok(calls / seconds)
}

/// Sends calls at a rate, whether or not there are responses.
async fn offer(connections: &[SendRequest<Bytes>], rate: u64, seconds: u64) -> anyhow::Result<Outcome> {
    let counts = Arc::new(Counts::default());
    let message = message();
    let refusals = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tick = interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let begun = Instant::now();
    let mut offered = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        tick.tick().await;
        let due = u64::try_from(begun.elapsed().as_micros())? * rate / 1_000_000;
        while offered < due {
            offered += 1;
            if counts.in_progress.load(Ordering::Relaxed) >= MAX_IN_PROGRESS {
                continue;
            }
            counts.in_progress.fetch_add(1, Ordering::Relaxed);
            let requests = connections[usize::try_from(offered)? % connections.len()].clone();
            let (counts, refusals, message) = (Arc::clone(&counts), Arc::clone(&refusals), message.clone());
            tokio::spawn(async move {
                let sent = Instant::now();
                let counter = match call(requests, message).await {
                    Ok(true) => &counts.served,
                    Ok(false) => {
                        refusals
                            .lock()
                            .unwrap_or_else(std::sync::PoisonError::into_inner)
                            .push(sent.elapsed());
                        &counts.refused
                    }
                    Err(_) => &counts.failed,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                counts.in_progress.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
    // What was served until here; the rest is waited for, so that it does not disturb the next run.
    let served = counts.served.load(Ordering::Relaxed);
    let drained = async {
        while counts.in_progress.load(Ordering::Relaxed) > 0 {
            tick.tick().await;
        }
    };
    timeout(TIMEOUT, drained).await.context("calls got no response")?;
    let refusal =
        median(std::mem::take(&mut *refusals.lock().unwrap_or_else(std::sync::PoisonError::into_inner)));
    let (refused, failed) = (counts.refused.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed));
    Ok(Outcome { offered, served, refused, failed, refusal })
}

/// Makes one call; returns false if it is rejected.
async fn call(requests: SendRequest<Bytes>, message: Bytes) -> anyhow::Result<bool> {
    let request = Request::post(format!("http://localhost{CATEGORIZE}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut body) = requests.ready().await?.send_request(request, false)?;
    body.send_data(message, true)?;
    let answer = timeout(TIMEOUT, answer).await??;
    if let Some(code) = answer.headers().get("grpc-status") {
        ensure!(code == "8", "grpc-status {code:?}");
        return Ok(false);
    }
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        let _ = body.flow_control().release_capacity(data?.len());
    }
    Ok(true)
}

/// A framed request.
fn message() -> Bytes {
    let dataflow = pb::Dataflow {
        id: "151_929_DF_DCCV_TAXDISOCCU1_4".to_owned(),
        names: [("en".to_owned(), "Unemployment rate by age group and region".to_owned())].into(),
        ..Default::default()
    };
    let request = pb::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    let message = request.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.extend_from_slice(&message);
    framed.freeze()
}
