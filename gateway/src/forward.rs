//! The innermost service of the stack: forwards every call to the upstream of its service as bytes, independent of
//! method and streaming. Separate from the upstreams, because the services for health and circuit breakers need those
//! too and are themselves targets of forwarding.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_mesh::identity;
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::sampling::Sampler;
use dataflow_proto::mesh::v1::mesh_service_server::{MeshServiceServer, SERVICE_NAME};
use futures_util::future::BoxFuture;
use http::header::{HOST, TE};
use http::{HeaderValue, Request, Response};
use tonic::Status;
use tower::{Service, ServiceExt};

use crate::body::Limits;
use crate::breakers::MeshBreakers;
use crate::call::{Call, service_in};
use crate::upstreams::{UpstreamError, Upstreams};

/// Forwards every call to the upstream of its service. A call that came in a dialect is put into gRPC first.
#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) upstreams: Upstreams,
    /// The service that the gateway implements itself.
    pub(crate) mesh: MeshServiceServer<MeshBreakers>,
    /// The memory budget of buffered bodies.
    pub(crate) limits: Limits,
    /// Samples the log records of calls that reach no upstream: a client causes one by breaking off its request.
    pub(crate) unreachable: Sampler,
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = service_in(request.uri().path()).to_owned();
        let target = match self.upstreams.get(&service) {
            Some(upstream) => Target::Upstream(upstream),
            None if service == SERVICE_NAME => Target::Mesh(self.mesh.clone()),
            None => return Box::pin(async { Ok(Status::from(UpstreamError::ServiceUnknown).into_http()) }),
        };
        let (limits, unreachable) = (self.limits.clone(), self.unreachable.clone());
        Box::pin(async move {
            Ok(match forward(target, service, request, limits, unreachable).await {
                Ok(answer) => answer,
                Err(status) => status.into_http(),
            })
        })
    }
}

/// The target of a call.
enum Target {
    Upstream(Outbound),
    Mesh(MeshServiceServer<MeshBreakers>),
}

async fn forward(
    target: Target,
    service: String,
    mut request: Request<Body>,
    limits: Limits,
    unreachable: Sampler,
) -> Result<Response<Body>, Status> {
    let mut breakage = None;
    if let Some(call) = Call::take(&mut request) {
        (request, breakage) = call.read_request(request, &limits).await?;
    }
    let (mut head, body) = request.into_parts();
    head.headers.remove(HOST);
    head.headers.insert(TE, HeaderValue::from_static("trailers"));
    identity::mark_caller(&mut head);
    let request = Request::from_parts(head, tonic::body::Body::new(body));
    let upstream = match target {
        Target::Upstream(upstream) => upstream,
        Target::Mesh(mesh) => {
            let Ok(answer) = mesh.oneshot(request).await;
            return Ok(answer.map(Body::new));
        }
    };
    let error = match upstream.oneshot(request).await {
        Ok(answer) => return Ok(answer.map(Body::new)),
        Err(error) => error,
    };
    // A status of our own, a deadline error, or a connection error of the channel.
    let error = match error.downcast::<Status>() {
        Ok(status) => return Err(*status),
        Err(error) => error,
    };
    if let Some(why) = breakage.as_ref().and_then(|breakage| breakage.get()) {
        return Err(why.clone().into());
    }
    if let Some(left_out) = unreachable.take() {
        let error = with_causes(&*error);
        tracing::warn!(service, error, left_out, "upstream: unreachable");
    }
    Err(UpstreamError::Unavailable { service }.into())
}

/// An error with its causes: the outermost alone says only that something failed.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
