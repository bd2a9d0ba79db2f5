//! The breakers of one process, by name: who lists, resets or watches a breaker is not who calls through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::circuit::Circuit;
use super::observer::Families;
use super::{Breaker, Report, Settings};
use crate::metrics::Metrics;

/// The circuit breakers of one process. Cheap to clone. The default one shows no metrics.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    /// Always locked before a breaker, never within one.
    by_name: Arc<Mutex<BTreeMap<Arc<str>, Breaker>>>,
    families: Families,
}

// === impl Breakers ===

impl Breakers {
    /// Breakers that are counted in `metrics`; once a process.
    pub fn new(metrics: &Metrics) -> Self {
        let this = Self::default();
        this.families.register(metrics);
        this
    }

    /// The breaker of that name, `<role>/<breaker>` as in `cache/redis`: a new one, closed, or the one that exists,
    /// which keeps its state and from now on follows `settings`.
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

    /// The breaker of that name.
    pub fn get(&self, name: &str) -> Option<Breaker> {
        self.by_name().get(name).cloned()
    }

    /// Every breaker as it is now, by name.
    pub fn list(&self) -> Vec<Report> {
        self.by_name().values().map(Breaker::report).collect()
    }

    /// Removes the breaker of that name and its metrics, as when an address left the cluster. For those who hold it, it
    /// goes on; registered again it is a new one.
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
        assert!(redis.enter().is_err(), "one breaker, which follows the latest settings");
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
