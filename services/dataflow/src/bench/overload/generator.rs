//! The load generator: raw gRPC calls over HTTP/2, at a fixed rate whether or not there are responses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::workload::Workload;
use crate::bench::median;

/// Connections of the generator.
const CONNECTIONS: usize = 8;

/// The most calls in progress; what would be sent beyond them counts as offered and not as sent.
const MAX_IN_PROGRESS: u64 = 8_000;

/// The beginning of an overload, which is not measured: as many calls are in progress at its end as at the end of the
/// run.
const WARM_UP: Duration = Duration::from_secs(1);

/// Longest wait for a response.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The results of one run, by call.
#[derive(Debug, Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    in_progress: AtomicU64,
    /// The times until a refusal, as the client sees them.
    refusals: Mutex<Vec<Duration>>,
}

/// What one run achieved.
pub(super) struct Outcome {
    pub(super) offered: u64,
    pub(super) served: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    /// The median of the times to a refusal, the wait in the client's own socket included.
    pub(super) refusal: Option<Duration>,
}

/// Connections to a service.
pub(super) struct Generator {
    connections: Vec<SendRequest<Bytes>>,
    path: &'static str,
    message: Bytes,
    /// Concurrent calls when the capacity is measured.
    concurrent: usize,
}

// === impl Generator ===

impl Generator {
    pub(super) async fn connect(address: SocketAddr, workload: &Workload) -> anyhow::Result<Self> {
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
        let Workload { path, message, concurrent, .. } = workload;
        Ok(Self { connections, path, message: message.clone(), concurrent: *concurrent })
    }

    /// Calls served per second with a constant number of calls in progress.
    pub(super) async fn capacity(&self, seconds: u64) -> anyhow::Result<u64> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let workers = (0..self.concurrent).map(|worker| {
            let requests = self.connections[worker % self.connections.len()].clone();
            let (path, message) = (self.path, self.message.clone());
            tokio::spawn(async move {
                let mut served = 0_u64;
                while Instant::now() < end {
                    // At the limit itself, a call may arrive before the permit of the last one is back.
                    served += u64::from(call(requests.clone(), path, message.clone()).await?);
                }
                anyhow::Ok(served)
            })
        });
        let mut served = 0;
        for worker in workers.collect::<Vec<_>>() {
            served += worker.await??;
        }
        Ok(served / seconds)
    }

    /// Sends calls at a rate, whether or not there are responses.
    pub(super) async fn offer(&self, rate: u64, seconds: u64) -> anyhow::Result<Outcome> {
        let counts = Arc::new(Counts::default());
        let mut tick = interval(Duration::from_millis(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let begun = Instant::now();
        let (mut offered, mut before) = (0, None);
        while begun.elapsed() < WARM_UP + Duration::from_secs(seconds) {
            tick.tick().await;
            if before.is_none() && begun.elapsed() >= WARM_UP {
                before = Some((offered, counts.served.load(Ordering::Relaxed)));
            }
            let due = u64::try_from(begun.elapsed().as_micros())? * rate / 1_000_000;
            while offered < due {
                offered += 1;
                if counts.in_progress.load(Ordering::Relaxed) >= MAX_IN_PROGRESS {
                    continue;
                }
                counts.in_progress.fetch_add(1, Ordering::Relaxed);
                let requests = self.connections[usize::try_from(offered)? % self.connections.len()].clone();
                let sent = counts.clone().count(call(requests, self.path, self.message.clone()));
                tokio::spawn(sent);
            }
        }
        // What was served in this time; the rest is waited for, so that it does not disturb the next run.
        let (offered_before, served_before) = before.unwrap_or_default();
        let served = counts.served.load(Ordering::Relaxed) - served_before;
        offered -= offered_before;
        let drained = async {
            while counts.in_progress.load(Ordering::Relaxed) > 0 {
                tick.tick().await;
            }
        };
        timeout(TIMEOUT, drained).await.context("calls got no response")?;
        let refusal =
            median(std::mem::take(&mut *counts.refusals.lock().unwrap_or_else(PoisonError::into_inner)));
        let (refused, failed) =
            (counts.refused.load(Ordering::Relaxed), counts.failed.load(Ordering::Relaxed));
        Ok(Outcome { offered, served, refused, failed, refusal })
    }
}

// === impl Counts ===

impl Counts {
    /// Counts the result of a call.
    async fn count(self: Arc<Self>, call: impl Future<Output = anyhow::Result<bool>>) {
        let sent = Instant::now();
        let counter = match call.await {
            Ok(true) => &self.served,
            Ok(false) => {
                self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(sent.elapsed());
                &self.refused
            }
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes one call; returns false if it is rejected.
pub(super) async fn call(requests: SendRequest<Bytes>, path: &str, message: Bytes) -> anyhow::Result<bool> {
    let request = Request::post(format!("http://localhost{path}"))
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
