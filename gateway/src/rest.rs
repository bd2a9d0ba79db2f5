//! The dialect of REST: transcoding by the `google.api.http` annotations of the descriptor set. `request` converts an
//! HTTP request to messages, with its precondition by `etag` and `lookup`; `response` converts the reply to an HTTP
//! response, by `stream` if it is a stream; `document` is for bodies of any media type, both ways, and `multipart` for
//! bodies that are several documents.

mod conditions;
mod document;
mod etag;
mod lookup;
mod mask;
mod multipart;
mod request;
mod response;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use futures_util::future::{BoxFuture, FutureExt, ready};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::Status;

use crate::body::is_form_data;
use crate::dialect::{BodyMode, Dialect, Exchange, Failure, Lookup, Reply, RequestBody};
use crate::problem;
use crate::route::RouteError;
use crate::schema::{self, Precondition, Schema};

use conditions::Conditions;
use lookup::ResourceLookup;
pub(crate) use multipart::PartLimits;
use request::RoutedRequest;
use stream::StreamFormat;

/// Every route that an annotation makes.
#[derive(Debug)]
pub(crate) struct Transcoder {
    schema: Schema,
    part_limits: PartLimits,
}

/// A request that has found its route, the format that its client wants of a stream, and its conditions.
#[derive(Debug)]
struct TranscodedExchange {
    request: RoutedRequest,
    format: StreamFormat,
    /// Those of a request that reads.
    conditions: Conditions,
    /// What the conditions of a request that changes something need.
    lookup: Option<ResourceLookup>,
    part_limits: PartLimits,
}

// === impl Transcoder ===

impl Transcoder {
    pub(crate) fn new(schema: Schema, part_limits: PartLimits) -> Self {
        Self { schema, part_limits }
    }
}

impl Dialect for Transcoder {
    /// Claims every request: a request without a route is rejected.
    fn claim(&self, request: &Request<Body>) -> Result<Option<Arc<dyn Exchange>>, RouteError> {
        let found = self.schema.routes().find(request.method().as_str(), request.uri().path())?;
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        let conditions = match found.value.precondition {
            Precondition::Ignored => Conditions::read(request.headers()),
            _ => Conditions::default(),
        };
        let lookup = ResourceLookup::of(&self.schema, found.value, request);
        let request = TranscodedExchange {
            conditions,
            lookup,
            request: RoutedRequest {
                binding: Arc::clone(found.value),
                variables: found.variables.into_iter().map(owned).collect(),
                query: request.uri().query().unwrap_or_default().to_owned(),
            },
            part_limits: self.part_limits,
            format: StreamFormat::accepted(request.headers()),
        };
        Ok(Some(Arc::new(request)))
    }
}

// === impl TranscodedExchange ===

impl Exchange for TranscodedExchange {
    fn route(&self) -> &str {
        &self.request.binding.template
    }

    fn path(&self) -> &PathAndQuery {
        &self.request.binding.path
    }

    fn is_stream(&self) -> bool {
        self.request.binding.server_streaming
    }

    fn body_mode(&self) -> BodyMode {
        self.request.body_mode()
    }

    fn forwards_digest(&self, headers: &HeaderMap) -> bool {
        // That of a body with parts is not the digest of the documents.
        match self.request.binding.body {
            schema::Body::Document(_) => {
                !self.request.binding.takes_parts() || !is_form_data(document::content_type(headers))
            }
            _ => false,
        }
    }

    fn check_head(&self) -> Result<(), Status> {
        match self.body_mode() {
            // A misspelled parameter is rejected before a whole document is read.
            BodyMode::Document => Ok(self.request.check_parameters()?),
            _ => Ok(()),
        }
    }

    fn lookup(&self) -> Result<Option<Lookup>, Status> {
        self.lookup.as_ref().map(ResourceLookup::call).transpose()
    }

    fn decide(&self, headers: &mut HeaderMap, found: Option<&[u8]>) -> Result<(), Status> {
        self.lookup.as_ref().map_or(Ok(()), |lookup| lookup.decide(headers, found))
    }

    fn read_request(&self, headers: &HeaderMap, body: RequestBody) -> Result<Body, Status> {
        self.request.messages(headers, body, self.part_limits)
    }

    fn write_response(&self, reply: Reply) -> BoxFuture<'_, Result<Response<Body>, Status>> {
        let binding = &self.request.binding;
        match binding.server_streaming {
            true if document::is_reply(binding) => document::stream(binding, reply).boxed(),
            true => ready(Ok(stream::write(binding, self.format, reply))).boxed(),
            false => response::write(binding, &self.conditions, reply).boxed(),
        }
    }

    fn write_failure(&self, failure: &Failure, request_id: &HeaderValue) -> Response<Body> {
        problem::response(failure, request_id, &self.request.binding.schema)
    }
}
