//! Panics in the gateway itself. Those of a service are tested with real processes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use dataflow_mesh::access_log::{AccessLog, AccessLogArgs, Logged};
use dataflow_mesh::process::Process;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use tonic::Status;

use super::*;
use crate::dialect::{BodyMode, Exchange, Reply, RequestBody};
use crate::rate_limit::{RateLimitArgs, Rates};

/// A dialect, its exchange and the body of its response. It panics at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panicking {
    Claim,
    Response,
    Body,
}

impl Dialect for Panicking {
    fn claim(&self, _: &Request<Body>) -> Result<Option<Arc<dyn Exchange>>, RouteError> {
        assert_ne!(*self, Self::Claim);
        Ok(Some(Arc::new(*self)))
    }
}

impl Exchange for Panicking {
    fn route(&self) -> &'static str {
        "/panicking"
    }

    fn path(&self) -> &PathAndQuery {
        static PATH: std::sync::LazyLock<PathAndQuery> =
            std::sync::LazyLock::new(|| PathAndQuery::from_static("/dataflow.config.v1.RuleService/GetRule"));
        &PATH
    }

    fn body_mode(&self) -> BodyMode {
        BodyMode::Ignored
    }

    fn read_request(&self, _: &HeaderMap, _: RequestBody) -> Result<Body, Status> {
        unreachable!("the stack of this test does not read")
    }

    fn write_response(&self, _: Reply) -> BoxFuture<'_, Result<Response<Body>, Status>> {
        Box::pin(async {
            assert_ne!(*self, Self::Response);
            Ok(Response::new(Body::new(*self)))
        })
    }

    fn write_failure(&self, failure: &Failure, _: &HeaderValue) -> Response<Body> {
        let mut response = Response::new(Body::from("in this dialect"));
        *response.status_mut() = failure.http;
        response
    }
}

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a body panics")
    }
}

/// The status and the body of the response, if it arrived; and whether the request was counted under that status.
async fn respond(dialect: Panicking) -> (StatusCode, Option<String>, bool) {
    let process = Process::default();
    let context = process.context("gateway");
    let logged =
        AccessLogArgs { access_log: Logged::All, slow_request: std::time::Duration::MAX, access_log_rate: 1 };
    let frontend = Frontend {
        dialects: vec![Box::new(dialect)],
        auth: Auth::new(None, false, dataflow_proto::FILE_DESCRIPTOR_SET, &context),
        rates: RateLimits::new(Rates::new(&RateLimitArgs::default()).unwrap(), None, &context),
        refusals: Refusals::default(),
        refused: process.metrics.refused_calls("gateway"),
        credential_receivers: HashSet::new(),
        access: Access::new(&context, AccessLog::new(&logged, &context)),
        readiness: context.readiness.clone(),
        has_status: false,
        limits: Limits { target: 100, body: 100, reply: 100 },
        parts_routes: Vec::new(),
        encoders: Encoders::new(&context.metrics),
        messages: Arc::new(Schema::new(dataflow_proto::FILE_DESCRIPTOR_SET).unwrap()),
    };
    let stack = Stack::new(tower::service_fn(async |_| Ok(Response::new(Body::empty()))));
    let request = Request::builder().header("host", "test").body(Body::empty()).unwrap();
    let response = FrontendService::new(frontend, stack).call(request).await.unwrap();
    let status = response.status();
    assert!(response.headers().contains_key(REQUEST_ID));
    let body = response.into_body().collect().await;
    let body = body.ok().map(|body| String::from_utf8(body.to_bytes().into()).unwrap());
    let counted = format!("http_response_status_code=\"{}\"}} 1", status.as_u16());
    let metrics = process.metrics.encode();
    let is_counted =
        metrics.lines().any(|line| line.contains("http_server_requests_total") && line.ends_with(&counted));
    (status, body, is_counted)
}

#[tokio::test]
async fn a_panic_before_the_dialect_is_known_is_answered() {
    let (status, body, is_counted) = respond(Panicking::Claim).await;
    assert_eq!((status, is_counted), (StatusCode::INTERNAL_SERVER_ERROR, true));
    assert!(body.unwrap().contains("\"reason\":\"PANIC\""));
}

#[tokio::test]
async fn a_panic_of_a_dialect_is_answered_in_the_dialect() {
    let (status, body, is_counted) = respond(Panicking::Response).await;
    assert_eq!((status, is_counted), (StatusCode::INTERNAL_SERVER_ERROR, true));
    assert_eq!(body.as_deref(), Some("in this dialect"));
}

#[tokio::test]
async fn a_panic_of_a_response_body_aborts_it() {
    assert_eq!(respond(Panicking::Body).await, (StatusCode::OK, None, true));
}
