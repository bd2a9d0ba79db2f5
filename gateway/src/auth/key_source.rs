//! Where the key set comes from, a file or a URL, and keeps it current in the background. Separate from `jwt`, which
//! knows neither files nor HTTP nor a clock.
//!
//! A set stays in use until a valid one replaces it, however long: an identity provider that is down must not stop
//! callers whose tokens are still valid. [`location`] reads the flag, `fetch` and `file` read a document, `pace` says
//! when to fetch again, and `news` what is worth a log record.

pub(crate) mod location;

mod fetch;
mod file;
mod news;
mod pace;
mod problem;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::panics::spawn_blocking;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use super::jwt::key_set::{KeySet, KeySetError, Origin};
use fetch::{Fetcher, Fetches};
use location::Location;
use news::{News, Severity};
use pace::Pace;
pub(crate) use problem::KeySourceError;
use problem::Problem;

/// How often a file is read. It is polled for the same reasons as the files of settings.
const POLL: Duration = Duration::from_secs(1);

/// Calls that may wait for a fetch at once; each has a token whose key is unknown, which anybody can make.
const MAX_WAITING: usize = 1000;

/// Is called after the set was replaced by another one, and must not block.
pub(crate) type OnChange = Arc<dyn Fn() + Send + Sync>;

/// What has become of the set for a token whose key is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It has been fetched, and is valid.
    Fetched,
    /// It is as new as it can be.
    Current,
    /// It could not be fetched, or not in time, or too many calls wait for it.
    Unknown,
}

/// The current key set. Cheap to clone; clones share it.
#[derive(Clone)]
pub(crate) struct KeySource(Arc<Shared>);

struct Shared {
    reader: Reader,
    timing: Timing,
    current: ArcSwapOption<Current>,
    on_change: OnChange,
    /// Has a permit while a fetch is asked for.
    refresh: Notify,
    /// Whether the last fetch succeeded. Changes when one has ended.
    fetched: watch::Sender<bool>,
    waiting: Semaphore,
    last_success: ArcSwapOption<SystemTime>,
    /// The same in seconds since 1970.
    success_seconds: Gauge,
    failures: Counter,
    fetches: Fetches,
}

/// A set, and the document that it was read from.
struct Current {
    keys: Arc<KeySet>,
    document: Vec<u8>,
}

enum Reader {
    File(PathBuf),
    Url(Fetcher),
}

/// Durations of fetches. A value, so that tests can have shorter ones: they use real sockets, whose clock cannot be
/// paused.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// From a fetch that succeeded to the next one.
    interval: Duration,
    /// From a fetch to one that was asked for, at least.
    refresh: Duration,
    /// From a fetch that failed to the next one: at first, and at most.
    retry: (Duration, Duration),
    /// The timeout of a connection.
    connect: Duration,
    /// The timeout of a fetch, with its connection and the whole body.
    total: Duration,
}

// === impl KeySource ===

impl KeySource {
    /// Reads the set of a file. That of a URL is fetched by [`Self::run`], so that a process starts while its identity
    /// provider is down. `on_change` is called after every replacement, and after the first fetch of a URL.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has no valid key set, or if the system has no certificates to trust for https.
    ///
    /// # Panics
    ///
    /// For a URL, if the process has not installed a cryptography provider of rustls.
    pub(crate) fn open(location: Location, on_change: OnChange) -> Result<Self, KeySourceError> {
        Self::open_with(location, on_change, Timing::default())
    }

    fn open_with(location: Location, on_change: OnChange, timing: Timing) -> Result<Self, KeySourceError> {
        let failed = |problem| KeySourceError::new(&location, problem);
        let (reader, current) = match &location {
            Location::File(path) => {
                let document = file::read(path).map_err(failed)?;
                let current = Current::parse(document, Origin::File).map_err(|error| failed(error.into()))?;
                current.log(&location);
                (Reader::File(path.clone()), Some(Arc::new(current)))
            }
            Location::Url(url) => (Reader::Url(Fetcher::new(url.clone(), &timing).map_err(failed)?), None),
        };
        let is_read = current.is_some();
        let shared = Shared {
            reader,
            timing,
            current: ArcSwapOption::new(current),
            on_change,
            refresh: Notify::new(),
            fetched: watch::Sender::new(is_read),
            waiting: Semaphore::new(MAX_WAITING),
            success_seconds: Gauge::default(),
            last_success: ArcSwapOption::empty(),
            failures: Counter::default(),
            fetches: Fetches::default(),
        };
        if is_read {
            shared.succeeded(SystemTime::now());
        }
        Ok(Self(Arc::new(shared)))
    }

    /// The newest valid set; none until the first fetch of a URL has succeeded.
    pub(crate) fn current(&self) -> Option<Arc<KeySet>> {
        self.0.current.load().as_ref().map(|current| Arc::clone(&current.keys))
    }

    /// Asks for a fetch, since a token names an unknown key, and waits until it has ended; many calls ask for one. It
    /// begins at once, or when it may after the last one. A file is read every second anyway.
    pub(crate) async fn renew(&self) -> Renewal {
        let shared = &self.0;
        if matches!(shared.reader, Reader::File(_)) {
            return Renewal::Current;
        }
        let Ok(_waiting) = shared.waiting.try_acquire() else { return Renewal::Unknown };
        let mut fetched = shared.fetched.subscribe();
        self.refresh();
        let longest = shared.timing.refresh + 2 * shared.timing.total;
        match timeout(longest, fetched.changed()).await {
            Ok(Ok(())) if *fetched.borrow() => Renewal::Fetched,
            _ => Renewal::Unknown,
        }
    }

    fn refresh(&self) {
        self.0.refresh.notify_one();
    }

    /// Exposes when the document was last read and was valid, changed or not, and how often it was not.
    pub(crate) fn register(&self, metrics: &Metrics) {
        let (success, failures) = (self.0.success_seconds.clone(), self.0.failures.clone());
        metrics.register(
            "gateway_key_set_read_timestamp_seconds",
            "When the key set of --jwks was last read and valid, in seconds since 1970",
            success,
        );
        self.0.fetches.register(metrics);
        metrics.register("gateway_key_set_failures", "Reads of the key set of --jwks that failed", failures);
    }

    #[cfg(test)]
    fn last_success(&self) -> Option<SystemTime> {
        self.0.last_success.load().as_deref().copied()
    }

    #[cfg(test)]
    fn failures(&self) -> u64 {
        self.0.failures.get()
    }

    /// Keeps the set current, without end. At most one may run.
    pub(crate) async fn run(self) {
        let shared = &self.0;
        let (mut news, mut pace) = (News::of(shared.reader.origin()), Pace::of(&shared.timing));
        loop {
            let outcome = self.load().await;
            let succeeded = outcome.is_ok();
            self.log(news.severity(&outcome), &outcome);
            match shared.reader {
                Reader::File(_) => tokio::time::sleep(POLL).await,
                Reader::Url(_) => pace.wait(succeeded, &shared.refresh).await,
            }
        }
    }

    /// Reads the document, and replaces the set if it is another one.
    async fn load(&self) -> Result<(), Problem> {
        let outcome = self.replace().await;
        match outcome {
            Ok(()) => self.0.succeeded(SystemTime::now()),
            Err(_) => _ = self.0.failures.inc(),
        }
        self.0.fetched.send_replace(outcome.is_ok());
        outcome
    }

    async fn replace(&self) -> Result<(), Problem> {
        let shared = &self.0;
        let document = match &shared.reader {
            Reader::File(path) => {
                let path = path.clone();
                // A mounted directory may be slow.
                spawn_blocking(move || file::read(&path)).await?
            }
            Reader::Url(fetcher) => fetcher.fetch(&shared.fetches).await?,
        };
        if shared.current.load().as_ref().is_some_and(|current| current.document == document) {
            return Ok(());
        }
        let origin = shared.reader.origin();
        // Takes milliseconds if the document is long.
        let current = spawn_blocking(move || Current::parse(document, origin)).await?;
        current.log(&shared.reader);
        shared.current.store(Some(Arc::new(current)));
        // After the set is replaced: what is verified from now on is verified with the new one.
        (shared.on_change)();
        Ok(())
    }

    fn log(&self, severity: Option<Severity>, outcome: &Result<(), Problem>) {
        let location = &self.0.reader;
        let problem = outcome.as_ref().err().map(tracing::field::display);
        let keys = self.current().map_or(0, |keys| keys.keys().len());
        match severity {
            Some(Severity::Recovered) => tracing::info!(%location, "key set: readable again"),
            Some(Severity::Failed) if keys == 0 => {
                tracing::warn!(%location, problem, "key set: none yet, no token can be verified");
            }
            Some(Severity::Failed) => {
                tracing::warn!(%location, problem, keys, "key set: not renewed, the previous one stays in use");
            }
            Some(Severity::FailedAgain) => tracing::debug!(%location, problem, "key set: not renewed again"),
            None => {}
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySource").field(&format_args!("{}", self.0.reader)).finish()
    }
}

// === impl Shared ===

impl Shared {
    fn succeeded(&self, now: SystemTime) {
        self.last_success.store(Some(Arc::new(now)));
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.success_seconds.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

// === impl Current ===

impl Current {
    fn parse(document: Vec<u8>, origin: Origin) -> Result<Self, KeySetError> {
        Ok(Self { keys: Arc::new(KeySet::parse(&document, origin)?), document })
    }

    fn log(&self, location: &impl fmt::Display) {
        let (keys, skipped) = (self.keys.keys().len(), self.keys.skipped());
        tracing::info!(%location, keys, skipped, "key set: taken");
    }
}

// === impl Reader ===

impl Reader {
    fn origin(&self) -> Origin {
        match self {
            Self::File(_) => Origin::File,
            Self::Url(_) => Origin::Url,
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(fetcher) => fetcher.url().fmt(f),
        }
    }
}

// === impl Timing ===

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(300),
            refresh: Duration::from_secs(2),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
            connect: Duration::from_secs(2),
            total: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests;
