//! The gRPC service MeshService for one process: its circuit breakers and its status.

use std::time::Duration;

use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_server::MeshService;
use tonic::{Request, Response, Status};

use crate::breaker::{Breaker, Breakers, CircuitState, Report, Settings, Totals};
use crate::dependencies::{Criticality, DependencyReport};
use crate::metrics::Calls;
use crate::process_status::{self, ProcessStatus, RedisRole};
use crate::status::{Describe, Kind, to_status};

/// Implements MeshService.
#[derive(Debug, Clone)]
pub struct Service {
    breakers: Breakers,
    status: ProcessStatus,
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
    /// A service for these breakers and this status.
    pub fn new(breakers: Breakers, status: ProcessStatus) -> Self {
        // In a pod, the hostname of the kernel is the name of the pod.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { breakers, status, replica: format!("{}/{}", host.trim(), std::process::id()) }
    }

    fn wire(&self, report: Report) -> pb::CircuitBreaker {
        let Report { name, state, failures, successes, totals, since, next_probe, changes, settings, .. } =
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

    /// The status of this process.
    pub fn status(&self) -> pb::ProcessStatus {
        let process_status::Report {
            overall,
            roles,
            uptime,
            dependencies,
            breakers,
            redis,
            rulesets,
            themes,
            resources,
            degraded,
            calls,
            quotas,
            cache,
        } = self.status.report();
        pb::ProcessStatus {
            status: overall.word().to_owned(),
            replica: self.replica.clone(),
            roles: roles.into_iter().map(str::to_owned).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: duration(uptime),
            dependencies: dependencies.into_iter().map(dependency).collect(),
            circuit_breakers: breakers.into_iter().map(|report| self.wire(report)).collect(),
            redis_servers: redis.into_iter().map(redis_server).collect(),
            rulesets: rulesets
                .into_iter()
                .map(|(ruleset, revision)| pb::process_status::RulesetInUse { ruleset, revision })
                .collect(),
            resources: resources
                .into_iter()
                .map(|(usage, above_mark)| pb::process_status::Resource {
                    name: usage.resource.name().to_owned(),
                    used: usage.used,
                    limit: usage.limit,
                    above_mark,
                })
                .collect(),
            degraded_features: degraded.into_iter().map(str::to_owned).collect(),
            calls: calls.into_iter().map(calls_of).collect(),
            quotas: quotas.into_iter().map(quota).collect(),
            cache: cache.map(cache_use),
            themes: themes.map(|revision| pb::process_status::ThemesInUse { revision }),
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

    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let process = self.status();
        let (status, version) = (process.status.clone(), process.version.clone());
        Ok(Response::new(pb::GetStatusResponse {
            status,
            version,
            processes: vec![process],
            silent: Vec::new(),
        }))
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

fn dependency(report: DependencyReport) -> pb::process_status::Dependency {
    let DependencyReport { name, criticality, failing, last_error } = report;
    let (last_error, age) = last_error.unzip();
    pb::process_status::Dependency {
        name,
        criticality: match criticality {
            Criticality::Optional => pb::process_status::Criticality::Optional,
            Criticality::Critical => pb::process_status::Criticality::Critical,
        }
        .into(),
        failing: failing.is_some(),
        failing_for: failing.and_then(duration),
        last_error: last_error.unwrap_or_default(),
        last_error_age: age.and_then(duration),
    }
}

fn redis_server(server: process_status::RedisServer) -> pb::process_status::RedisServer {
    use pb::process_status::redis_server::Role;
    let role = match server.role {
        RedisRole::Primary => Role::Primary,
        RedisRole::Replica => Role::Replica,
        RedisRole::Unreachable => Role::Unreachable,
    };
    pb::process_status::RedisServer { address: server.address, role: role.into() }
}

fn calls_of(calls: Calls) -> pb::process_status::Calls {
    pb::process_status::Calls {
        role: calls.role.to_owned(),
        total: count(calls.total),
        failed: count(calls.failed),
        rejected: count(calls.rejected),
        failed_ratio: calls.failed_ratio(),
        mean_time: calls.mean_time.and_then(duration),
    }
}

fn quota(quota: process_status::Quota) -> pb::process_status::Quota {
    let process_status::Quota { role, name, used, limit, refused } = quota;
    pb::process_status::Quota {
        name: format!("{role}/{name}"),
        used: count(used),
        limit: count(limit),
        refused: count(refused),
    }
}

fn cache_use(cache: process_status::CacheUse) -> pb::process_status::CacheUse {
    let process_status::CacheUse { reads, hit_rate, l1_entries, l1_bytes, l1_capacity } = cache;
    pb::process_status::CacheUse {
        reads: count(reads),
        hit_rate,
        l1_entries: count(l1_entries),
        l1_bytes: count(l1_bytes),
        l1_capacity_bytes: count(l1_capacity),
    }
}

fn counts(totals: Totals, changes: u64) -> pb::circuit_breaker::Totals {
    let Totals { calls, successes, failures, rejected } = totals;
    pb::circuit_breaker::Totals {
        calls: count(calls),
        successes: count(successes),
        failures: count(failures),
        rejected: count(rejected),
        changes: count(changes),
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}
