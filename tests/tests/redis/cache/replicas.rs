//! The services under test: two replicas of the cache over one store, either embedded or in Redis.

use std::sync::Arc;
use std::time::Duration;

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::process::Process;
use dataflow_store::Store;
use dataflow_store::embedded::Embedded;
use dataflow_store::redis::{Redis, Settings};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services::{self, Service};
use tokio::time::timeout;

use super::caller::Caller;

/// The Redis timeout of tests that do not measure time, for busy machines.
const LONG_TIMEOUT: Duration = Duration::from_secs(20);

/// The default Redis timeout, for tests in which Redis hangs.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);

/// A replica of the service, with its own connections to Redis.
pub(crate) struct Replica {
    pub(crate) service: Service,
    /// Its store, whose state all replicas share.
    pub(crate) store: Arc<dyn Store>,
    /// The metrics of its circuit breakers.
    pub(crate) breakers: Metrics,
}

/// Two replicas over one store.
pub(crate) struct Replicas {
    pub(crate) a: Replica,
    pub(crate) b: Replica,
    // Dropped last.
    pub(crate) redis: Option<Server>,
}

// === impl Replica ===

impl Replica {
    /// A replica over this Redis, whether or not it is available.
    pub(crate) async fn of(url: &str, flags: &[&str]) -> Self {
        Self::with(0, LONG_TIMEOUT, url, flags).await
    }

    /// The same, where this many Redis replicas must confirm durable writes.
    pub(crate) async fn confirmed_by(replicas: u64, url: &str, flags: &[&str]) -> Self {
        Self::with(replicas, LONG_TIMEOUT, url, flags).await
    }

    async fn with(replicas: u64, timeout: Duration, url: &str, flags: &[&str]) -> Self {
        let process = Process::default();
        let settings = Settings {
            address: url.parse().unwrap(),
            username: None,
            password: None,
            authority: None,
            prefix: "dataflow:".to_owned(),
            timeout,
            replicas: Some(replicas),
        };
        let store: Arc<dyn Store> = Arc::new(Redis::new(settings, &process, "cache").unwrap());
        let service = services::cache_over(Arc::clone(&store), flags).await;
        Self { service, store, breakers: process.metrics }
    }

    /// A client outside the mesh, without a tenant.
    pub(crate) fn caller(&self) -> Caller {
        Caller::of(&self.service)
    }

    /// The state of its circuit breaker: 0 closed, 1 open, 2 half-open.
    pub(crate) fn circuit(&self) -> u64 {
        let metrics = self.breakers.encode();
        sum(&metrics, "circuit_breaker_state{name=\"cache/redis\"}")
    }

    /// The number of calls of this method in flight.
    pub(crate) fn in_flight(&self, method: &str) -> u64 {
        let metrics = self.service.metrics.encode();
        let lines = metrics.lines().filter(|line| line.contains(&format!("grpc_method=\"{method}\"")));
        sum(&lines.collect::<Vec<_>>().join("\n"), "grpc_server_in_flight{")
    }

    /// Waits until its L1 cache is coherent.
    pub(crate) async fn until_coherent(&self) {
        let caller = self.caller();
        eventually(TIMEOUT, "the L1 cache is coherent", async || caller.stats().await.first_level_trusted)
            .await;
    }
}

/// The sum of the samples whose lines have this prefix.
fn sum(metrics: &str, beginning: &str) -> u64 {
    let samples = metrics.lines().filter(|line| line.starts_with(beginning));
    let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    values.sum()
}

// === impl Replicas ===

impl Replicas {
    /// Two services over one store in this process.
    pub(crate) async fn embedded(flags: &[&str]) -> Self {
        let store: Arc<dyn Store> = Arc::new(Embedded::new(64 << 20));
        let replica = async || Replica {
            service: services::cache_over(Arc::clone(&store), flags).await,
            store: Arc::clone(&store),
            breakers: Metrics::default(),
        };
        Self { a: replica().await, b: replica().await, redis: None }
    }

    /// Two services with separate connections to one Redis, and coherent L1 caches.
    pub(crate) async fn redis(flags: &[&str]) -> Self {
        Self::over(Server::start(), LONG_TIMEOUT, flags).await
    }

    /// The same over this Redis, with this timeout.
    pub(crate) async fn over(redis: Server, timeout: Duration, flags: &[&str]) -> Self {
        let replica = async || Replica::with(0, timeout, redis.url(), flags).await;
        let (a, b) = (replica().await, replica().await);
        a.until_coherent().await;
        b.until_coherent().await;
        Self { a, b, redis: Some(redis) }
    }

    /// Clients of the two replicas, outside the mesh and without a tenant.
    pub(crate) fn callers(&self) -> (Caller, Caller) {
        (self.a.caller(), self.b.caller())
    }
}

/// Runs a test over the embedded store, and over Redis if it is installed.
pub(crate) async fn everywhere(flags: &[&str], test: impl AsyncFn(&Replicas)) {
    let bounded = async |replicas: Replicas| {
        timeout(TIMEOUT, test(&replicas)).await.expect("a test ends within a minute");
    };
    bounded(Replicas::embedded(flags).await).await;
    if redis::available() {
        bounded(Replicas::redis(flags).await).await;
    }
}
