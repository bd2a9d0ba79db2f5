//! The requests of one connection, from its protocol to the stack of the service.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::access_log::Traffic;
use crate::drain::Late;
use crate::identity::{CallerId, PeerAddress};
use crate::inbound::Stack;
use crate::status::Kind;
use crate::tls::ClientCertificate;

use super::backpressure::Rejections;
use super::gate::{AtLimit, Gate, is_grpc};
use super::request_body::DataOnly;

/// What the requests of one connection have in common.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) stack: Stack,
    pub(super) gate: Arc<Gate>,
    /// The connection.
    pub(super) id: CallerId,
    pub(super) peer: PeerAddress,
    /// What its client presented in the handshake of TLS.
    pub(super) certificate: Option<ClientCertificate>,
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
    /// Responds to one request. The gate is asked here, when the request runs, and not when it is read: earlier
    /// requests of the same read may hold permits by now.
    pub(super) async fn respond(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if let Some(refusal) = misuse(&request, self.is_http2) {
            return Ok(refusal);
        }
        let traffic = Arc::<Traffic>::default();
        let mut request = request.map(|inner| Body::new(DataOnly { inner, traffic: Arc::clone(&traffic) }));
        request.extensions_mut().insert(traffic);
        request.extensions_mut().insert(self.id);
        request.extensions_mut().insert(self.peer);
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
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

/// The response to a request that is gRPC by its content type and cannot be by its head: it would be executed, and a
/// failure would look like success where trailers are lost (gRPC over HTTP/2, "Requests").
fn misuse<B>(request: &Request<B>, is_http2: bool) -> Option<Response<Body>> {
    if !is_grpc(request.headers()) {
        return None;
    }
    let mut response = Response::new(Body::empty());
    if !is_http2 {
        *response.status_mut() = Kind::HttpVersion.http();
    } else if request.method() != Method::POST {
        *response.status_mut() = Kind::MethodNotAllowed.http();
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    } else {
        return None;
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_post_over_http2() {
        let check = |content_type: &str, method: Method, is_http2: bool, expected: Option<u16>| {
            let request = Request::builder().method(&method).header("content-type", content_type);
            let refusal = misuse(&request.body(()).unwrap(), is_http2);
            assert_eq!(refusal.map(|refusal| refusal.status().as_u16()), expected, "{content_type} {method}");
        };
        check("application/grpc", Method::POST, true, None);
        check("application/grpc+proto", Method::POST, true, None);
        check("application/grpc", Method::POST, false, Some(505));
        check("application/grpc", Method::GET, true, Some(405));
        check("application/grpc", Method::DELETE, true, Some(405));
        check("application/grpc-web", Method::POST, false, None);
        check("application/json", Method::GET, false, None);
    }
}
