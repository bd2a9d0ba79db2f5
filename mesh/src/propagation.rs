//! Propagation of headers from an incoming call to every outgoing call: trace context, request id, tenant and canary
//! headers, and the allowed baggage.
//!
//! A tower layer reads them, and [`crate::outbound`] sets them. An interceptor of generated clients would miss calls
//! made on a raw channel.

mod trace;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};

use crate::identity::{Names, PEER_ADDRESS, SCOPES, SUBJECT, TENANT};

pub(crate) use trace::{extract, inject, sanitize as sanitize_trace, set_unsampled};

/// Identifies one request across processes, in logs and in errors.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is accepted from a caller, in bytes; a longer one is replaced.
const REQUEST_ID_MAX: usize = 128;

/// A list that may arrive in several headers, and is propagated as one.
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Longest baggage that is propagated, in bytes: the minimum that W3C Baggage requires of a platform.
const BAGGAGE_MAX: usize = 8192;

/// The propagated headers other than the trace context.
static PROPAGATED: [HeaderName; 7] =
    [BAGGAGE, HeaderName::from_static("x-canary"), TENANT, SUBJECT, SCOPES, PEER_ADDRESS, REQUEST_ID];

tokio::task_local! {
    static CURRENT: CurrentCall;
}

/// A call while it runs, for outgoing calls and for log records.
#[derive(Debug, Clone)]
pub(crate) struct CurrentCall {
    /// The role that serves it.
    pub(crate) role: &'static str,
    /// The propagated headers.
    headers: HeaderMap,
}

/// The propagated headers of a call, for work that goes on when the call has ended.
#[derive(Debug, Clone)]
pub struct CallHeaders(Option<CurrentCall>);

// === impl CurrentCall ===

impl CurrentCall {
    /// Its request id.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.headers.get(&REQUEST_ID)?.to_str().ok()
    }

    /// Its caller.
    pub(crate) fn caller(&self) -> Names {
        Names::stated(&self.headers)
    }

    /// The trace context that its caller sent.
    pub(crate) fn trace(&self) -> opentelemetry::Context {
        extract(&self.headers)
    }
}

// === impl CallHeaders ===

impl CallHeaders {
    /// Those of the current call, if there is one.
    pub fn current() -> Self {
        Self(CURRENT.try_with(CurrentCall::clone).ok())
    }

    /// Runs work on this thread, whose log records are those of the call.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        match self.0 {
            Some(call) => CURRENT.sync_scope(call, work),
            None => work(),
        }
    }

    /// Runs a future, whose outgoing calls have them.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        match self.0 {
            Some(call) => CURRENT.scope(call, future).await,
            None => future.await,
        }
    }
}

/// Reads the current call, if there is one.
pub(crate) fn with_current<T>(read: impl FnOnce(&CurrentCall) -> T) -> Option<T> {
    CURRENT.try_with(read).ok()
}

/// Sets the propagated headers of the current call on an outgoing one; outside of a call it generates a request id.
pub fn apply(outgoing: &mut HeaderMap) {
    let in_call = CURRENT.try_with(|call| {
        for (name, value) in &call.headers {
            outgoing.insert(name, value.clone());
        }
    });
    if in_call.is_err() && !outgoing.contains_key(&REQUEST_ID) {
        outgoing.insert(REQUEST_ID, new_request_id());
    }
}

/// The request id of an incoming call: the caller's, or a new one where that is absent, empty, too long, or not visible
/// ASCII and so not representable in JSON.
pub fn request_id(incoming: &mut HeaderMap) -> HeaderValue {
    match incoming.get(&REQUEST_ID) {
        Some(id) if (1..=REQUEST_ID_MAX).contains(&id.len()) && id.to_str().is_ok() => id.clone(),
        _ => {
            let id = new_request_id();
            incoming.insert(REQUEST_ID, id.clone());
            id
        }
    }
}

/// A UUID of version 7. It is an identifier and no secret: its random part comes from a generator in this thread, since
/// the operating system's is a system call.
fn new_request_id() -> HeaderValue {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_epoch.as_millis()).unwrap_or_default();
    let random = fastrand::u128(..).to_le_bytes()[..10].try_into().expect("10 of 16 bytes");
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    let mut text = uuid::Uuid::encode_buffer();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).expect("a UUID is a header value")
}

/// Reads the headers to propagate and gives every call a request id.

#[derive(Debug, Clone)]
pub(crate) struct PropagationLayer {
    role: &'static str,
    baggage: Arc<[String]>,
}

impl PropagationLayer {
    /// `role` serves the calls; `baggage` has the keys of the baggage to propagate.
    pub(crate) fn new(role: &'static str, baggage: &[String]) -> Self {
        Self { role, baggage: baggage.into() }
    }

    /// Normalizes the request id, the trace context and the baggage of an incoming call.
    fn sanitize(&self, incoming: &mut HeaderMap) {
        request_id(incoming);
        trace::sanitize(incoming);
        merge(incoming, BAGGAGE, BAGGAGE_MAX, |member| {
            let key = member.split(['=', ';']).next().unwrap_or_default().trim();
            self.baggage.iter().any(|allowed| allowed == key)
        });
    }
}

/// Merges a list from several headers into one: the members that are `wanted`, up to `max` bytes.
fn merge(headers: &mut HeaderMap, name: HeaderName, max: usize, wanted: impl Fn(&str) -> bool) {
    if !headers.contains_key(&name) {
        return;
    }
    let mut merged = String::new();
    let values = headers.get_all(&name).into_iter().filter_map(|value| value.to_str().ok());
    let members = values.flat_map(|value| value.split(',')).map(str::trim);
    for member in members.filter(|member| !member.is_empty() && wanted(member)) {
        let comma = if merged.is_empty() { "" } else { "," };
        if merged.len() + comma.len() + member.len() > max {
            break;
        }
        merged.extend([comma, member]);
    }
    headers.remove(&name);
    if let Some(value) = HeaderValue::try_from(merged).ok().filter(|value| !value.is_empty()) {
        headers.insert(name, value);
    }
}

impl<S> Layer<S> for PropagationLayer {
    type Service = PropagationService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PropagationService { inner, layer: self.clone() }
    }
}

/// See [`PropagationLayer`].
#[derive(Debug, Clone)]
pub(crate) struct PropagationService<S> {
    inner: S,
    layer: PropagationLayer,
}

// === impl PropagationService ===

impl<S, B, R> Service<Request<B>> for PropagationService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<CurrentCall, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let incoming = request.headers_mut();
        self.layer.sanitize(incoming);
        let mut headers = HeaderMap::new();
        // One pass: a look-up of each costs more than all headers that a call has.
        for (name, value) in &*incoming {
            if PROPAGATED.contains(name) || trace::HEADERS.contains(name) {
                headers.entry(name).or_insert_with(|| value.clone());
            }
        }
        let call = CurrentCall { role: self.layer.role, headers };
        CURRENT.scope(call, self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    /// The headers that an incoming call with the headers `incoming` propagates.
    async fn outgoing(incoming: &[(&str, &str)]) -> HeaderMap {
        let handler = tower::service_fn(|_: Request<()>| async {
            let mut outgoing = HeaderMap::new();
            apply(&mut outgoing);
            let mut response = Response::new(());
            *response.headers_mut() = outgoing;
            Ok::<_, std::convert::Infallible>(response)
        });
        let mut request = Request::new(());
        for (name, value) in incoming {
            let name = HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let layer = PropagationLayer::new("test", &["session".to_owned(), "tier".to_owned()]);
        layer.layer(handler).oneshot(request).await.unwrap().into_parts().0.headers
    }

    #[tokio::test]
    async fn listed_headers_are_propagated_and_others_are_not() {
        let headers = outgoing(&[
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("b3", "1"),
            ("x-canary", "true"),
            ("dataflow-tenant", "acme"),
            ("authorization", "Bearer secret"),
            ("x-forwarded-client-cert", "By=spiffe://x"),
        ])
        .await;
        assert_eq!(headers["dataflow-tenant"], "acme");
        assert_eq!(headers["x-canary"], "true");
        assert!(headers.contains_key("traceparent") && headers.contains_key("b3"));
        assert!(!headers.contains_key("authorization") && !headers.contains_key("x-forwarded-client-cert"));
    }

    #[tokio::test]
    async fn all_tracestate_values_and_allowed_baggage_are_propagated() {
        let headers = outgoing(&[
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "a=1, b=2"),
            ("tracestate", "c=3"),
            ("baggage", "session=7;ttl=1,secret=x"),
            ("baggage", "sessions=8, tier = gold"),
        ])
        .await;
        assert_eq!(headers["tracestate"], "a=1,b=2,c=3");
        assert_eq!(headers["baggage"], "session=7;ttl=1,tier = gold");
        assert!(!outgoing(&[("baggage", "secret=x")]).await.contains_key("baggage"));
        let long = format!("session={}", "x".repeat(BAGGAGE_MAX - 16));
        let headers = outgoing(&[("baggage", &long), ("baggage", "tier=12"), ("baggage", "tier=3")]).await;
        assert_eq!(headers["baggage"].len(), BAGGAGE_MAX, "as many members as fit");
    }

    #[tokio::test]
    async fn a_request_id_is_kept_generated_or_replaced() {
        assert_eq!(outgoing(&[("x-request-id", "abc")]).await[REQUEST_ID], "abc");
        assert_eq!(outgoing(&[]).await[REQUEST_ID].len(), 36);
        assert_eq!(outgoing(&[("x-request-id", &"x".repeat(128))]).await[REQUEST_ID].len(), 128);
        assert_eq!(outgoing(&[("x-request-id", &"x".repeat(129))]).await[REQUEST_ID].len(), 36);
    }
}
