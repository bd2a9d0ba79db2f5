//! MeshService of the whole: the breakers of this process and of every service behind it, each asked for its own.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow_mesh::breaker::Breakers;
use dataflow_mesh::breaker::service::{Error, Service as Own};
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::propagation;
use dataflow_mesh::status::to_status;
use dataflow_proto::mesh::v1 as pb;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_proto::mesh::v1::mesh_service_server::MeshService;
use futures_util::future::join_all;
use http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Code, Extensions, Request, Response, Status};

use crate::upstreams::Upstreams;

/// How long one service may take; those that take longer count as silent.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct WholeMesh {
    own: Own,
    upstreams: Upstreams,
}

/// What everybody said.
#[derive(Debug, Default)]
struct Told {
    /// By name and replica: services that share a process tell the same.
    breakers: BTreeMap<(String, String), pb::CircuitBreaker>,
    silent: Vec<String>,
}

// === impl WholeMesh ===

impl WholeMesh {
    pub(crate) fn new(breakers: Breakers, upstreams: Upstreams) -> Self {
        Self { own: Own::new(breakers), upstreams }
    }

    /// Asks every upstream, all at once, and adds what this process itself says.
    async fn ask<A>(
        &self,
        own: Result<Vec<pb::CircuitBreaker>, Status>,
        question: impl Fn(MeshServiceClient<Outbound>) -> A,
    ) -> Told
    where
        A: Future<Output = Result<Vec<pb::CircuitBreaker>, Status>> + Send,
    {
        let asking = self.upstreams.each().map(|(address, upstream)| {
            let answer = tokio::time::timeout(PATIENCE, question(MeshServiceClient::new(upstream.clone())));
            async move { (address.clone(), answer.await.ok()) }
        });
        // Nothing else is borrowed while they answer.
        let asking: Vec<_> = asking.collect();
        let mut told = Told::default();
        told.add(own.unwrap_or_default());
        for (address, answer) in join_all(asking).await {
            match answer {
                Some(Ok(breakers)) => told.add(breakers),
                Some(Err(status)) if has_none(&status) => {}
                Some(Err(_)) | None => told.silent.push(address),
            }
        }
        told
    }
}

/// A question with what travels through the mesh: channels that forward do not add it, for others' calls have it already.
fn asking<M>(message: M) -> Request<M> {
    let mut headers = HeaderMap::new();
    propagation::apply(&mut headers);
    Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), message)
}

/// Whether a service answered that it has no such breaker, or is none of ours and has no breakers at all.
fn has_none(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::Unimplemented)
}

#[tonic::async_trait]
impl MeshService for WholeMesh {
    async fn list_circuit_breakers(
        &self,
        request: Request<pb::ListCircuitBreakersRequest>,
    ) -> Result<Response<pb::ListCircuitBreakersResponse>, Status> {
        let own = self.own.list_circuit_breakers(request).await;
        let own = own.map(|own| own.into_inner().circuit_breakers);
        let told = self.ask(own, |mut client| async move {
            let answer = client.list_circuit_breakers(asking(pb::ListCircuitBreakersRequest {})).await?;
            Ok(answer.into_inner().circuit_breakers)
        });
        let (circuit_breakers, silent) = told.await.sorted();
        Ok(Response::new(pb::ListCircuitBreakersResponse { circuit_breakers, silent }))
    }

    async fn reset_circuit_breaker(
        &self,
        request: Request<pb::ResetCircuitBreakerRequest>,
    ) -> Result<Response<pb::ResetCircuitBreakerResponse>, Status> {
        let name = request.get_ref().name.clone();
        let own = self.own.reset_circuit_breaker(request).await;
        let own = own.map(|own| own.into_inner().circuit_breakers);
        let told = self.ask(own, |mut client| {
            let request = asking(pb::ResetCircuitBreakerRequest { name: name.clone() });
            async move { Ok(client.reset_circuit_breaker(request).await?.into_inner().circuit_breakers) }
        });
        let (circuit_breakers, silent) = told.await.sorted();
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
        let told = self.ask(own, |mut client| async move {
            let answer =
                client.reset_all_circuit_breakers(asking(pb::ResetAllCircuitBreakersRequest {})).await?;
            Ok(answer.into_inner().circuit_breakers)
        });
        let (circuit_breakers, silent) = told.await.sorted();
        Ok(Response::new(pb::ResetAllCircuitBreakersResponse { circuit_breakers, silent }))
    }
}

// === impl Told ===

impl Told {
    fn add(&mut self, breakers: Vec<pb::CircuitBreaker>) {
        let named = breakers.into_iter().map(|told| ((told.name.clone(), told.replica.clone()), told));
        self.breakers.extend(named);
    }

    /// By name and replica, and who said nothing.
    fn sorted(self) -> (Vec<pb::CircuitBreaker>, Vec<String>) {
        (self.breakers.into_values().collect(), self.silent)
    }
}
