//! The health of the mesh: of this process under the empty name, of an upstream under the name of its service.

use std::pin::Pin;
use std::time::Duration;

use dataflow_proto::mesh::v1::mesh_service_server::SERVICE_NAME;
use futures_util::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::HealthService;

use crate::upstreams::{UpstreamError, Upstreams};

/// Timeout of the health check of an upstream.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Health of this process, and of the upstreams as they report it.
#[derive(Debug)]
pub(crate) struct MeshHealth {
    own: HealthService,
    upstreams: Upstreams,
}

// === impl MeshHealth ===

impl MeshHealth {
    pub(crate) fn new(own: HealthService, upstreams: Upstreams) -> Self {
        Self { own, upstreams }
    }
}

#[tonic::async_trait]
impl Health for MeshHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

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
            // An upstream without a response is NOT_SERVING.
            Ok(Err(_)) | Err(_) => {
                let status = ServingStatus::NotServing.into();
                Ok(Response::new(HealthCheckResponse { status }))
            }
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = own(request);
        let service = request.get_ref().service.clone();
        let Some(upstream) = self.upstreams.get(&service) else {
            let answer = self.own.watch(request).await?;
            return Ok(answer.map(|stream| Box::pin(stream) as Self::WatchStream));
        };
        let mut client = HealthClient::new(upstream);
        match tokio::time::timeout(TIMEOUT, client.watch(request.into_inner())).await {
            Ok(answer) => answer.map(|answer| answer.map(|stream| Box::pin(stream) as Self::WatchStream)),
            Err(_) => Err(UpstreamError::Unavailable { service }.into()),
        }
    }
}

/// The health of the service that the gateway implements itself is that of this process.
fn own(mut request: Request<HealthCheckRequest>) -> Request<HealthCheckRequest> {
    if request.get_ref().service == SERVICE_NAME {
        request.get_mut().service.clear();
    }
    request
}
