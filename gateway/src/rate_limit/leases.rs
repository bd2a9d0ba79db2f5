//! Leases permits of rate limits from the cache service, in one background task: calls wait for it only when they have
//! no permit, and not while the cache service is out of reach.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_mesh::rate::RateLimit;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::cache::v1::cache_service_server::SERVICE_NAME as CACHE_SERVICE;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::time::Instant;
use tonic::Status;

use super::quota::{Granted, Lease, Quota, Source};

/// The longest time of one call to the cache service.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The most calls to the cache service at once, and the most leases that wait for one. Where there are more, calls are
/// decided by the last known share.
const MAX_CALLS: usize = 64;
const MAX_WAITING: usize = 1024;

/// The time between attempts while the cache service is out of reach.
const PAUSE: Duration = Duration::from_millis(500);

/// The leases of this gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    cache: Outbound,
    sender: mpsc::Sender<Lease>,
    /// Only the task has it, and again after a restart.
    receiver: Arc<AsyncMutex<mpsc::Receiver<Lease>>>,
    outage: Arc<Outage>,
}

/// Whether the cache service is out of reach.
#[derive(Debug)]
struct Outage {
    /// When to try again, during an outage.
    next_attempt: Mutex<Option<Instant>>,
    gauge: Gauge,
}

// === impl Leases ===

impl Leases {
    pub(super) fn new(cache: &Upstream, context: &Context) -> Self {
        let gauge = Gauge::default();
        context.metrics.register(
            "gateway_rate_limits_by_share",
            "Whether the cache service is out of reach, so that rate limits are decided by the last known share",
            gauge.clone(),
        );
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let outage = Arc::new(Outage { next_attempt: Mutex::default(), gauge });
        let receiver = Arc::new(AsyncMutex::new(receiver));
        let observer = context.observer("cache", &[CACHE_SERVICE], FILE_DESCRIPTOR_SET);
        let cache = Outbound::new(cache, TIMEOUT).observed(&observer);
        Self { cache, sender, receiver, outage }
    }

    /// Where limits are decided now.
    pub(super) fn source(&self) -> Source {
        if self.outage.next_attempt().is_some() { Source::ByShare } else { Source::Shared }
    }

    /// Begins a lease in the background, if there is none in progress and `is_needed` or few permits are left; during an
    /// outage only as an attempt. Returns false if too many wait already.
    pub(super) fn begin(&self, quota: &Arc<Quota>, limit: RateLimit, is_needed: bool, now: Instant) -> bool {
        let mut next_attempt = self.outage.next_attempt();
        if next_attempt.is_some_and(|next| next > now) {
            return true;
        }
        let Some(lease) = quota.begin_lease(limit, is_needed || next_attempt.is_some(), now) else {
            return true;
        };
        if next_attempt.is_some() {
            *next_attempt = Some(now + PAUSE);
        }
        drop(next_attempt);
        // One that is not sent ends when it is dropped.
        self.sender.try_send(lease).is_ok()
    }

    /// Calls the cache service, without end.
    pub(super) async fn run(self) {
        let mut receiver = self.receiver.lock().await;
        let mut calls = FuturesUnordered::new();
        loop {
            tokio::select! {
                lease = receiver.recv(), if calls.len() < MAX_CALLS => match lease {
                    Some(lease) => calls.push(self.take(lease)),
                    None => return,
                },
                Some(()) = calls.next() => {}
            }
        }
    }

    async fn take(&self, lease: Lease) {
        let mut client = CacheServiceClient::new(self.cache.clone());
        let request = pb::TakePermitsRequest {
            key: lease.quota.identity.key(),
            interval: prost_types::Duration::try_from(lease.limit.interval).ok(),
            burst: i32::try_from(lease.limit.burst).unwrap_or(i32::MAX),
            permits: i32::try_from(lease.most).unwrap_or(i32::MAX),
        };
        match client.take_permits(request).await {
            Ok(response) => {
                self.outage.ended();
                lease.granted(granted(&response.into_inner()), Instant::now());
            }
            Err(status) => self.outage.began(&status),
        }
    }
}

/// What a response grants. What cannot be read grants nothing.
fn granted(response: &pb::TakePermitsResponse) -> Granted {
    Granted {
        permits: u32::try_from(response.permits).unwrap_or_default(),
        total: u64::try_from(response.total).unwrap_or_default(),
        wait: response.wait.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or_default(),
    }
}

// === impl Outage ===

impl Outage {
    fn began(&self, status: &Status) {
        let before = self.next_attempt().replace(Instant::now() + PAUSE);
        if before.is_none() {
            self.gauge.set(1);
            let error = status.message();
            tracing::warn!(error, "rate limits: cache service unavailable, decided by the last known share");
        }
    }

    fn ended(&self) {
        if self.next_attempt().take().is_some() {
            self.gauge.set(0);
            tracing::info!("rate limits: cache service available again");
        }
    }

    fn next_attempt(&self) -> MutexGuard<'_, Option<Instant>> {
        self.next_attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
