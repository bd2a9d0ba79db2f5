//! Reads who makes a call, once, and gives it to the handler as an extension of the request.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::identity::Identity;
use crate::status;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct IdentifyLayer;

impl<S> Layer<S> for IdentifyLayer {
    type Service = IdentifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentifyService { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct IdentifyService<S> {
    inner: S,
}

// === impl IdentifyService ===

impl<S, B> Service<Request<B>> for IdentifyService<S>
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match Identity::read(request.headers()) {
            Ok(identity) => {
                request.extensions_mut().insert(identity);
                Box::pin(self.inner.call(request))
            }
            Err(repeated) => Box::pin(async move { Ok(status::to_status(&repeated).into_http()) }),
        }
    }
}
