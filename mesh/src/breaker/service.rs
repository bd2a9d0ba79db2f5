//! The gRPC service MeshService for the breakers of one process.

use std::time::Duration;

use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_server::MeshService;
use tonic::{Request, Response, Status};

use super::{Breaker, Breakers, CircuitState, Report, Settings, Totals};
use crate::status::{Describe, Kind, to_status};

/// Implements MeshService.
#[derive(Debug, Clone)]
pub struct Service {
    breakers: Breakers,
    /// Identifies this process among its replicas, as `HOST/PID`.
    replica: String,
}

/// Why a breaker cannot be reset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no breaker with this name.
    #[error("there is no circuit breaker {name:?}")]
    NotFound {
        /// The requested name.
        name: String,
    },
}

// === impl Error ===

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::NotFound { .. } => Kind::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::NotFound { .. } => "BREAKER_NOT_FOUND",
        }
    }
}

// === impl Service ===

impl Service {
    /// A service for these breakers.
    pub fn new(breakers: Breakers) -> Self {
        // In a pod, the hostname of the kernel is the name of the pod.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { breakers, replica: format!("{}/{}", host.trim(), std::process::id()) }
    }

    fn wire(&self, report: Report) -> pb::CircuitBreaker {
        let Report { name, state, failures, successes, totals, since, next_probe, changes, settings } =
            report;
        pb::CircuitBreaker {
            name: name.to_string(),
            replica: self.replica.clone(),
            state: pb::circuit_breaker::State::from(state).into(),
            failures: small(failures),
            successes: small(successes),
            since: duration(since),
            next_probe: next_probe.and_then(duration),
            totals: Some(counts(totals, changes)),
            settings: Some(settings.into()),
        }
    }

    fn list(&self) -> Vec<pb::CircuitBreaker> {
        self.breakers.list().into_iter().map(|report| self.wire(report)).collect()
    }
}

#[tonic::async_trait]
impl MeshService for Service {
    async fn list_circuit_breakers(
        &self,
        _: Request<pb::ListCircuitBreakersRequest>,
    ) -> Result<Response<pb::ListCircuitBreakersResponse>, Status> {
        let circuit_breakers = self.list();
        Ok(Response::new(pb::ListCircuitBreakersResponse { circuit_breakers, silent: Vec::new() }))
    }

    async fn reset_circuit_breaker(
        &self,
        request: Request<pb::ResetCircuitBreakerRequest>,
    ) -> Result<Response<pb::ResetCircuitBreakerResponse>, Status> {
        let name = request.into_inner().name;
        let Some(breaker) = self.breakers.get(&name) else {
            return Err(to_status(&Error::NotFound { name }));
        };
        breaker.reset();
        let circuit_breakers = vec![self.wire(breaker.report())];
        Ok(Response::new(pb::ResetCircuitBreakerResponse { circuit_breakers, silent: Vec::new() }))
    }

    async fn reset_all_circuit_breakers(
        &self,
        _: Request<pb::ResetAllCircuitBreakersRequest>,
    ) -> Result<Response<pb::ResetAllCircuitBreakersResponse>, Status> {
        let names = self.breakers.list().into_iter().map(|report| report.name);
        names.filter_map(|name| self.breakers.get(&name)).for_each(|breaker| Breaker::reset(&breaker));
        let circuit_breakers = self.list();
        Ok(Response::new(pb::ResetAllCircuitBreakersResponse { circuit_breakers, silent: Vec::new() }))
    }
}

// === conversions ===

impl From<CircuitState> for pb::circuit_breaker::State {
    fn from(state: CircuitState) -> Self {
        match state {
            CircuitState::Closed => Self::Closed,
            CircuitState::Open => Self::Open,
            CircuitState::HalfOpen => Self::HalfOpen,
        }
    }
}

impl From<Settings> for pb::circuit_breaker::Settings {
    fn from(settings: Settings) -> Self {
        let Settings { failures, silence, pause, probes, successes, deadline } = settings;
        Self {
            failures: small(failures.get()),
            silence: silence.and_then(duration),
            pause: duration(pause),
            probes: small(probes.get()),
            successes: small(successes.get()),
            deadline: duration(deadline),
        }
    }
}

fn counts(totals: Totals, changes: u64) -> pb::circuit_breaker::Totals {
    let Totals { calls, successes, failures, rejected } = totals;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    pb::circuit_breaker::Totals {
        calls: count(calls),
        successes: count(successes),
        failures: count(failures),
        rejected: count(rejected),
        changes: count(changes),
    }
}

fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}
