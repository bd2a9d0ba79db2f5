//! The stack of layers that every call to a service passes, as one flat list with the reason for each layer's position.

mod deadline;
mod error;
mod head;
mod limit;
mod observe;
mod tonic_errors;

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use dataflow_settings::Live;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::access_log::AccessLog;
use crate::args::LimitArgs;
use crate::descriptors::{self, Methods};
use crate::metrics::ServerMetrics;
use crate::panics::{self, Panic};
use crate::propagation::PropagationLayer;
use crate::response::TerminatedBody;
use crate::status;

use deadline::DeadlineLayer;
use error::Error;
use head::HeadLayer;
use limit::LimitLayer;
pub(crate) use limit::RequestMemory;
pub use limit::{Claimant, SharePermit, Shares};
use observe::ObserveLayer;
use tonic_errors::describe;

/// A whole service, as the server loop calls it.
pub type Stack = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Path prefix of health and reflection. They bypass the limits, or an overloaded pod would fail its health checks and
/// be restarted; only their streams have a limit, of their own. They are neither counted nor traced, because health
/// checks would outnumber all other calls.
const CONTROL_PREFIX: &str = "/grpc.";

/// The settings of a stack.
pub(crate) struct StackSettings<'a> {
    pub(crate) baggage: &'a [String],
    pub(crate) limits: &'a Live<LimitArgs>,
    /// The most bytes of the headers of a call.
    pub(crate) max_headers: usize,
    /// The permits of calls.
    pub(crate) calls: Shares,
    /// Those of streaming responses.
    pub(crate) streams: Shares,
    /// The access log.
    pub(crate) log: AccessLog,
    /// The memory of request messages.
    pub(crate) messages: RequestMemory,
    pub(crate) metrics: ServerMetrics,
}

/// Builds the stack of one service. `api` has its methods, `control` health and reflection. When `draining` is
/// canceled, the streams of `control` end, and those of `api` if it `forwards` calls: own services end their streams
/// themselves.
pub(crate) fn stack(
    settings: StackSettings<'_>,
    methods: Methods,
    api: Stack,
    forwards: bool,
    control: Router,
    draining: CancellationToken,
) -> Stack {
    let StackSettings { baggage, limits, max_headers, calls, streams, log, messages, metrics } = settings;
    let waiting = metrics.waiting_bodies();
    let forwarded = forwards.then(|| methods.clone());
    // Top is outermost.
    let api = ServiceBuilder::new()
        // Before the headers are read, because it may begin a trace.
        .map_request(move |request| observe::begun(request, forwards))
        // Before all others, so that all layers below log and call with the request id and the trace.
        .layer(PropagationLayer::new(metrics.role(), baggage))
        // Outside the limit, so that rejected calls are counted too.
        .layer(ObserveLayer::new(metrics, log))
        // Before anything depends on the caller.
        .layer(HeadLayer { max_bytes: max_headers })
        // Outside the limit, so that a call that is terminated releases its permit.
        .layer(DeadlineLayer::new(limits.clone(), methods.clone()))
        // Load shedding: one limit for all connections; a call above it is rejected at once.
        .layer(LimitLayer::new(limits.clone(), calls, streams, methods, waiting, messages.clone(), !forwards))
        // Innermost: it translates errors of tonic, in this process or in an upstream.
        .map_response(describe)
        .service(api);

    let control = ServiceBuilder::new()
        .layer(HeadLayer { max_bytes: max_headers })
        .layer(LimitLayer::streams(limits.clone(), descriptors::control_methods(), messages))
        .service(Stack::new(control));
    Stack::new(Dispatch { api, forwarded, control: Stack::new(control), draining })
}

/// Dispatches between the service's methods and health and reflection, and ends streams on drain that would not end by
/// themselves.
#[derive(Clone)]
struct Dispatch<S> {
    api: S,
    /// The methods of `api`, if it forwards them.
    forwarded: Option<Methods>,
    control: Stack,
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
            (Box::pin(caught(self.control.clone().oneshot(request))), true)
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

/// The status of a call for which there is no permit.
pub fn overloaded() -> Status {
    status::to_status(&Error::Overloaded)
}

/// The response of health or reflection. `ObserveLayer`, which catches the panics of all other calls, is not around it.
async fn caught(
    response: impl Future<Output = Result<Response<Body>, Infallible>>,
) -> Result<Response<Body>, Infallible> {
    panics::catch(response).await.unwrap_or_else(|Panic { message, location, backtrace }| {
        tracing::error!(panic = message, location, backtrace, "health or reflection: panicked");
        Ok(status::logged(&panics::Error::Panicked).into_http())
    })
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_panic_of_health_is_a_response() {
        let panicking = async || -> String { panic!("health panics") };
        let mut dispatch = Dispatch {
            api: tower::service_fn(async |_| Ok(Response::new(Body::empty()))),
            forwarded: None,
            control: Stack::new(Router::new().fallback(panicking)),
            draining: CancellationToken::new(),
        };
        for (path, code) in [("/grpc.health.v1.Health/Check", Some(Code::Internal)), ("/a.B/C", None)] {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            let response = dispatch.call(request).await.unwrap();
            assert_eq!(status::failure_in(response.headers()).map(|status| status.code()), code, "{path}");
        }
    }
}
