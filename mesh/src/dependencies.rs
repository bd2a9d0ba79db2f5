//! What a process depends on outside of itself, how the last call there went, and what it means: a critical dependency
//! makes the process not ready while it fails, any other one only degrades it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most bytes of an error that are kept.
const MAX_ERROR: usize = 256;

/// Whether a process can work without a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// The process serves without it, with less.
    Optional,
    /// The process is not ready while the dependency fails.
    Critical,
}

/// The dependencies of a process, by name. Cheap to clone. Only code declares them, so that their number is bounded.
#[derive(Debug, Clone, Default)]
pub struct Dependencies(Arc<Mutex<BTreeMap<String, Dependency>>>);

/// One dependency. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Dependency(Arc<State>);

#[derive(Debug)]
struct State {
    criticality: Criticality,
    /// So that calls that succeed, which are most, take no lock.
    is_failing: AtomicBool,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// The last error, and when it occurred.
    error: Option<(String, Instant)>,
    failing_since: Option<Instant>,
}

/// What is known of a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyReport {
    /// `<role>/<dependency>`.
    pub name: String,
    /// Whether the process can work without it.
    pub criticality: Criticality,
    /// How long it has failed; `None` while the last call succeeded, or there was none.
    pub failing: Option<Duration>,
    /// The last error, and how long ago it occurred.
    pub last_error: Option<(String, Duration)>,
}

// === impl Dependencies ===

impl Dependencies {
    /// The dependency with this name, `<role>/<dependency>`. The first declaration counts.
    pub fn declare(&self, name: &str, criticality: Criticality) -> Dependency {
        let mut by_name = self.by_name();
        let new = || {
            let (is_failing, last) = (AtomicBool::new(false), Mutex::default());
            Dependency(Arc::new(State { criticality, is_failing, last }))
        };
        by_name.entry(name.to_owned()).or_insert_with(new).clone()
    }

    /// Whether a critical dependency fails.
    pub fn is_critical_failing(&self) -> bool {
        let is_failing = |one: &Dependency| one.0.criticality == Criticality::Critical && one.is_failing();
        self.by_name().values().any(is_failing)
    }

    /// What is known of all, by name.
    pub fn list(&self) -> Vec<DependencyReport> {
        let now = Instant::now();
        self.by_name().iter().map(|(name, dependency)| dependency.report(name, now)).collect()
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<String, Dependency>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Dependency ===

impl Dependency {
    /// Records that a call succeeded.
    pub fn succeeded(&self) {
        if self.is_failing() {
            let mut last = self.last();
            last.failing_since = None;
            self.0.is_failing.store(false, Ordering::Relaxed);
        }
    }

    /// Records that the dependency did not respond, or could not.
    pub fn failed(&self, error: &dyn fmt::Display) {
        let (mut text, now) = (error.to_string(), Instant::now());
        text.truncate(text.floor_char_boundary(MAX_ERROR));
        let mut last = self.last();
        last.error = Some((text, now));
        last.failing_since.get_or_insert(now);
        self.0.is_failing.store(true, Ordering::Relaxed);
    }

    fn is_failing(&self) -> bool {
        self.0.is_failing.load(Ordering::Relaxed)
    }

    fn report(&self, name: &str, now: Instant) -> DependencyReport {
        let last = self.last();
        DependencyReport {
            name: name.to_owned(),
            criticality: self.0.criticality,
            failing: last.failing_since.map(|since| now.saturating_duration_since(since)),
            last_error: last
                .error
                .as_ref()
                .map(|(text, at)| (text.clone(), now.saturating_duration_since(*at))),
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dependency_fails_from_its_first_error_to_its_next_success() {
        let dependencies = Dependencies::default();
        let config = dependencies.declare("analysis/config", Criticality::Optional);
        let report = || dependencies.list().remove(0);
        assert_eq!((report().failing, report().last_error), (None, None));
        config.failed(&"connection refused");
        tokio::time::advance(Duration::from_secs(2)).await;
        dependencies.declare("analysis/config", Criticality::Critical).failed(&"x".repeat(10_000));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(report().failing, Some(Duration::from_secs(3)));
        assert_eq!(report().last_error, Some(("x".repeat(256), Duration::from_secs(1))));
        assert_eq!(report().criticality, Criticality::Optional, "the first declaration counts");
        config.succeeded();
        assert_eq!(report().failing, None);
        assert!(report().last_error.is_some(), "the last error stays known");
    }

    #[test]
    fn only_a_critical_dependency_counts_for_readiness() {
        let dependencies = Dependencies::default();
        dependencies.declare("cache/redis", Criticality::Optional).failed(&"refused");
        let store = dependencies.declare("config/store", Criticality::Critical);
        assert!(!dependencies.is_critical_failing());
        store.failed(&"refused");
        assert!(dependencies.is_critical_failing());
        store.succeeded();
        assert!(!dependencies.is_critical_failing());
    }
}
