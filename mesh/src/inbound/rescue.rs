//! Turns the errors of the layers below into gRPC answers that leave as trailers only.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::load_shed::error::Overloaded;
use tower::{BoxError, Layer, Service};

use crate::status::{self, Describe, Kind};

/// What the layers below can raise.
#[derive(Debug, thiserror::Error)]
enum Raised {
    #[error("the service is at its limit of concurrent calls; nothing was begun")]
    Overloaded,
    #[error("a layer failed")]
    Unexpected(#[source] BoxError),
}

impl Describe for Raised {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Raised::Overloaded => Kind::Overloaded,
            Raised::Unexpected(_) => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Raised::Overloaded => "CONCURRENCY_LIMIT",
            Raised::Unexpected(_) => "INTERNAL",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Raised::Overloaded => Some(Duration::from_secs(1)),
            Raised::Unexpected(_) => None,
        }
    }
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct RescueLayer;

impl<S> Layer<S> for RescueLayer {
    type Service = RescueService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RescueService { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct RescueService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for RescueService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Load shedding below is always ready; were it not, its error comes back from the call.
        self.inner.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            Ok(answer.await.unwrap_or_else(|error| {
                let raised =
                    if error.is::<Overloaded>() { Raised::Overloaded } else { Raised::Unexpected(error) };
                status::to_status(&raised).into_http()
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use tower::limit::ConcurrencyLimitLayer;
    use tower::load_shed::LoadShedLayer;
    use tower::{ServiceBuilder, ServiceExt};

    use super::*;

    #[tokio::test]
    async fn a_call_above_the_limit_is_refused_without_being_begun() {
        let (release, held) = tokio::sync::watch::channel(());
        let begun = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = begun.clone();
        let handler = tower::service_fn(move |_: Request<()>| {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut held = held.clone();
            async move {
                held.changed().await.expect("the test releases us");
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let mut stack = ServiceBuilder::new()
            .layer(RescueLayer)
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(1))
            .service(handler);
        let first = tokio::spawn(stack.ready().await.unwrap().call(Request::new(())));
        let refused = stack.ready().await.unwrap().call(Request::new(())).await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "8");
        assert!(http_body::Body::is_end_stream(refused.body()), "trailers only");
        release.send(()).unwrap();
        assert!(!first.await.unwrap().unwrap().headers().contains_key("grpc-status"));
        assert_eq!(begun.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
