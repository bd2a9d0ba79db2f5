//! The health of the mesh: of this process under the empty name, of an upstream under the name of its service.

mod watches;

use std::pin::Pin;
use std::time::Duration;

use dataflow_mesh::status::is_unknown_service;
use dataflow_proto::mesh::v1::mesh_service_server::SERVICE_NAME;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::HealthService;

use crate::upstreams::Upstreams;

use watches::Watches;

/// Timeout of the health check of an upstream.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Health of this process, and of the upstreams as they report it.
#[derive(Debug)]
pub(crate) struct MeshHealth {
    own: HealthService,
    upstreams: Upstreams,
    watches: Watches,
}

type Responses = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

// === impl MeshHealth ===

impl MeshHealth {
    pub(crate) fn new(own: HealthService, upstreams: Upstreams) -> Self {
        Self { own, upstreams, watches: Watches::default() }
    }
}

#[tonic::async_trait]
impl Health for MeshHealth {
    type WatchStream = Responses;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let request = own(request);
        let Some(upstream) = self.upstreams.get(&request.get_ref().service) else {
            return self.own.check(request).await;
        };
        let mut client = HealthClient::new(upstream);
        match tokio::time::timeout(TIMEOUT, client.check(request.into_inner())).await {
            Ok(Ok(answer)) => Ok(answer),
            // The upstream has no health service, or does not know the name: that says nothing about its health.
            Ok(Err(status)) if is_unknown_service(&status) => Err(status),
            // An upstream without a response is NOT_SERVING.
            Ok(Err(_)) | Err(_) => Ok(Response::new(response(ServingStatus::NotServing))),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = own(request);
        let service = request.get_ref().service.clone();
        if let Some(upstream) = self.upstreams.get(&service) {
            let statuses = WatchStream::new(self.watches.of(service, upstream));
            let responses = statuses.filter_map(|status| async move { status.map(response).map(Ok) });
            return Ok(Response::new(Box::pin(responses)));
        }
        Ok(Response::new(match self.own.watch(request).await {
            Ok(answer) => Box::pin(answer.into_inner()) as Responses,
            // The stream stays open, as the health checking protocol requires: the name may become known.
            Err(_) => {
                let unknown = stream::once(async { Ok(response(ServingStatus::ServiceUnknown)) });
                Box::pin(unknown.chain(stream::pending()))
            }
        }))
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// The health of the service that the gateway implements itself is that of this process.
fn own(mut request: Request<HealthCheckRequest>) -> Request<HealthCheckRequest> {
    if request.get_ref().service == SERVICE_NAME {
        request.get_mut().service.clear();
    }
    request
}
