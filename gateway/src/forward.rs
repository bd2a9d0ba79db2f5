//! The innermost service of the stack: forwards every call to the upstream of its service as bytes, independent of
//! method and streaming. Separate from the upstreams, because the services for health and circuit breakers need those
//! too and are themselves targets of forwarding.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::access_log::Traffic;
use dataflow_mesh::identity::{self, Identity};
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::propagation;
use dataflow_mesh::sampling::Sampler;
use dataflow_mesh::status::failure_in;
use dataflow_proto::mesh::v1::mesh_service_server::{MeshServiceServer, SERVICE_NAME};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, TE};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use crate::auth;
use crate::body::{Breakage, Limits};
use crate::breakers::MeshBreakers;
use crate::call::{Call, service_in};
use crate::dialect::Lookup;
use crate::frame::Frames;
use crate::upstreams::{UpstreamError, Upstreams, error_of_proxy};

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
            Some(upstream) => Target::Upstream(Box::new(upstream)),
            None if service == SERVICE_NAME => Target::Mesh(self.mesh.clone()),
            None => return Box::pin(async { Ok(Status::from(UpstreamError::ServiceUnknown).into_http()) }),
        };
        let tenant = Identity::of(request.extensions()).tenant;
        let (limits, unreachable) = (self.limits.of(&tenant), self.unreachable.clone());
        Box::pin(async move {
            Ok(match forward(target, service, request, limits, unreachable).await {
                Ok(answer) => answer,
                Err(status) => status.into_http(),
            })
        })
    }
}

/// The target of a call.
#[derive(Clone)]
enum Target {
    Upstream(Box<Outbound>),
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
        if let Some(lookup) = call.lookup()? {
            let read = reading(&lookup, request.headers(), request.extensions());
            let answer = send(target.clone(), &service, read, None, &unreachable).await;
            let found = found(answer, &service, limits.bytes).await?;
            call.decide(request.headers_mut(), found.as_deref())?;
        }
        (request, breakage) = call.read_request(request, &limits).await?;
    }
    send(target, &service, request, breakage, &unreachable).await
}

/// The request of a call that reads a resource, made for another call.
fn reading(lookup: &Lookup, headers: &HeaderMap, of: &Extensions) -> Request<Body> {
    let mut request = Request::post(lookup.path.as_str()).body(Body::from(lookup.message.clone()));
    let request = request.as_mut().expect("the path of a method is a target");
    propagation::apply(request.headers_mut());
    auth::forward_credentials(headers, request.headers_mut());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    *request.extensions_mut() = of.clone();
    std::mem::take(request)
}

/// The message that a call was replied with; none if what it reads does not exist.
async fn found(
    answer: Result<Response<Body>, Status>,
    service: &str,
    limit: usize,
) -> Result<Option<Bytes>, Status> {
    let read = async {
        let answer = answer?;
        if let Some(failure) = failure_in(answer.headers()) {
            return Err(failure);
        }
        if !answer.status().is_success() {
            return Err(UpstreamError::of_http(answer.status(), service.to_owned()).into());
        }
        let mut frames = Frames::new(answer.into_body());
        let length = frames.single_length().await?;
        frames.single(length, limit).await
    };
    match read.await {
        Ok(message) => Ok(Some(message)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

async fn send(
    target: Target,
    service: &str,
    request: Request<Body>,
    breakage: Option<Breakage>,
    unreachable: &Sampler,
) -> Result<Response<Body>, Status> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(HOST);
    head.headers.insert(TE, HeaderValue::from_static("trailers"));
    identity::mark_caller(&mut head);
    let request = Request::from_parts(head, tonic::body::Body::new(body));
    let upstream = match target {
        Target::Upstream(upstream) => *upstream,
        Target::Mesh(mesh) => {
            let Ok(answer) = mesh.oneshot(request).await;
            return Ok(answer.map(Body::new));
        }
    };
    let (traffic, began) = (Traffic::of(request.extensions()), Instant::now());
    let answer = upstream.oneshot(request).await;
    traffic.add_upstream(began.elapsed());
    let error = match answer {
        Ok(answer) => {
            let Some((error, text)) = error_of_proxy(answer.headers(), service) else {
                return Ok(answer.map(Body::new));
            };
            if let Some(left_out) = unreachable.take() {
                tracing::warn!(service, error = text, left_out, "upstream: a proxy answered in its place");
            }
            return Err(error.into());
        }
        Err(error) => error,
    };
    // A status of our own, a deadline error, or a connection error of the channel.
    let error = match error.downcast::<Status>() {
        Ok(status) => return Err(*status),
        Err(error) => error,
    };
    if let Some(why) = breakage.as_ref().and_then(|breakage| breakage.get()) {
        return Err(why.clone());
    }
    if let Some(left_out) = unreachable.take() {
        let error = with_causes(&*error);
        tracing::warn!(grpc_service = service, error, left_out, "upstream: unreachable");
    }
    Err(UpstreamError::Unavailable { service: service.to_owned() }.into())
}

/// An error with its causes: the outermost alone says only that something failed.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
