//! The stack that every call to a service passes, as one flat list with the reason for each layer's place.

mod observe;
mod rescue;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};

use crate::args::ServerArgs;
use crate::deadline::DeadlineLayer;
use crate::descriptors::Method;
use crate::metrics::ServerMetrics;
use crate::propagation::PropagationLayer;

use observe::ObserveLayer;
use rescue::RescueLayer;

/// A whole service as the server loop calls it.
pub(crate) type Stack = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// Health and reflection answer however busy the service is, or an overloaded pod would look dead and be restarted;
/// they are neither counted nor traced, or probes would drown everything else.
const CONTROL: &str = "/grpc.";

/// Builds the stack of one service. `api` are its own methods, `control` health and reflection.
pub(crate) fn stack(
    args: &ServerArgs,
    methods: Arc<HashMap<String, Method>>,
    metrics: ServerMetrics,
    api: Router,
    control: Router,
) -> Stack {
    let permits = usize::try_from(args.max_concurrent_requests).unwrap_or(Semaphore::MAX_PERMITS);
    // Top is outermost.
    let api = ServiceBuilder::new()
        // First, so that everything below logs and calls under the request's id and trace.
        .layer(PropagationLayer)
        // Outside the shedding, so that refused calls count too.
        .layer(ObserveLayer::new(methods, metrics))
        // Outside the limit, so that waiting spends the caller's budget as well.
        .layer(DeadlineLayer::new(args.request_timeout))
        // Turns what the layers below raise into answers.
        .layer(RescueLayer)
        // Outside the limit: refuses at once instead of queueing.
        .layer(LoadShedLayer::new())
        // One semaphore for all connections.
        .layer(GlobalConcurrencyLimitLayer::new(permits))
        .service(api);

    let split = tower::service_fn(move |request: Request<Incoming>| {
        let (api, control) = (api.clone(), control.clone());
        async move {
            if request.uri().path().starts_with(CONTROL) {
                control.oneshot(request).await
            } else {
                api.oneshot(request).await
            }
        }
    });
    BoxCloneSyncService::new(split)
}
