//! The requests of one connection, from its protocol to the stack of the service.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::drain::Late;
use crate::identity::CallerId;
use crate::inbound::Stack;

use super::backpressure::Rejections;
use super::gate::{AtLimit, Gate};
use super::request_body::DataOnly;

/// What the requests of one connection have in common.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) stack: Stack,
    pub(super) gate: Arc<Gate>,
    /// The connection.
    pub(super) id: CallerId,
    pub(super) is_http2: bool,
    /// Whether it belongs to the public port.
    pub(super) is_public: bool,
    /// Whether it came after the drain delay.
    pub(super) is_late: bool,
    pub(super) rejections: Rejections,
    /// Whether the service is stopping, and whether the connection is to close by itself.
    pub(super) leaving: CancellationToken,
    pub(super) closing: Arc<AtomicBool>,
}

// === impl Requests ===

impl Requests {
    /// Responds to one request. The gate is asked here, when the request runs, and not when it is read: earlier requests
    /// of the same read may hold permits by now.
    pub(super) async fn respond(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let mut request = request.map(|body| Body::new(DataOnly(body)));
        request.extensions_mut().insert(self.id);
        if self.is_late {
            // The stack rejects it with its own reason.
            request.extensions_mut().insert(Late);
        } else if let Some(rejection) = self.gate.reject(&mut request, self.id) {
            self.slow_down();
            return Ok(rejection);
        }
        if request.extensions().get::<AtLimit>().is_some() {
            self.slow_down();
        }
        let is_closing = (!self.is_http2).then_some((self.leaving, self.closing));
        let mut response = self.stack.oneshot(request).await?;
        // HTTP/2 has GOAWAY. The client of an HTTP/1 connection loses no request if it knows beforehand.
        if is_closing
            .is_some_and(|(leaving, closing)| leaving.is_cancelled() || closing.load(Ordering::Relaxed))
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    /// Has the connection read slowly. Not one between services, which carries the calls of many callers.
    fn slow_down(&self) {
        if self.is_public {
            self.rejections.add();
        }
    }
}
