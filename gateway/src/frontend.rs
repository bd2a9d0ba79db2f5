//! REST, a skin over gRPC. What comes in as REST finds its route here, passes the same stack as any other call
//! under the path of its method (`rest::request` puts it into gRPC at the stack's bottom), and what comes back becomes an
//! HTTP response (`rest::reply`) or, whoever refused it, the one shape of errors ([`problem`]).

mod drain;
mod probes;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_mesh::inbound::{Hold, Stack};
use dataflow_mesh::propagation::{self, REQUEST_ID};
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::status::{self, Describe};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use tonic::Status;
use tower::Service;

use crate::access::{Access, Entry};
use crate::error::Error;
use crate::json::is_json;
use crate::legacy::exchange::Exchange;
use crate::problem;
use crate::rest::reply;
use crate::rest::request::{Call, Dialect};
use crate::rest::stream::Form;
use crate::schema::{self, Schema};

/// What only the mesh may say, and is taken from every outside caller.
const INSIDE: [&str; 3] = ["dataflow-", "l5d-", "x-envoy-"];
const PEER_CERTIFICATE: &str = "x-forwarded-client-cert";

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Face {
    pub(crate) schema: Schema,
    pub(crate) access: Access,
    pub(crate) readiness: Readiness,
    pub(crate) limits: Limits,
}

/// What requests and replies may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of path and query.
    pub(crate) target: usize,
    /// Bytes of a request's body that is held as a whole.
    pub(crate) body: usize,
    /// Bytes of one message of a reply.
    pub(crate) reply: usize,
}

/// REST around the stack of a service; gRPC goes straight through.
#[derive(Clone)]
pub(crate) struct Rest {
    face: Arc<Face>,
    stack: Stack,
}

// === impl Rest ===

impl Rest {
    pub(crate) fn new(face: Face, stack: Stack) -> Self {
        Self { face: Arc::new(face), stack }
    }
}

impl Service<Request<Body>> for Rest {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        strip(request.headers_mut());
        if is_grpc(request.headers()) {
            return self.stack.call(request);
        }
        let (face, stack) = (Arc::clone(&self.face), self.stack.clone());
        Box::pin(async move { Ok(face.answer(stack, request).await) })
    }
}

// === impl Face ===

impl Face {
    async fn answer(&self, stack: Stack, mut request: Request<Body>) -> Response<Body> {
        let request_id = propagation::request_id(request.headers_mut());
        let mut entry = self.access.begin(request.method(), request_id.clone());
        // Over HTTP/1 hyper leaves the body out by itself.
        let headless = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
        let request = drain::drained(request);
        let mut answer = match probes::find(request.uri().path()) {
            Some(path) => {
                entry.found(path);
                let answer = probes::answer(path, &request, &self.readiness);
                answer.unwrap_or_else(|error| problem::of_error(&error, &request_id))
            }
            None => self.call(stack, request, &request_id, &mut entry).await,
        };
        answer.headers_mut().insert(REQUEST_ID, request_id);
        if headless {
            answer = without_body(answer);
        }
        entry.answered(answer)
    }

    async fn call(
        &self,
        mut stack: Stack,
        request: Request<Body>,
        request_id: &HeaderValue,
        entry: &mut Entry,
    ) -> Response<Body> {
        let call = match self.find(&request) {
            Ok(call) => Arc::new(call),
            Err(error) => return problem::of_error(&error, request_id),
        };
        entry.found(call.route());
        if let Err(error) = self.check(&call, request.headers()) {
            return call.refuse(&error, request_id);
        }
        let mut answer = match stack.call(under_its_method(request, &call)).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        // The call's place is taken until the response, and not the answer that it is made of, has left.
        let hold = Hold::take(&mut answer);
        let answered = reply::to_http(&call, answer, self.limits.reply, request_id).await;
        hold.on(answered.unwrap_or_else(|status| call.fail(&status, request_id)))
    }

    /// The route of a request.
    fn find(&self, request: &Request<Body>) -> Result<Call, Error> {
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.limits.target {
            return Err(Error::TargetTooLong { limit: self.limits.target });
        }
        let (method, path) = (request.method().as_str(), request.uri().path());
        let query = request.uri().query().unwrap_or_default().to_owned();
        let form = Form::asked(request.headers());
        let call = |binding, variables, dialect| Call {
            binding,
            variables,
            query,
            dialect,
            form,
            broken: OnceLock::new(),
        };
        if let Some(exchange) = Exchange::begin(request)? {
            let (service, method) = exchange.method();
            let binding = self.schema.route_of(service, method).ok_or(Error::RouteNotFound)?;
            return Ok(call(binding, Vec::new(), Dialect::Legacy(exchange)));
        }
        match self.schema.routes().find(method, path) {
            Ok(found) => {
                let own = |(name, value): (&str, String)| (name.to_owned(), value);
                let variables = found.variables.into_iter().map(own).collect();
                Ok(call(Arc::clone(found.value), variables, Dialect::Transcoded))
            }
            Err(missing) => Err(missing.into()),
        }
    }

    /// Refuses what the head alone tells.
    fn check(&self, call: &Call, headers: &HeaderMap) -> Result<(), Error> {
        let json = match (&call.dialect, &call.binding.body) {
            (Dialect::Legacy(exchange), _) => exchange.has_body(),
            (_, schema::Body::Whole | schema::Body::Field(_)) => true,
            (_, schema::Body::Absent | schema::Body::Document(_)) => false,
        };
        if !json {
            return Ok(());
        }
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.limits.body) {
            return Err(Error::BodyTooLarge { limit: self.limits.body });
        }
        if let Some(coding) = headers.get(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
            let coding: String = coding.to_str().unwrap_or_default().chars().take(80).collect();
            return Err(Error::UnsupportedMediaType { found: format!("encoded as {coding}") });
        }
        match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()) {
            None => Ok(()),
            Some(written) if is_json(written) => Ok(()),
            Some(written) => Err(Error::UnsupportedMediaType { found: written.chars().take(80).collect() }),
        }
    }
}

// === impl Call ===

impl Call {
    /// The route, as metrics and logs name it.
    fn route(&self) -> &str {
        match &self.dialect {
            Dialect::Transcoded => &self.binding.template,
            Dialect::Legacy(exchange) => exchange.route(),
        }
    }

    /// The answer to a request that the gateway refuses before it is a call.
    fn refuse(&self, error: &Error, request_id: &HeaderValue) -> Response<Body> {
        match &self.dialect {
            Dialect::Transcoded => problem::of_error(error, request_id),
            Dialect::Legacy(exchange) => exchange.failure(error.kind().http(), &error.to_string()),
        }
    }

    /// The answer to a call that failed.
    fn fail(&self, status: &Status, request_id: &HeaderValue) -> Response<Body> {
        match &self.dialect {
            Dialect::Transcoded => problem::of_status(status, request_id),
            Dialect::Legacy(exchange) => {
                let mut answer = exchange.failure(status::http_of(status), status.message());
                problem::say_when(&mut answer, status);
                answer
            }
        }
    }
}

/// The request under the path of its method, with its call.
fn under_its_method(request: Request<Body>, call: &Arc<Call>) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    head.uri = Uri::from(PathAndQuery::clone(&call.binding.path));
    head.method = Method::POST;
    head.extensions.insert(Arc::clone(call));
    Request::from_parts(head, body)
}

/// The answer to HEAD: what GET would say, without saying it (RFC 9110, 9.3.2).
fn without_body(mut answer: Response<Body>) -> Response<Body> {
    if let Some(length) = http_body::Body::size_hint(answer.body()).exact() {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    answer.map(|_| Body::empty())
}

/// Takes from an outside caller what only the mesh may say.
fn strip(headers: &mut HeaderMap) {
    let inside =
        |name: &str| name == PEER_CERTIFICATE || INSIDE.iter().any(|prefix| name.starts_with(prefix));
    let found: Vec<_> = headers.keys().filter(|name| inside(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let rest = value.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}
