//! Gives what tonic answers by itself the code, the reason and the details that answers of ours have.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tower::{Layer, Service};

use crate::status;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct DescribeLayer;

impl<S> Layer<S> for DescribeLayer {
    type Service = DescribeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DescribeService { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct DescribeService<S> {
    inner: S,
}

// === impl DescribeService ===

impl<S, B> Service<Request<B>> for DescribeService<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // A refusal is always trailers only: it stands in the head.
            let refused = Status::from_header_map(answer.headers());
            let refused = refused.and_then(|status| status::of_received(&status));
            Ok(refused.map_or(answer, |refused| status::to_status(&refused).into_http()))
        })
    }
}
