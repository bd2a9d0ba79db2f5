//! The breakers of one process, by name, so that code that lists, resets or watches a breaker is independent of the
//! code that calls through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::circuit::Circuit;
use super::observer::Families;
use super::{Breaker, Report, Settings};
use crate::metrics::Metrics;

/// The circuit breakers of one process. Cheap to clone. The default one is not connected to metrics.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    /// Lock order: this lock before that of a breaker, never while one is locked.
    by_name: Arc<Mutex<BTreeMap<Arc<str>, Breaker>>>,
    families: Families,
}

// === impl Breakers ===

impl Breakers {
    /// Breakers with metrics; call it once per process.
    pub fn new(metrics: &Metrics) -> Self {
        let this = Self::default();
        this.families.register(metrics);
        this
    }

    /// Returns the breaker with this name, `<role>/<breaker>`, for instance `cache/redis`. A new breaker is closed; an
    /// existing one keeps its state and gets the new `settings`.
    pub fn register(&self, name: &str, settings: Settings) -> Breaker {
        let mut by_name = self.by_name();
        if let Some(breaker) = by_name.get(name) {
            breaker.circuit().set(settings);
            return breaker.clone();
        }
        let name = Arc::<str>::from(name);
        let circuit = Circuit::new(settings, self.families.observer(&name), Instant::now());
        let breaker = Breaker::new(Arc::clone(&name), circuit);
        by_name.insert(name, breaker.clone());
        breaker
    }

    /// The breaker with this name.
    pub fn get(&self, name: &str) -> Option<Breaker> {
        self.by_name().get(name).cloned()
    }

    /// Snapshots of all breakers, by name.
    pub fn list(&self) -> Vec<Report> {
        self.by_name().values().map(Breaker::report).collect()
    }

    /// Removes the breaker with this name and its metrics, for instance because an address left the cluster. Existing
    /// handles still work; registering the name again creates a new breaker.
    pub fn forget(&self, name: &str) {
        let mut by_name = self.by_name();
        if by_name.remove(name).is_some() {
            self.families.remove(name);
        }
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Breaker>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::{CircuitState, Totals};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_name_has_one_breaker_until_it_is_forgotten() {
        let metrics = Metrics::default();
        let breakers = Breakers::new(&metrics);
        let redis = breakers.register("cache/redis", Settings::default());
        breakers.register("analysis/provider.IT1", Settings::default());
        redis.enter().unwrap().failed();
        let again =
            breakers.register("cache/redis", Settings { failures: NonZeroU32::MIN, ..Settings::default() });
        again.enter().unwrap().failed();
        assert!(redis.enter().is_err(), "one breaker, with the latest settings");
        let states: Vec<_> = breakers.list().into_iter().map(|report| (report.name, report.state)).collect();
        let named = |name, state| (Arc::<str>::from(name), state);
        assert_eq!(
            states,
            [named("analysis/provider.IT1", CircuitState::Closed), named("cache/redis", CircuitState::Open)]
        );
        let text = metrics.encode();
        for sample in [
            "circuit_breaker_state{name=\"cache/redis\"} 1",
            "circuit_breaker_state{name=\"analysis/provider.IT1\"} 0",
            "circuit_breaker_calls_total{name=\"cache/redis\",outcome=\"failure\"} 2",
            "circuit_breaker_calls_total{name=\"cache/redis\",outcome=\"rejected\"} 1",
            "circuit_breaker_calls_total{name=\"cache/redis\",outcome=\"ignored\"} 0",
            "circuit_breaker_transitions_total{name=\"cache/redis\",to=\"open\"} 1",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
        }

        breakers.forget("cache/redis");
        assert!(breakers.get("cache/redis").is_none());
        redis.reset();
        redis.enter().unwrap().succeeded();
        assert!(!metrics.encode().contains("cache/redis"));
        assert_eq!(breakers.register("cache/redis", Settings::default()).report().totals, Totals::default());
    }
}
