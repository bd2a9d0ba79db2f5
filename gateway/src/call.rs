//! A call in the stack: the frontend creates it, `forward` converts its request to gRPC, and the frontend writes its
//! response. Separate from both, because the stack is between them, with the deadline and the concurrency limit of
//! every call.

use std::sync::Arc;

use axum::body::Body;
use dataflow_mesh::status::failure_in;
use dataflow_mesh::{long_work, propagation};
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use tonic::Status;

use crate::auth;
use crate::body::{Breakage, BufferedBody, Coding, Limits, StreamedBody};
use crate::dialect::{BodyMode, Exchange, Lookup, Reply, RequestBody};
use crate::frame::Frames;
use crate::upstreams::UpstreamError;

/// The digest of a document, sent before it (RFC 9530).
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// A request in a dialect, as it goes with the HTTP request through the stack.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    exchange: Arc<dyn Exchange>,
}

// === impl Call ===

impl Call {
    pub(crate) fn new(exchange: Arc<dyn Exchange>) -> Self {
        Self { exchange }
    }

    pub(crate) fn exchange(&self) -> &dyn Exchange {
        &*self.exchange
    }

    /// The request under the path of its method, with its call; its body unread.
    pub(crate) fn under_its_method(&self, request: Request<Body>) -> Request<Body> {
        let (mut head, body) = request.into_parts();
        head.uri = Uri::from(PathAndQuery::clone(self.exchange.path()));
        head.method = Method::POST;
        head.extensions.insert(self.clone());
        Request::from_parts(head, body)
    }

    /// The call that a request came with; none for one that is gRPC already.
    pub(crate) fn take(request: &mut Request<Body>) -> Option<Self> {
        request.extensions_mut().remove()
    }

    /// The call that has to be made before the one of the request.
    pub(crate) fn lookup(&self) -> Result<Option<Lookup>, Status> {
        self.exchange.lookup()
    }

    /// Decides the conditions of the request by the message that this call was replied with.
    pub(crate) fn decide(&self, headers: &mut HeaderMap, found: Option<&[u8]>) -> Result<(), Status> {
        self.exchange.decide(headers, found)
    }

    /// The gRPC request, and a handle to the error of its body if that is streamed. Only headers that propagate through
    /// the mesh are forwarded, and credentials that a foreign service may have: other HTTP request headers have no
    /// meaning, or a different one, in gRPC.
    pub(crate) async fn read_request(
        self,
        request: Request<Body>,
        limits: &Limits,
    ) -> Result<(Request<Body>, Option<Breakage>), Status> {
        let Self { exchange } = self;
        let (mut head, body) = request.into_parts();
        exchange.check_head()?;
        let (body, breakage) = match exchange.body_mode() {
            BodyMode::Ignored => (RequestBody::Buffered(BufferedBody::default()), None),
            BodyMode::Empty => (RequestBody::Buffered(BufferedBody::read_empty(body, limits).await?), None),
            BodyMode::Json => {
                let mut body = BufferedBody::read(body, limits).await?;
                if let Some(coding) = Coding::read(&head.headers)? {
                    body = coding.decode(body, limits).await?;
                }
                let length = body.bytes.len();
                long_work::run(length, || body.count_values(limits)).await?;
                (RequestBody::Buffered(body), None)
            }
            BodyMode::Document => (RequestBody::Buffered(BufferedBody::read(body, limits).await?), None),
            BodyMode::Streamed => {
                let body = StreamedBody::new(body);
                let breakage = body.breakage();
                (RequestBody::Streamed(body), Some(breakage))
            }
        };
        let length = body.len();
        let messages = long_work::run(length, || exchange.read_request(&head.headers, body)).await?;
        let forwards_digest = exchange.forwards_digest(&head.headers);
        let digest = head.headers.remove(REPR_DIGEST).filter(|_| forwards_digest);
        let sent = std::mem::take(&mut head.headers);
        propagation::apply(&mut head.headers);
        // The frontend has removed them unless the service may have them.
        auth::forward_credentials(&sent, &mut head.headers);
        if let Some(digest) = digest {
            head.headers.insert(REPR_DIGEST, digest);
        }
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok((Request::from_parts(head, messages), breakage))
    }

    /// The response to a finished call, with messages of at most `limit` bytes, or the status of its failure.
    pub(crate) async fn write_response(
        &self,
        answer: Response<Body>,
        limit: usize,
        request_id: &HeaderValue,
    ) -> Result<Response<Body>, Status> {
        if let Some(failure) = failure_in(answer.headers()) {
            return Err(failure);
        }
        if !answer.status().is_success() {
            // A proxy between us and the service sent a response that is not gRPC.
            let service = service_in(self.exchange.path().path()).to_owned();
            return Err(UpstreamError::of_http(answer.status(), service).into());
        }
        let frames = Frames::new(answer.into_body());
        self.exchange.write_response(Reply { frames, limit, request_id: request_id.clone() }).await
    }
}

/// The service in the path of a method.
pub(crate) fn service_in(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}
