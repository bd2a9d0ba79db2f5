//! Dialects: a dialect is a protocol other than gRPC that the gateway serves, defined by two traits. Separate from the
//! frontend, which routes to dialects without knowing them, and from the dialects, which do not know each other.
//!
//! To add a dialect, implement both traits in a module and add one line to the composition of the gateway (`lib.rs`).

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::status::{self, Describe, to_status};
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tonic::Status;

use crate::body::{BufferedBody, StreamedBody};
use crate::frame::Frames;
use crate::route::RouteError;

/// A protocol over HTTP that is put into gRPC and out of it again.
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    /// Claims a request by its head, which starts an exchange; `None` if the request is for another dialect.
    ///
    /// # Errors
    ///
    /// If the request is for this dialect but for none of its routes. No other dialect is tried then.
    fn claim(&self, request: &Request<Body>) -> Result<Option<Arc<dyn Exchange>>, RouteError>;
}

/// One request in a dialect, from its head to its response.
pub(crate) trait Exchange: fmt::Debug + Send + Sync {
    /// The route, as metrics and logs name it, from a closed set.
    fn route(&self) -> &str;

    /// The path of the method that is called, as `/package.Service/Method`.
    fn path(&self) -> &PathAndQuery;

    /// How the body of the request is read.
    fn body_mode(&self) -> BodyMode;

    /// Whether the digest of a document (RFC 9530) is forwarded with the request: any other body is transcoded, so its
    /// digest does not match.
    fn forwards_digest(&self, _headers: &HeaderMap) -> bool {
        false
    }

    /// Whether the response is a stream, which has permits of its own.
    fn is_stream(&self) -> bool {
        false
    }

    /// Rejects invalid requests by their head, before the body is read.
    fn check_head(&self) -> Result<(), Status> {
        Ok(())
    }

    /// The call that reads the resource, if conditions of the request depend on its present version.
    fn lookup(&self) -> Result<Option<Lookup>, Status> {
        Ok(None)
    }

    /// Decides these conditions by the message of the resource; none if there is no such resource. `headers` keep what
    /// the service has to compare once more: the resource may change meanwhile.
    fn decide(&self, _headers: &mut HeaderMap, _found: Option<&[u8]>) -> Result<(), Status> {
        Ok(())
    }

    /// Reads the request and returns the framed body of the gRPC request. It is called once, before any response.
    fn read_request(&self, headers: &HeaderMap, body: RequestBody) -> Result<Body, Status>;

    /// Writes the response to a successful call. It may fail until the response head is sent.
    fn write_response(&self, reply: Reply) -> BoxFuture<'_, Result<Response<Body>, Status>>;

    /// Writes the response to a rejected request or a failed call.
    fn write_failure(&self, failure: &Failure, request_id: &HeaderValue) -> Response<Body>;
}

/// A call that reads a resource.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The path of its method.
    pub(crate) path: PathAndQuery,
    /// Its framed message.
    pub(crate) message: Bytes,
}

/// How the body of a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyMode {
    /// It is not looked at.
    Ignored,
    /// There must be none.
    Empty,
    /// JSON, buffered as a whole. Its head is checked before the request is a call.
    Json,
    /// Bytes of any media type, buffered as a whole.
    Document,
    /// Bytes of any media type, passed on as they arrive.
    Streamed,
}

/// The body of a request by its [`BodyMode`]; buffered and empty if it is not read.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Buffered(BufferedBody),
    Streamed(StreamedBody),
}

impl RequestBody {
    /// The bytes of a buffered body, which are read at once.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Buffered(body) => body.bytes.len(),
            Self::Streamed(_) => 0,
        }
    }
}

/// The response of an upstream.
pub(crate) struct Reply {
    /// The messages.
    pub(crate) frames: Frames,
    /// The most bytes of one message.
    pub(crate) limit: usize,
    /// The id of the request, for failures within the response.
    pub(crate) request_id: HeaderValue,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The equivalent HTTP status.
    pub(crate) http: StatusCode,
    /// The status, with its details, that the caller receives.
    pub(crate) status: Status,
}

// === impl RequestBody ===

impl RequestBody {
    /// The body of a dialect that never has one passed on as it arrives.
    pub(crate) fn buffered(self) -> BufferedBody {
        match self {
            Self::Buffered(body) => body,
            Self::Streamed(_) => unreachable!("only a body whose mode is `Streamed` is"),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The gateway rejected the request before it became a call.
    pub(crate) fn refused(error: &dyn Describe) -> Self {
        Self { http: error.kind().http(), status: to_status(error) }
    }
}

impl From<Status> for Failure {
    /// The call failed.
    fn from(status: Status) -> Self {
        Self { http: status::http_of(&status), status }
    }
}
