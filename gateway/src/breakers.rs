//! `MeshService` for the mesh: aggregates the circuit breakers and the status of this process and of every replica of
//! each upstream. Separate from the mesh crate's implementation, which knows only one process.

mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow_mesh::mesh_service::{Error, Service as OwnService};
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::propagation;
use dataflow_mesh::status::to_status;
use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_proto::mesh::v1::mesh_service_server::MeshService;
use futures_util::future::join_all;
use http::HeaderMap;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status};

use crate::upstreams::{Replica, Upstreams};

/// Timeout of the call to a replica; one that exceeds it is listed as silent.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How long a status is repeated to further callers. Asking for it has no rate limit, and must not cost the services more
/// than this.
const STATUS_AGE: Duration = Duration::from_millis(500);

/// The breakers and the status of this process and of the upstreams.
#[derive(Debug)]
pub(crate) struct MeshBreakers {
    own: OwnService,
    upstreams: Upstreams,
    /// The last status, and when it was gathered. One call at a time gathers it.
    status: Mutex<Option<(Instant, pb::GetStatusResponse)>>,
}

/// The responses of this process and of the upstreams.
#[derive(Debug, Default)]
struct Report {
    /// By name and replica: services that share a process report the same breakers.
    breakers: BTreeMap<(String, String), pb::CircuitBreaker>,
    /// Addresses of the replicas that did not respond.
    silent: Vec<String>,
}

// === impl MeshBreakers ===

impl MeshBreakers {
    pub(crate) fn new(own: OwnService, upstreams: Upstreams) -> Self {
        Self { own, upstreams, status: Mutex::default() }
    }

    /// Calls all replicas concurrently; returns the response of each, or none of one that has not responded in time.
    async fn ask_all<T, A>(
        &self,
        ask: impl Fn(MeshServiceClient<Outbound>) -> A,
    ) -> Vec<(Replica, Option<Result<T, Status>>)>
    where
        A: Future<Output = Result<T, Status>> + Send,
        T: Send,
    {
        let calls = self.upstreams.replicas().await.into_iter().map(|replica| {
            let answer = tokio::time::timeout(TIMEOUT, ask(MeshServiceClient::new(replica.channel.clone())));
            async move { (replica, answer.await.ok()) }
        });
        // Collected, so that nothing is borrowed across the calls.
        let calls: Vec<_> = calls.collect();
        join_all(calls).await
    }

    /// The circuit breakers of all replicas and of this process.
    async fn collect<A>(
        &self,
        own: Result<Vec<pb::CircuitBreaker>, Status>,
        ask: impl Fn(MeshServiceClient<Outbound>) -> A,
    ) -> Report
    where
        A: Future<Output = Result<Vec<pb::CircuitBreaker>, Status>> + Send,
    {
        let mut report = Report::default();
        report.add(own.unwrap_or_default());
        for (Replica { address, .. }, answer) in self.ask_all(ask).await {
            match answer {
                Some(Ok(breakers)) => report.add(breakers),
                Some(Err(status)) if has_none(&status) => {}
                Some(Err(_)) | None => report.silent.push(address),
            }
        }
        report
    }
}

/// A request with the headers that travel through the mesh: channels that forward do not add them, because calls that
/// are forwarded have them already.
fn propagating<M>(message: M) -> Request<M> {
    let mut headers = HeaderMap::new();
    propagation::apply(&mut headers);
    Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), message)
}

/// Whether a service has no such circuit breaker, or is a foreign one without circuit breakers.
fn has_none(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::Unimplemented)
}

#[tonic::async_trait]
impl MeshService for MeshBreakers {
    async fn list_circuit_breakers(
        &self,
        request: Request<pb::ListCircuitBreakersRequest>,
    ) -> Result<Response<pb::ListCircuitBreakersResponse>, Status> {
        let own = self.own.list_circuit_breakers(request).await;
        let own = own.map(|own| own.into_inner().circuit_breakers);
        let report = self.collect(own, |mut client| async move {
            let answer = client.list_circuit_breakers(propagating(pb::ListCircuitBreakersRequest {})).await?;
            Ok(answer.into_inner().circuit_breakers)
        });
        let (circuit_breakers, silent) = report.await.sorted();
        Ok(Response::new(pb::ListCircuitBreakersResponse { circuit_breakers, silent }))
    }

    async fn reset_circuit_breaker(
        &self,
        request: Request<pb::ResetCircuitBreakerRequest>,
    ) -> Result<Response<pb::ResetCircuitBreakerResponse>, Status> {
        let name = request.get_ref().name.clone();
        let own = self.own.reset_circuit_breaker(request).await;
        let own = own.map(|own| own.into_inner().circuit_breakers);
        let report = self.collect(own, |mut client| {
            let request = propagating(pb::ResetCircuitBreakerRequest { name: name.clone() });
            async move { Ok(client.reset_circuit_breaker(request).await?.into_inner().circuit_breakers) }
        });
        let (circuit_breakers, silent) = report.await.sorted();
        if circuit_breakers.is_empty() {
            return Err(to_status(&Error::NotFound { name }));
        }
        Ok(Response::new(pb::ResetCircuitBreakerResponse { circuit_breakers, silent }))
    }

    async fn reset_all_circuit_breakers(
        &self,
        request: Request<pb::ResetAllCircuitBreakersRequest>,
    ) -> Result<Response<pb::ResetAllCircuitBreakersResponse>, Status> {
        let own = self.own.reset_all_circuit_breakers(request).await;
        let own = own.map(|own| own.into_inner().circuit_breakers);
        let report = self.collect(own, |mut client| async move {
            let answer =
                client.reset_all_circuit_breakers(propagating(pb::ResetAllCircuitBreakersRequest {})).await?;
            Ok(answer.into_inner().circuit_breakers)
        });
        let (circuit_breakers, silent) = report.await.sorted();
        Ok(Response::new(pb::ResetAllCircuitBreakersResponse { circuit_breakers, silent }))
    }

    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let mut last = self.status.lock().await;
        if let Some((gathered, status)) = &*last
            && gathered.elapsed() < STATUS_AGE
        {
            return Ok(Response::new(status.clone()));
        }
        let answers = self.ask_all(|mut client| async move {
            Ok(client.get_status(propagating(pb::GetStatusRequest {})).await?.into_inner().processes)
        });
        let status = status::of_mesh(self.own.status(), answers.await);
        *last = Some((Instant::now(), status.clone()));
        Ok(Response::new(status))
    }
}

// === impl Report ===

impl Report {
    fn add(&mut self, breakers: Vec<pb::CircuitBreaker>) {
        let keyed = breakers.into_iter().map(|one| ((one.name.clone(), one.replica.clone()), one));
        self.breakers.extend(keyed);
    }

    /// The breakers, sorted by name and replica, and the silent replicas.
    fn sorted(mut self) -> (Vec<pb::CircuitBreaker>, Vec<String>) {
        self.silent.sort();
        (self.breakers.into_values().collect(), self.silent)
    }
}
