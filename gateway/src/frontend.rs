//! The public port: the entry of requests and the exit of responses. gRPC passes directly to the stack; any other
//! request is claimed by a dialect, checked by its head, and passes the same stack as a call. Separate from the
//! dialects, because deadlines, limits, logs and rejections are the same for all of them.

mod admission;
mod compression;
mod drain;
mod framing;
mod grpc;
mod probes;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_mesh::identity;
use dataflow_mesh::inbound::{Stack, overloaded};
use dataflow_mesh::metrics::RefusedCalls;
use dataflow_mesh::panics;
use dataflow_mesh::propagation::{self, REQUEST_ID};
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::response::ResponseGuards;
use dataflow_mesh::serve::{AtLimit, is_grpc};
use dataflow_mesh::status::{Refusal, logged};
use dataflow_transcode::Schema;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, ALLOW};
use http::{HeaderValue, Method, Request, Response, Version};
use tower::Service;

use crate::access::{Access, Entry};
use crate::auth::{Auth, Presented};
use crate::call::Call;
use crate::dialect::{Dialect, Failure};
use crate::problem;
use crate::rate_limit::{RateLimits, Standing};
use crate::refusals::{Attempt, Refusals, observed};
use crate::route::RouteError;

pub(crate) use compression::Encoders;

/// The shared state of all requests.
#[derive(Debug)]
pub(crate) struct Frontend {
    /// In the order in which they may claim a request.
    pub(crate) dialects: Vec<Box<dyn Dialect>>,
    pub(crate) auth: Auth,
    pub(crate) rates: RateLimits,
    pub(crate) refusals: Refusals,
    /// Counts the calls that are refused here; the stack counts all others.
    pub(crate) refused: RefusedCalls,
    /// The services that get what callers present: credentials, and cookies.
    pub(crate) credential_receivers: HashSet<String>,
    pub(crate) access: Access,
    pub(crate) readiness: Readiness,
    /// Whether the descriptor set has the status of the mesh: that of foreign services has not.
    pub(crate) has_status: bool,
    pub(crate) limits: Limits,
    /// The routes that take `multipart/form-data`.
    pub(crate) parts_routes: Vec<String>,
    /// The messages of the descriptor set, for the details of errors.
    pub(crate) messages: Arc<Schema>,
    pub(crate) encoders: Encoders,
}

/// The size limits of requests and replies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of path and query.
    pub(crate) target: usize,
    /// Bytes of a request's body that is buffered as a whole.
    pub(crate) body: usize,
    /// Bytes of one message of a reply.
    pub(crate) reply: usize,
}

/// The frontend around the stack of a service.
#[derive(Clone)]
pub(crate) struct FrontendService {
    frontend: Arc<Frontend>,
    stack: Stack,
}

// === impl FrontendService ===

impl FrontendService {
    pub(crate) fn new(frontend: Frontend, stack: Stack) -> Self {
        Self { frontend: Arc::new(frontend), stack }
    }
}

impl Service<Request<Body>> for FrontendService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        self.frontend.auth.note_peer(&mut request);
        identity::strip(request.headers_mut());
        if is_grpc(request.headers()) {
            let admitted = self.frontend.auth.admit(Presented::of(&request), request.uri().path());
            // The usual case, without a task of its own.
            if let Ok(caller) = &admitted
                && !self.frontend.rates.apply_to(caller)
            {
                let Some(attempt) = self.frontend.begin(caller, None, &mut request) else {
                    return self.stack.call(request);
                };
                let answer = self.stack.call(request);
                return Box::pin(async move { Ok(attempt.observe(answer.await?)) });
            }
            let (frontend, stack) = (Arc::clone(&self.frontend), self.stack.clone());
            return Box::pin(async move { frontend.answer_grpc(stack, request, admitted).await });
        }
        let (frontend, stack) = (Arc::clone(&self.frontend), self.stack.clone());
        Box::pin(async move { Ok(frontend.answer(stack, request).await) })
    }
}

/// A call that was admitted, and how a refusal of it is recorded.
struct Begun {
    call: Call,
    attempt: Option<Attempt>,
}

// === impl Frontend ===

impl Frontend {
    async fn answer(&self, stack: Stack, mut request: Request<Body>) -> Response<Body> {
        let request_id = propagation::request_id(request.headers_mut());
        let mut entry = self.access.begin(&mut request, request_id.clone());
        // Over HTTP/1 hyper leaves the body out by itself.
        let headless = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
        let accepted: Vec<_> = request.headers().get_all(ACCEPT_ENCODING).iter().cloned().collect();
        let request = drain::drained(request);
        let probe = probes::find(request.uri().path()).filter(|path| !self.shows_status(path, &request));
        let mut response = match (framing::check(&request), probe) {
            (Err(error), _) => self.unrouted(&error, &request_id),
            (Ok(()), Some(path)) => {
                entry.found(path, false);
                let response = probes::answer(path, &request, &self.readiness);
                response.unwrap_or_else(|error| self.unrouted(&error, &request_id))
            }
            // The stack catches panics below it; this one is for the frontend, and for a dialect that cannot fail in
            // its own form.
            (Ok(()), None) => {
                let span = entry.span();
                let call = span.scope(self.call(stack, request, &request_id, &mut entry));
                panics::catch(call).await.unwrap_or_else(|panic| {
                    entry.panicked(&panic);
                    self.problem(&logged(&panics::Error::Panicked).into(), &request_id)
                })
            }
        };
        compression::set_vary(&mut response);
        if !accepted.is_empty() && compression::is_worthwhile(&response) {
            response = self.encoders.compress(accepted, response).await;
        }
        response.headers_mut().insert(REQUEST_ID, request_id);
        if headless {
            response = framing::without_body(response);
        }
        entry.answered(response)
    }

    /// Whether the whole status is the response to a request for this health path, and not only the word: to callers that
    /// may read it, unless this process does not serve or has no permit left.
    fn shows_status(&self, path: &str, request: &Request<Body>) -> bool {
        path == probes::STATUS
            && self.has_status
            && matches!(*request.method(), Method::GET | Method::HEAD)
            && request.uri().query().is_none()
            && self.readiness.ready()
            && request.extensions().get::<AtLimit>().is_none()
            && self.auth.admit(Presented::of(request), probes::STATUS_METHOD).is_ok()
    }

    async fn call(
        &self,
        stack: Stack,
        mut request: Request<Body>,
        request_id: &HeaderValue,
        entry: &mut Entry,
    ) -> Response<Body> {
        let is_at_limit = request.extensions().get::<AtLimit>().is_some();
        let call = match self.route(&request) {
            Ok(call) => call,
            Err(error) => return self.unrouted(&error, request_id),
        };
        entry.found(call.exchange().route(), call.exchange().is_stream());
        // Before anything of it is read: under overload the rejections are what uses the processor.
        if is_at_limit && !call.exchange().is_stream() {
            self.refused.count(Refusal::Overload);
            return call.exchange().write_failure(&overloaded().into(), request_id);
        }
        let method = call.exchange().path().path();
        let caller = match self.admit_exchange(Presented::of(&request), call.exchange()).await {
            Ok(caller) => caller,
            Err(error) => {
                self.record(&error, Some(method), &mut request);
                let refusal = call.exchange().write_failure(&Failure::refused(&error), request_id);
                return self.refusing(refusal, &error);
            }
        };
        entry.by(caller.names());
        // Probes have no limit of rate.
        let standing = match method {
            probes::STATUS_METHOD => Ok(Standing::default()),
            _ => self.rates.admit(&caller).await,
        };
        let (mut response, standing) = match standing {
            Ok(standing) => {
                let attempt = self.begin(&caller, Some(method), &mut request);
                (self.exchange(stack, Begun { call, attempt }, request, request_id, entry).await, standing)
            }
            Err(error) => {
                self.refused.count_error(&error);
                (call.exchange().write_failure(&Failure::refused(&error), request_id), error.into_standing())
            }
        };
        standing.write(response.headers_mut());
        response
    }

    /// The response to a request that was admitted.
    async fn exchange(
        &self,
        mut stack: Stack,
        Begun { call, attempt }: Begun,
        request: Request<Body>,
        request_id: &HeaderValue,
        entry: &mut Entry,
    ) -> Response<Body> {
        let mode = call.exchange().body_mode();
        if let Err(error) = framing::check_body(mode, request.headers(), self.limits.body, &self.parts_routes)
        {
            self.refused.count_error(&error);
            if let Some(attempt) = attempt {
                attempt.refused(&error);
            }
            return call.exchange().write_failure(&Failure::refused(&error), request_id);
        }
        let Ok(mut answer) = stack.call(call.under_its_method(request)).await;
        // The permit of the call is released when the HTTP response is sent, not when the upstream response has ended.
        let guards = ResponseGuards::take(&mut answer);
        let answer = observed(attempt, answer);
        let writing = panics::catch(call.write_response(answer, self.limits.reply, request_id));
        let mut written = writing.await.unwrap_or_else(|panic| {
            entry.panicked(&panic);
            Err(logged(&panics::Error::Panicked))
        });
        if let Ok(response) = &mut written
            && call.exchange().is_stream()
        {
            response.extensions_mut().insert(compression::Stream);
        }
        guards.attach(
            written.unwrap_or_else(|status| call.exchange().write_failure(&status.into(), request_id)),
        )
    }

    /// The call that a request makes: the first dialect that claims it decides.
    fn route(&self, request: &Request<Body>) -> Result<Call, RouteError> {
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.limits.target {
            return Err(RouteError::TargetTooLong { limit: self.limits.target });
        }
        for dialect in &self.dialects {
            if let Some(exchange) = dialect.claim(request)? {
                return Ok(Call::new(exchange));
            }
        }
        Err(RouteError::NotFound)
    }

    fn problem(&self, failure: &Failure, request_id: &HeaderValue) -> Response<Body> {
        problem::response(failure, request_id, &self.messages)
    }

    /// The response to a request that is for no route of any dialect.
    fn unrouted(&self, error: &RouteError, request_id: &HeaderValue) -> Response<Body> {
        self.refused.count_error(error);
        let mut response = self.problem(&Failure::refused(error), request_id);
        if let RouteError::MethodNotAllowed { allowed } = error
            && let Ok(allowed) = HeaderValue::try_from(allowed.join(", "))
        {
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }
}

#[cfg(test)]
mod tests;
