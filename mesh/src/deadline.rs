//! Deadlines: `grpc-timeout` is honoured, shrunk to our own limit, and passed on, so that expired work stops everywhere.
//!
//! tonic's own server timeout answers CANCELLED, which tells a caller that it went away itself; ours answers
//! DEADLINE_EXCEEDED.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as _;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::args::LimitArgs;
use crate::descriptors::Methods;
use crate::inbound::Hold;
use crate::inbound::cut::CutBody;
use crate::serve::leash;
use crate::status::{self, Describe, Kind};
use dataflow_settings::Live;

/// The header of the gRPC protocol that carries how long the caller will wait.
pub const HEADER: &str = "grpc-timeout";

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// The times of the call that is being served.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    /// When its answer must have begun.
    head: Instant,
    /// When its answer must be over; none for a stream that watches.
    end: Option<Instant>,
}

/// When the call that is being served must be over, or, if it answers with a stream, have begun to answer; `None`
/// outside of a call.
pub fn current() -> Option<Instant> {
    DEADLINE.try_with(|deadline| deadline.head).ok()
}

/// When the answer of the call that is being served must be over to its last byte; `None` for a stream whose caller set
/// no deadline, and outside of a call.
pub fn end() -> Option<Instant> {
    DEADLINE.try_with(|deadline| deadline.end).ok().flatten()
}

/// Why a deadline ended or refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The time is up.
    #[error("the call's time is up")]
    Exceeded,
    /// The header does not follow the gRPC protocol.
    #[error("grpc-timeout must be 1 to 8 digits and one of H, M, S, m, u, n")]
    Malformed,
}

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Exceeded => Kind::Timeout,
            Error::Malformed => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Exceeded => "DEADLINE_EXCEEDED",
            Error::Malformed => "GRPC_TIMEOUT_MALFORMED",
        }
    }
}

/// Reads `grpc-timeout` (gRPC over HTTP/2, "Timeout"); `None` when there is none.
pub fn parse(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::Malformed)?;
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(Error::Malformed)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Malformed);
    }
    let amount: u64 = digits.parse().map_err(|_| Error::Malformed)?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return Err(Error::Malformed),
    }))
}

/// Writes a `grpc-timeout` in the finest unit whose eight digits can hold it, rounded down.
pub fn format(timeout: Duration) -> HeaderValue {
    const LARGEST: u128 = 99_999_999;
    let units =
        [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm'), (u128::from(timeout.as_secs()), 'S')];
    let (amount, unit) = units.into_iter().find(|(amount, _)| *amount <= LARGEST).unwrap_or((LARGEST, 'S'));
    HeaderValue::try_from(format!("{amount}{unit}")).expect("digits and a letter are a header value")
}

/// Ends calls whose time is up.
#[derive(Debug, Clone)]
pub(crate) struct DeadlineLayer {
    /// Of these the time that holds for callers that set no deadline, or a later one.
    limits: Live<LimitArgs>,
    methods: Methods,
}

impl DeadlineLayer {
    /// No call may take longer to its last byte than `limits` say when it comes, whether or not its caller reads. An
    /// answer that is a stream must begin by then, and is cut only by the caller's own deadline: a watch has none.
    pub(crate) fn new(limits: Live<LimitArgs>, methods: Methods) -> Self {
        Self { limits, methods }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub(crate) struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

// === impl DeadlineService ===

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = match parse(request.headers()) {
            // Not begun: timers are too coarse to end it before it is served.
            Ok(Some(Duration::ZERO)) => Err(Error::Exceeded),
            asked => asked,
        };
        let asked = match asked {
            Ok(asked) => asked.map(|timeout| Instant::now() + timeout),
            Err(error) => return Box::pin(async move { Ok(status::to_status(&error).into_http()) }),
        };
        let limit = Instant::now() + self.layer.limits.load().request_timeout;
        let head = asked.map_or(limit, |asked| asked.min(limit));
        let end = if self.layer.methods.streams(request.uri().path()) { asked } else { Some(head) };
        let answer = DEADLINE.scope(Deadline { head, end }, self.inner.call(request));
        Box::pin(async move {
            let Ok(answer) = tokio::time::timeout_at(head, answer).await else {
                return Ok(status::to_status(&Error::Exceeded).into_http());
            };
            let mut answer = answer?;
            let Some(end) = end.filter(|_| !answer.body().is_end_stream()) else { return Ok(answer) };
            let leashed = Arc::new(leash::until(end));
            Hold::add(&mut answer, Arc::clone(&leashed) as _);
            let cut = async move {
                tokio::time::sleep_until(end).await;
                drop(leashed);
            };
            Ok(answer.map(|body| Body::new(CutBody::new(body, cut, Error::Exceeded))))
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use tower::ServiceExt;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn timeouts_are_read_by_the_protocol() {
        let check = |value: &str, expected| assert_eq!(parse(&headers(value)), expected, "{value:?}");
        check("1H", Ok(Some(Duration::from_secs(3600))));
        check("2M", Ok(Some(Duration::from_secs(120))));
        check("3S", Ok(Some(Duration::from_secs(3))));
        check("99999999m", Ok(Some(Duration::from_millis(99_999_999))));
        check("5u", Ok(Some(Duration::from_micros(5))));
        check("0n", Ok(Some(Duration::ZERO)));
        for malformed in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1.5S", "1 S"] {
            check(malformed, Err(Error::Malformed));
        }
        assert_eq!(parse(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_no_later_and_barely_sooner(micros in 0u64..20_000_000_000_000) {
            let timeout = Duration::from_micros(micros);
            let written = format(timeout);
            let read = parse(&headers(written.to_str().unwrap())).unwrap().unwrap();
            prop_assert!(read <= timeout);
            prop_assert!(timeout - read <= Duration::from_secs(1));
        }
    }

    fn layer(limit: Duration) -> DeadlineLayer {
        let limits = LimitArgs { max_concurrent_requests: 1, max_connections: 1, request_timeout: limit };
        DeadlineLayer::new(Live::fixed(limits), methods())
    }

    async fn call(
        timeout: Option<&str>,
        limit: Duration,
        work: Duration,
    ) -> (Option<String>, Option<Instant>) {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
        let handler = {
            let seen = seen.clone();
            tower::service_fn(move |_: Request<Body>| {
                let seen = seen.clone();
                async move {
                    *seen.lock().unwrap() = current();
                    tokio::time::sleep(work).await;
                    Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
                }
            })
        };
        let mut request = Request::new(Body::empty());
        if let Some(timeout) = timeout {
            request.headers_mut().insert(HEADER, HeaderValue::from_str(timeout).unwrap());
        }
        let answer = layer(limit).layer(handler).oneshot(request).await.unwrap();
        let code = answer.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        let deadline = *seen.lock().unwrap();
        (code, deadline)
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_of_callers_deadline_and_our_limit_holds() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(call(Some("5S"), 10 * second, second).await, (None, Some(start + 5 * second)));
        let start = Instant::now();
        assert_eq!(call(Some("50S"), 10 * second, second).await, (None, Some(start + 10 * second)));
        assert_eq!(call(Some("1S"), 10 * second, 2 * second).await.0.as_deref(), Some("4"));
        assert_eq!(call(None, second, 2 * second).await.0.as_deref(), Some("4"));
        assert_eq!(call(Some("soon"), second, second).await.0.as_deref(), Some("3"));
        assert_eq!(call(Some("0n"), second, Duration::ZERO).await, (Some("4".to_owned()), None), "not begun");
    }

    fn methods() -> Methods {
        Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET)
    }

    /// The code in the trailers of an answer that never ends by itself; `None` when it lasts an hour.
    async fn endless(path: &str, timeout: Option<&str>) -> Option<String> {
        let handler = tower::service_fn(async |_: Request<Body>| {
            let frames = futures_util::stream::pending::<Result<Frame<Bytes>, axum::Error>>();
            Ok::<_, std::convert::Infallible>(Response::new(Body::new(http_body_util::StreamBody::new(
                frames,
            ))))
        });
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(timeout) = timeout {
            request.headers_mut().insert(HEADER, HeaderValue::from_str(timeout).unwrap());
        }
        let layer = layer(Duration::from_secs(10));
        let answer = layer.layer(handler).oneshot(request).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(3600), answer.into_body().collect()).await;
        let trailers = ended.ok()?.unwrap().trailers().cloned().unwrap();
        Some(trailers["grpc-status"].to_str().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn our_limit_ends_answers_and_only_the_callers_deadline_ends_streams() {
        let (check, watch) = ("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch");
        assert_eq!(endless(check, None).await.as_deref(), Some("4"));
        assert_eq!(endless(check, Some("1H")).await.as_deref(), Some("4"));
        assert_eq!(endless(watch, None).await, None);
        assert_eq!(endless(watch, Some("20S")).await.as_deref(), Some("4"));
    }
}
