//! Checks the head of a call: whether it came in time, the size of its headers, and who makes it, which the handler
//! gets as an extension.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tower::{Layer, Service};

use crate::drain::Late;
use crate::identity::Identity;
use crate::inbound::error::Error;
use crate::status;

/// What HTTP/2 counts for one header in addition to its name and value (RFC 9113, 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct HeadLayer {
    /// The most bytes of all headers.
    pub(super) max_bytes: usize,
}

impl<S> Layer<S> for HeadLayer {
    type Service = HeadService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HeadService { inner, max_bytes: self.max_bytes }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct HeadService<S> {
    inner: S,
    max_bytes: usize,
}

// === impl HeadService ===

impl<S, B> Service<Request<B>> for HeadService<S>
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
        let rejected = if request.extensions().get::<Late>().is_some() {
            status::to_status(&Error::Draining)
        } else if size(request.headers()) > self.max_bytes {
            status::to_status(&Error::HeadersTooLarge { limit: self.max_bytes })
        } else {
            match Identity::read(request.headers()) {
                Ok(identity) => {
                    request.extensions_mut().insert(identity);
                    return Box::pin(self.inner.call(request));
                }
                Err(error) => status::to_status(&error),
            }
        };
        Box::pin(async move { Ok(rejected.into_http()) })
    }
}

/// The size of headers as HTTP/2 counts it.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD).sum()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn headers_up_to_the_limit_pass_and_one_byte_more_does_not() {
        let handler = tower::service_fn(async |request: Request<()>| {
            assert!(request.extensions().get::<Identity>().is_some());
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let code = async |length: usize| {
            let mut request = Request::new(());
            let value = HeaderValue::try_from("x".repeat(length)).unwrap();
            request.headers_mut().insert(HeaderName::from_static("name"), value);
            let service = HeadLayer { max_bytes: 100 }.layer(handler);
            let response = service.oneshot(request).await.unwrap();
            response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
        };
        assert_eq!(code(100 - 4 - FIELD_OVERHEAD).await, None);
        assert_eq!(code(100 - 4 - FIELD_OVERHEAD + 1).await.as_deref(), Some("8"));
    }
}
