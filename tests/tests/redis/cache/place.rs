//! Where the cache is tried: two replicas over one store, be it of their own process or a Redis.

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

/// How long a call to Redis may take where time is not what is tested: a busy machine may need some.
const LONG_TIMEOUT: Duration = Duration::from_secs(20);

/// How long it may take by default, which matters where Redis is silent.
pub(crate) const BY_DEFAULT: Duration = Duration::from_millis(500);

/// A replica of the service, and its own way to Redis.
pub(crate) struct Replica {
    pub(crate) service: Service,
    /// Its way to what all replicas hold.
    pub(crate) store: Arc<dyn Store>,
    /// What its breakers show.
    pub(crate) breakers: Metrics,
}

/// Two replicas over one store.
pub(crate) struct Place {
    pub(crate) a: Replica,
    pub(crate) b: Replica,
    // Dropped last.
    pub(crate) redis: Option<Server>,
}

// === impl Replica ===

impl Replica {
    /// One that knows this Redis, whether or not it answers.
    pub(crate) async fn of(url: &str, flags: &[&str]) -> Self {
        Self::with(0, LONG_TIMEOUT, url, flags).await
    }

    /// The same, where so many replicas of the Redis must have what must not be lost.
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

    /// A caller from outside, without a tenant.
    pub(crate) fn caller(&self) -> Caller {
        Caller::of(&self.service)
    }

    /// The state of its breaker: 0 closed, 1 open, 2 half-open.
    pub(crate) fn circuit(&self) -> u64 {
        let metrics = self.breakers.encode();
        sum(&metrics, "circuit_breaker_state{name=\"cache/redis\"}")
    }

    /// How many calls of this method it is serving.
    pub(crate) fn in_flight(&self, method: &str) -> u64 {
        let metrics = self.service.metrics.encode();
        let lines = metrics.lines().filter(|line| line.contains(&format!("grpc_method=\"{method}\"")));
        sum(&lines.collect::<Vec<_>>().join("\n"), "grpc_server_in_flight{")
    }

    /// Waits until its first level may be used.
    pub(crate) async fn until_trusted(&self) {
        let caller = self.caller();
        eventually(TIMEOUT, "the first level is trusted", async || caller.stats().await.first_level_trusted)
            .await;
    }
}

/// The sum of the samples whose lines begin so.
fn sum(metrics: &str, beginning: &str) -> u64 {
    let samples = metrics.lines().filter(|line| line.starts_with(beginning));
    let values = samples.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    values.sum()
}

// === impl Place ===

impl Place {
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

    /// Two services with a way each to one Redis, their first levels in use.
    pub(crate) async fn redis(flags: &[&str]) -> Self {
        Self::over(Server::start(), LONG_TIMEOUT, flags).await
    }

    /// The same over this Redis, of which a call may take so long.
    pub(crate) async fn over(redis: Server, timeout: Duration, flags: &[&str]) -> Self {
        let replica = async || Replica::with(0, timeout, redis.url(), flags).await;
        let (a, b) = (replica().await, replica().await);
        a.until_trusted().await;
        b.until_trusted().await;
        Self { a, b, redis: Some(redis) }
    }

    /// Callers of the two replicas, from outside and without a tenant.
    pub(crate) fn callers(&self) -> (Caller, Caller) {
        (self.a.caller(), self.b.caller())
    }
}

/// Runs a test over the embedded store, and over Redis if there is one.
pub(crate) async fn everywhere(flags: &[&str], test: impl AsyncFn(&Place)) {
    let bounded = async |place: Place| {
        timeout(TIMEOUT, test(&place)).await.expect("a test of a minute hangs");
    };
    bounded(Place::embedded(flags).await).await;
    if redis::available() {
        bounded(Place::redis(flags).await).await;
    }
}
