//! The public port: the entry of requests and the exit of responses. gRPC passes directly to the stack; any other
//! request is claimed by a dialect, checked by its head, and passes the same stack as a call. Separate from the
//! dialects, because deadlines, limits, logs and rejections are the same for all of them.

mod compression;
mod drain;
mod message;
mod probes;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use dataflow_mesh::identity::{self, Principal};
use dataflow_mesh::inbound::{Stack, overloaded};
use dataflow_mesh::panics;
use dataflow_mesh::propagation::{self, REQUEST_ID};
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::response::ResponseGuards;
use dataflow_mesh::serve::{AtLimit, is_grpc};
use dataflow_mesh::status::{logged, to_status};
use dataflow_transcode::Schema;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use tower::Service;

use crate::access::{Access, Entry};
use crate::auth::{self, Auth, AuthError};
use crate::body::{BodyError, Coding};
use crate::call::Call;
use crate::dialect::{BodyMode, Dialect, Exchange, Failure};
use crate::json::is_json;
use crate::problem;
use crate::rate_limit::RateLimits;
use crate::route::RouteError;

pub(crate) use compression::Encoders;

/// The shared state of all requests.
#[derive(Debug)]
pub(crate) struct Frontend {
    /// In the order in which they may claim a request.
    pub(crate) dialects: Vec<Box<dyn Dialect>>,
    pub(crate) auth: Auth,
    pub(crate) rates: RateLimits,
    pub(crate) access: Access,
    pub(crate) readiness: Readiness,
    pub(crate) limits: Limits,
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
        identity::strip(request.headers_mut());
        if is_grpc(request.headers()) {
            let admitted = self.frontend.auth.admit(request.headers(), request.uri().path());
            // The usual case, without a task of its own.
            if let Ok(caller) = &admitted
                && !self.frontend.rates.apply_to(caller)
            {
                state_caller(&mut request, caller);
                return self.stack.call(request);
            }
            let (frontend, stack) = (Arc::clone(&self.frontend), self.stack.clone());
            return Box::pin(async move { frontend.answer_grpc(stack, request, admitted).await });
        }
        let (frontend, stack) = (Arc::clone(&self.frontend), self.stack.clone());
        Box::pin(async move { Ok(frontend.answer(stack, request).await) })
    }
}

// === impl Frontend ===

impl Frontend {
    async fn answer(&self, stack: Stack, mut request: Request<Body>) -> Response<Body> {
        let request_id = propagation::request_id(request.headers_mut());
        let mut entry = self.access.begin(request.method(), request_id.clone());
        // Over HTTP/1 hyper leaves the body out by itself.
        let headless = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
        let accepted: Vec<_> = request.headers().get_all(ACCEPT_ENCODING).iter().cloned().collect();
        let request = drain::drained(request);
        let mut response = match probes::find(request.uri().path()) {
            Some(path) => {
                entry.found(path);
                let response = probes::answer(path, &request, &self.readiness);
                response.unwrap_or_else(|error| self.unrouted(&error, &request_id))
            }
            // The stack catches panics below it; this one is for the frontend, and for a dialect that cannot fail in
            // its own form.
            None => match panics::catch(self.call(stack, request, &request_id, &mut entry)).await {
                Ok(response) => response,
                Err(panic) => {
                    entry.panicked(&panic);
                    self.problem(&logged(&panics::Error::Panicked).into(), &request_id)
                }
            },
        };
        response = self.encoders.compress(accepted, response).await;
        response.headers_mut().insert(REQUEST_ID, request_id);
        if headless {
            response = without_body(response);
        }
        entry.answered(response)
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
        entry.found(call.exchange().route());
        // Before anything of it is read: under overload the rejections are what uses the processor.
        if is_at_limit && !call.exchange().is_stream() {
            return call.exchange().write_failure(&overloaded().into(), request_id);
        }
        let caller = match self.admit_exchange(request.headers(), call.exchange()).await {
            Ok(caller) => caller,
            Err(error) => {
                let refusal = call.exchange().write_failure(&Failure::refused(&error), request_id);
                return self.refusing(refusal, &error);
            }
        };
        let (mut response, standing) = match self.rates.admit(&caller).await {
            Ok(standing) => {
                identity::state(request.headers_mut(), &caller);
                (self.exchange(stack, call, request, request_id, entry).await, standing)
            }
            Err(error) => {
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
        call: Call,
        request: Request<Body>,
        request_id: &HeaderValue,
        entry: &mut Entry,
    ) -> Response<Body> {
        if let Err(error) = self.check(call.exchange().body_mode(), request.headers()) {
            return call.exchange().write_failure(&Failure::refused(&error), request_id);
        }
        let Ok(mut answer) = stack.call(call.under_its_method(request)).await;
        // The permit of the call is released when the HTTP response is sent, not when the upstream response has ended.
        let guards = ResponseGuards::take(&mut answer);
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

    /// The response to a call of gRPC whose caller has a limit, or was not admitted, which may be after a newer key set
    /// has arrived.
    async fn answer_grpc(
        &self,
        mut stack: Stack,
        mut request: Request<Body>,
        admitted: Result<Principal, AuthError>,
    ) -> Result<Response<Body>, Infallible> {
        let admitted = match admitted {
            Err(error) => self.auth.admit_again(request.headers(), request.uri().path(), error).await,
            admitted => admitted,
        };
        let caller = match admitted {
            Ok(caller) => caller,
            Err(error) => return Ok(self.refusing(to_status(&error).into_http(), &error)),
        };
        let (mut response, standing) = match self.rates.admit(&caller).await {
            Ok(standing) => {
                state_caller(&mut request, &caller);
                (stack.call(request).await?, standing)
            }
            Err(error) => (to_status(&error).into_http(), error.into_standing()),
        };
        standing.write(response.headers_mut());
        Ok(response)
    }

    /// The caller of a request of a dialect.
    async fn admit(&self, headers: &HeaderMap, path: &str) -> Result<Principal, AuthError> {
        match self.auth.admit(headers, path) {
            Err(error) => self.auth.admit_again(headers, path, error).await,
            admitted => admitted,
        }
    }

    /// The caller of a request that goes to the method of an exchange. It may also read what that has to look up.
    async fn admit_exchange(
        &self,
        headers: &HeaderMap,
        exchange: &dyn Exchange,
    ) -> Result<Principal, AuthError> {
        let caller = self.admit(headers, exchange.path().path()).await?;
        if let Ok(Some(lookup)) = exchange.lookup() {
            self.admit(headers, lookup.path.path()).await?;
        }
        Ok(caller)
    }

    /// The response to a call that is not admitted: it tells the client what to present.
    fn refusing(&self, mut response: Response<Body>, error: &AuthError) -> Response<Body> {
        self.auth.count(error);
        if let Some(challenge) = error.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// The call that a request makes: the first dialect that claims it decides.
    fn route(&self, request: &Request<Body>) -> Result<Call, RouteError> {
        message::check(request)?;
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
        let mut response = self.problem(&Failure::refused(error), request_id);
        if let RouteError::MethodNotAllowed { allowed } = error
            && let Ok(allowed) = HeaderValue::try_from(allowed.join(", "))
        {
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }

    /// Rejects a body that cannot be JSON, by its head.
    fn check(&self, mode: BodyMode, headers: &HeaderMap) -> Result<(), BodyError> {
        if mode != BodyMode::Json {
            return Ok(());
        }
        let length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.limits.body) {
            return Err(BodyError::TooLarge { limit: self.limits.body });
        }
        Coding::read(headers)?;
        match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default()) {
            None => Ok(()),
            Some(written) if is_json(written) => Ok(()),
            Some(written) => {
                Err(BodyError::UnsupportedMediaType { found: written.chars().take(80).collect() })
            }
        }
    }
}

/// States the caller to the service. Its credentials end here.
fn state_caller(request: &mut Request<Body>, caller: &Principal) {
    auth::forget_credentials(request.headers_mut());
    identity::state(request.headers_mut(), caller);
}

/// The response to HEAD: the head of the response to GET (RFC 9110, 9.3.2).
fn without_body(mut response: Response<Body>) -> Response<Body> {
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    if let Some(length) = http_body::Body::size_hint(response.body()).exact().filter(|_| !is_unchanged) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}

#[cfg(test)]
mod tests;
