//! The stack that every call to a service passes, as one flat list with the reason for each layer's place.

mod deadline;
mod error;
mod limit;
mod observe;
mod tonic_errors;

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::metrics::ServerMetrics;
use crate::propagation::PropagationLayer;
use crate::response::TerminatedBody;
use dataflow_settings::Live;

use deadline::DeadlineLayer;
use error::Error;
use limit::LimitLayer;
use observe::ObserveLayer;
use tonic_errors::describe;

/// A whole service as the server loop calls it.
pub type Stack = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Health and reflection answer however busy the service is, or an overloaded pod would look dead and be restarted;
/// they are neither counted nor traced, or probes would drown everything else.
const CONTROL_PREFIX: &str = "/grpc.";

/// The settings of a stack.
pub(crate) struct StackSettings<'a> {
    pub(crate) baggage: &'a [String],
    pub(crate) limits: &'a Live<LimitArgs>,
    pub(crate) metrics: ServerMetrics,
}

/// Builds the stack of one service. `api` are its methods, `control` health and reflection. When `draining` is cancelled
/// the streams of `control` end, and those of `api` if it `forwards` calls: its own services end theirs themselves.
pub(crate) fn stack(
    settings: StackSettings<'_>,
    methods: Methods,
    api: Stack,
    forwards: bool,
    control: Router,
    draining: CancellationToken,
) -> Stack {
    let StackSettings { baggage, limits, metrics } = settings;
    let forwarded = forwards.then(|| methods.clone());
    // Top is outermost.
    let api = ServiceBuilder::new()
        // First, so that everything below logs and calls under the request's id and trace.
        .layer(PropagationLayer::new(baggage))
        // Outside the limit, so that refused calls count too.
        .layer(ObserveLayer::new(methods.clone(), metrics))
        // Outside the limit, so that a call that is terminated releases its permit.
        .layer(DeadlineLayer::new(limits.clone(), methods.clone()))
        // One limit for all connections; what is above it is refused at once.
        .layer(LimitLayer::new(limits.clone(), methods))
        // Innermost: what it mends comes from tonic, of ours or of an upstream.
        .map_response(describe)
        .service(api);

    Stack::new(Dispatch { api, forwarded, control, draining })
}

/// Parts the service's methods from health and reflection, and ends streams that would not end by themselves.
#[derive(Clone)]
struct Dispatch<S> {
    api: S,
    /// The methods of `api`, if it forwards them.
    forwarded: Option<Methods>,
    control: Router,
    draining: CancellationToken,
}

impl<S> Service<Request<Body>> for Dispatch<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.api.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let (response, endless): (Self::Future, bool) = if path.starts_with(CONTROL_PREFIX) {
            (Box::pin(self.control.clone().oneshot(request)), true)
        } else {
            let endless = self.forwarded.as_ref().is_some_and(|methods| methods.streams(path));
            (Box::pin(self.api.call(request)), endless)
        };
        if !endless {
            return response;
        }
        let draining = self.draining.clone();
        Box::pin(async move {
            let response = response.await?;
            if http_body::Body::is_end_stream(response.body()) {
                return Ok(response);
            }
            Ok(response.map(|body| {
                Body::new(TerminatedBody::new(body, draining.cancelled_owned(), Error::Draining))
            }))
        })
    }
}
