//! The status of the process: what it runs, what it depends on, and what is missing at present. Capabilities say what
//! they have to report as closures, which are called when the status is asked for.

mod quotas;
mod usage;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{self, Breakers, CircuitState};
use crate::dependencies::{Dependencies, DependencyReport};
use crate::memory::{Level, Memory};
use crate::metrics::Calls;
use crate::readiness::Readiness;
use crate::resources::{Resource, Resources, Usage};

pub(crate) use quotas::QuotaCollector;
pub use usage::{CacheUse, Quota};

/// The status of a process. Cheap to clone.
#[derive(Clone)]
pub struct ProcessStatus {
    started: Instant,
    parts: Parts,
    sources: Arc<Mutex<Sources>>,
}

/// What a process has anyway.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) breakers: Breakers,
    pub(crate) dependencies: Dependencies,
    pub(crate) resources: Resources,
    pub(crate) readiness: Readiness,
}

/// Reads something when the status is asked for.
type Source<T> = Box<dyn Fn() -> T + Send>;

/// What the roles of a process report. Only code adds to it, at the start of a role.
#[derive(Default)]
struct Sources {
    roles: BTreeSet<&'static str>,
    degradations: Vec<(&'static str, Source<bool>)>,
    rulesets: Vec<Source<Vec<(String, i64)>>>,
    themes: Option<Source<i64>>,
    redis: Vec<Source<Vec<RedisServer>>>,
    calls: Vec<Source<Calls>>,
    quotas: Vec<Source<Vec<Quota>>>,
    cache: Option<Source<CacheUse>>,
    memory: Option<Memory>,
}

/// A server of Redis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedisServer {
    /// `HOST:PORT`.
    pub address: String,
    /// Its role as its last reply showed it.
    pub role: RedisRole,
}

/// The role of a server of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedisRole {
    /// It accepts writes.
    Primary,
    /// It rejects writes.
    Replica,
    /// There is no connection to it.
    Unreachable,
}

/// The state of a process as a whole, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overall {
    /// All is well.
    Healthy,
    /// It does not serve yet.
    Starting,
    /// It serves with less.
    Degraded,
    /// It drains, or a critical dependency fails.
    Unhealthy,
}

/// The status at one moment.
#[derive(Debug, Clone)]
pub struct Report {
    /// The state as a whole.
    pub overall: Overall,
    /// The roles.
    pub roles: Vec<&'static str>,
    /// Time since the start.
    pub uptime: Duration,
    /// The dependencies, by name.
    pub dependencies: Vec<DependencyReport>,
    /// The circuit breakers, by name.
    pub breakers: Vec<breaker::Report>,
    /// The servers of Redis.
    pub redis: Vec<RedisServer>,
    /// The rule sets in use, with their revisions.
    pub rulesets: Vec<(String, i64)>,
    /// The revision of the mapping of themes in use, if there is one.
    pub themes: Option<i64>,
    /// The resources with a limit, and whether they are above the mark.
    pub resources: Vec<(Usage, bool)>,
    /// What is missing.
    pub degraded: Vec<&'static str>,
    /// The calls, by role.
    pub calls: Vec<Calls>,
    /// What is rationed, by role and name.
    pub quotas: Vec<Quota>,
    /// The cache, if there is one.
    pub cache: Option<CacheUse>,
}

// === impl ProcessStatus ===

impl ProcessStatus {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { started: Instant::now(), parts, sources: Arc::default() }
    }

    /// Adds a role, and the memory that it knows of.
    pub(crate) fn add_role(&self, role: &'static str, memory: &Memory) {
        let mut sources = self.sources();
        sources.roles.insert(role);
        sources.memory = Some(memory.clone());
    }

    /// Reports `feature` as degraded while `is_degraded` says so.
    pub fn degraded_while(&self, feature: &'static str, is_degraded: impl Fn() -> bool + Send + 'static) {
        self.sources().degradations.push((feature, Box::new(is_degraded)));
    }

    /// Reports the rule sets in use, with their revisions.
    pub fn add_rulesets(&self, rulesets: impl Fn() -> Vec<(String, i64)> + Send + 'static) {
        self.sources().rulesets.push(Box::new(rulesets));
    }

    /// Reports the revision of the mapping of themes in use.
    pub fn set_themes(&self, themes: impl Fn() -> i64 + Send + 'static) {
        self.sources().themes = Some(Box::new(themes));
    }

    /// Reports the servers of Redis.
    pub fn add_redis(&self, servers: impl Fn() -> Vec<RedisServer> + Send + 'static) {
        self.sources().redis.push(Box::new(servers));
    }

    /// Reports the calls of a role.
    pub(crate) fn add_calls(&self, calls: impl Fn() -> Calls + Send + 'static) {
        self.sources().calls.push(Box::new(calls));
    }

    /// Reports what is rationed.
    pub fn add_quotas(&self, quotas: impl Fn() -> Vec<Quota> + Send + 'static) {
        self.sources().quotas.push(Box::new(quotas));
    }

    /// Reports the cache.
    pub fn set_cache(&self, cache: impl Fn() -> CacheUse + Send + 'static) {
        self.sources().cache = Some(Box::new(cache));
    }

    /// The status at present.
    pub fn report(&self) -> Report {
        let Parts { breakers, dependencies, resources, readiness } = &self.parts;
        let (breakers, dependencies) = (breakers.list(), dependencies.list());
        let above = resources.above_mark();
        let sources = self.sources();
        let mut degraded: BTreeSet<_> =
            sources.degradations.iter().filter(|(_, is)| is()).map(|(feature, _)| *feature).collect();
        if sources.memory.as_ref().is_some_and(|memory| memory.level() > Level::Normal) {
            degraded.insert("MEMORY_SHORT");
        }
        // To be busy is what processors are for: they are above their mark without anything missing.
        let is_short = above.iter().any(|one| !matches!(one, Resource::Cpu | Resource::CpuThrottling));
        let overall = if !readiness.started() {
            Overall::Starting
        } else if !readiness.ready() {
            Overall::Unhealthy
        } else if is_short
            || !degraded.is_empty()
            || breakers.iter().any(|breaker| breaker.state != CircuitState::Closed)
            || dependencies.iter().any(|dependency| dependency.failing.is_some())
        {
            Overall::Degraded
        } else {
            Overall::Healthy
        };
        let mut calls: Vec<_> = sources.calls.iter().map(|calls| calls()).collect();
        calls.sort_by_key(|calls| calls.role);
        let mark = |usage: Usage| (usage, above.contains(&usage.resource));
        Report {
            overall,
            roles: sources.roles.iter().copied().collect(),
            uptime: self.started.elapsed(),
            dependencies,
            breakers,
            redis: sources.redis.iter().flat_map(|servers| servers()).collect(),
            rulesets: sources.rulesets.iter().flat_map(|rulesets| rulesets()).collect(),
            themes: sources.themes.as_ref().map(|themes| themes()),
            resources: resources.latest().into_iter().map(mark).collect(),
            degraded: degraded.into_iter().collect(),
            calls,
            quotas: sources.quotas(),
            cache: sources.cache.as_ref().map(|cache| cache()),
        }
    }

    /// What is rationed at present.
    fn quotas(&self) -> Vec<Quota> {
        self.sources().quotas()
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Sources ===

impl Sources {
    /// What is rationed, by role and name.
    fn quotas(&self) -> Vec<Quota> {
        let mut quotas: Vec<_> = self.quotas.iter().flat_map(|quotas| quotas()).collect();
        quotas.sort_by_key(|quota| (quota.role, quota.name));
        quotas
    }
}

/// Contexts derive `Debug`, and closures have none.
impl fmt::Debug for ProcessStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessStatus")
    }
}

// === impl Overall ===

impl Overall {
    /// Its word in the status document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The state with this word; that of a later release counts as degraded.
    pub fn of_word(word: &str) -> Self {
        let all = [Self::Healthy, Self::Starting, Self::Unhealthy];
        all.into_iter().find(|one| one.word() == word).unwrap_or(Self::Degraded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::dependencies::Criticality;
    use crate::process::Process;

    #[test]
    fn the_status_is_the_worst_of_what_is_known() {
        let process = Process::default();
        let status = process.status.clone();
        let overall = || status.report().overall;
        assert_eq!(overall(), Overall::Starting);
        drop(process.readiness.latch());
        assert_eq!(overall(), Overall::Healthy);

        let breaker = process.breakers.register("cache/redis", breaker::Settings::default());
        breaker.open();
        assert_eq!(overall(), Overall::Degraded);
        breaker.reset();
        assert_eq!(overall(), Overall::Healthy);

        let config = process.dependencies.declare("analysis/config", Criticality::Optional);
        config.failed(&"connection refused");
        assert_eq!(overall(), Overall::Degraded);
        config.succeeded();
        let is_built_in = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&is_built_in);
        status.degraded_while("BUILT_IN_RULES", move || flag.load(Ordering::Relaxed));
        assert_eq!((overall(), status.report().degraded), (Overall::Degraded, vec!["BUILT_IN_RULES"]));
        is_built_in.store(false, Ordering::Relaxed);
        assert_eq!((overall(), status.report().degraded), (Overall::Healthy, vec![]));

        let store = process.dependencies.declare("config/store", Criticality::Critical);
        store.failed(&"connection refused");
        assert_eq!(overall(), Overall::Unhealthy);
        store.succeeded();
        process.readiness.drain();
        assert_eq!(overall(), Overall::Unhealthy);
    }

    #[test]
    fn numbers_are_read_when_they_are_asked_for_and_are_in_order() {
        let (process, used) = (Process::default(), Arc::new(std::sync::atomic::AtomicU64::new(0)));
        let status = process.status.clone();
        assert_eq!((status.report().calls, status.report().cache), (vec![], None));
        for role in ["gateway", "cache"] {
            let used = Arc::clone(&used);
            status.add_calls(move || Calls { role, ..Calls::default() });
            status.add_quotas(move || {
                let used = used.load(Ordering::Relaxed);
                let quota = |name| Quota { role, name, used, limit: 8, refused: 0 };
                vec![quota("uploads"), quota("calls")]
            });
        }
        status.set_cache(|| CacheUse { reads: 3, ..CacheUse::default() });
        used.store(5, Ordering::Relaxed);
        let report = status.report();
        assert_eq!(report.calls.iter().map(|calls| calls.role).collect::<Vec<_>>(), ["cache", "gateway"]);
        let quotas: Vec<_> = report.quotas.iter().map(|quota| (quota.role, quota.name, quota.used)).collect();
        let expected = [
            ("cache", "calls", 5),
            ("cache", "uploads", 5),
            ("gateway", "calls", 5),
            ("gateway", "uploads", 5),
        ];
        assert_eq!(quotas, expected);
        assert_eq!(report.cache.map(|cache| cache.reads), Some(3));
    }

    #[test]
    fn words_of_later_releases_are_degraded() {
        for one in [Overall::Healthy, Overall::Starting, Overall::Degraded, Overall::Unhealthy] {
            assert_eq!(Overall::of_word(one.word()), one);
        }
        assert_eq!(Overall::of_word("better"), Overall::Degraded);
    }
}
