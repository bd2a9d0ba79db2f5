//! The breakers of one process, by name, so that code that lists, resets or watches a breaker is independent of the
//! code that calls through it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::time::Instant;

use super::circuit::Circuit;
use super::observer::Families;
use super::{Breaker, Report, Settings};
use crate::metrics::Metrics;

/// The circuit breakers of one process. Cheap to clone. The default one is not connected to metrics.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    /// Lock order: this lock before that of a breaker, never while one is locked.
    by_name: Arc<ByName>,
    families: Families,
}

type ByName = Mutex<BTreeMap<Arc<str>, Breaker>>;

/// How long breakers have been open, which is computed at each scrape.
#[derive(Debug)]
struct OpenSeconds(Arc<ByName>);

// === impl OpenSeconds ===

impl Collector for OpenSeconds {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time since a circuit breaker opened, 0 while it is closed";
        let (name, kind) = ("circuit_breaker_open_seconds", MetricType::Gauge);
        let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
        for breaker in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let Report { name, open_for, .. } = breaker.report();
            let gauge = ConstGauge::new(open_for.unwrap_or_default().as_secs_f64());
            gauge.encode(metric.encode_family(&[("name", &*name)])?)?;
        }
        Ok(())
    }
}

// === impl Breakers ===

impl Breakers {
    /// Breakers with metrics; call it once per process.
    pub fn new(metrics: &Metrics) -> Self {
        let this = Self::default();
        this.families.register(metrics);
        metrics.collect(OpenSeconds(Arc::clone(&this.by_name)));
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
    use std::time::Duration;

    use super::super::{CircuitState, Totals};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_gauges_do_not_alternate_while_the_dependency_is_down() {
        let metrics = Metrics::default();
        let settings = Settings {
            failures: NonZeroU32::MIN,
            successes: NonZeroU32::new(2).unwrap(),
            pause: Duration::from_secs(1),
            ..Settings::default()
        };
        let redis = Breakers::new(&metrics).register("cache/redis", settings);
        let shown = || {
            let text = metrics.encode();
            let value = |family: &str| {
                let sample = format!("{family}{{name=\"cache/redis\"}} ");
                text.lines().find_map(|line| line.strip_prefix(sample.as_str())).unwrap().to_owned()
            };
            (value("circuit_breaker_state"), value("circuit_breaker_open_seconds"))
        };
        let is = |state: &str, seconds: &str| assert_eq!(shown(), (state.to_owned(), seconds.to_owned()));
        is("0", "0.0");
        redis.enter().unwrap().failed();
        for seconds in ["1.0", "2.0", "3.0"] {
            tokio::time::advance(Duration::from_secs(1)).await;
            let probe = redis.enter().unwrap();
            is("1", seconds);
            probe.failed();
            is("1", seconds);
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        redis.enter().unwrap().succeeded();
        is("2", "4.0");
        redis.enter().unwrap().succeeded();
        is("0", "0.0");
    }

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
