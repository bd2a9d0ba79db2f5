//! Which calls are recorded, and what of them.

use std::net::SocketAddr;

use axum::body::Bytes;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::process::Process;
use dataflow_mesh::status::Kind;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tonic_types::ErrorDetails;

use super::*;
use crate::auth::AuthError;

const READ: &str = "/dataflow.config.v1.RuleService/GetRule";
const WRITE: &str = "/dataflow.config.v1.RuleService/CreateRule";
const ADMIN: &str = "/dataflow.config.v1.KeyService/ListKeys";
const OF_MESH: &str = "/dataflow.config.v1.FlagService/SetFlag";
const INTERNAL: &str = "/dataflow.config.v1.KeyService/WatchKeys";

fn refusals() -> (Refusals, Arc<Queue>) {
    let queue = Arc::new(Queue::new(&Process::default().metrics));
    let (access, sampler) = (AccessTable::of(FILE_DESCRIPTOR_SET), CallerSampler::new(1000));
    (Refusals(Some(Arc::new(Recorder { access, sampler, queue: Arc::clone(&queue) }))), queue)
}

fn caller(subject: &str) -> Caller {
    let (subject, tenant) = (subject.to_owned(), "acme".to_owned());
    Principal { subject, tenant, scope: Some(Scope::Read), ..Principal::default() }.into()
}

fn request(path: &str) -> Request<Body> {
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    let request = Request::post(path).header("x-request-id", "r-1").header("authorization", "Bearer dfk_s");
    request.extension(PeerAddress(peer)).body(Body::from("{\"secret\":\"dfk_s\"}")).unwrap()
}

fn attempt(refusals: &Refusals, subject: &str) -> Attempt {
    refusals.attempt(&caller(subject), None, &mut request(WRITE)).unwrap()
}

/// Code and reason of what is recorded.
fn recorded(queue: &Queue) -> Vec<(String, String)> {
    queue.take(10).into_iter().map(|refusal| (refusal.code, refusal.reason)).collect()
}

#[test]
fn only_writes_of_authenticated_callers_are_recorded() {
    let (refusals, _) = refusals();
    let check = |subject: &str, path: &str, is_recorded: bool| {
        let caller = caller(subject);
        for (method, path) in [(None, path), (Some(path), "/v1/rules")] {
            let attempt = refusals.attempt(&caller, method, &mut request(path));
            assert_eq!(attempt.is_some(), is_recorded, "{subject:?} {path}");
        }
    };
    for path in [WRITE, ADMIN, OF_MESH] {
        check("ada", path, true);
        check("", path, false);
    }
    for path in [READ, INTERNAL, "/grpc.health.v1.Health/Check", "/a.B/C"] {
        check("ada", path, false);
    }
    assert!(Refusals::default().attempt(&caller("ada"), None, &mut request(WRITE)).is_none());
}

#[test]
fn a_record_says_who_called_what_and_nothing_of_the_request() {
    let (refusals, queue) = refusals();
    for (subject, shown, key_id) in
        [("ada", "ada", ""), ("key:k-1", "key:k-1", "k-1"), ("ad\u{e0}\n", "ad\\xc3\\xa0\\n", "")]
    {
        attempt(&refusals, subject).refused(&AuthError::ScopeMissing { needed: Scope::Write });
        let [refusal] = queue.take(10).try_into().unwrap();
        assert!(refusal.time.is_some() && !format!("{refusal:?}").contains("dfk_"));
        let expected = pb::Refusal {
            time: refusal.time,
            subject: shown.to_owned(),
            tenant: "acme".to_owned(),
            key_id: key_id.to_owned(),
            peer: "192.0.2.7:4711".to_owned(),
            request_id: "r-1".to_owned(),
            method: "dataflow.config.v1.RuleService/CreateRule".to_owned(),
            code: "PERMISSION_DENIED".to_owned(),
            reason: "SCOPE_MISSING".to_owned(),
            left_out: 0,
        };
        assert_eq!(refusal, expected);
    }
    let without_id = &mut Request::post(WRITE).body(Body::empty()).unwrap();
    let attempt = refusals.attempt(&caller("ada"), None, without_id).unwrap();
    assert_eq!(without_id.headers()["x-request-id"], attempt.request_id, "the call gets this one");
}

#[test]
fn no_text_is_longer_than_the_service_takes() {
    let (refusals, queue) = refusals();
    attempt(&refusals, &"\u{e0}".repeat(5000)).refused(&AuthError::OfMesh);
    assert_eq!(queue.take(1)[0].subject.len(), MAX_TEXT);
    assert_eq!(truncated("\u{e0}".repeat(5000)).len(), MAX_TEXT);
    assert_eq!(truncated("x".repeat(MAX_TEXT)).len(), MAX_TEXT);
}

#[test]
fn what_is_no_refusal_is_not_recorded() {
    let (refusals, queue) = refusals();
    let check = |kind: Kind, expected: Option<&str>| {
        attempt(&refusals, "ada").record(kind.code(), "REASON");
        let expected: Vec<_> =
            expected.map(|code| (code.to_owned(), "REASON".to_owned())).into_iter().collect();
        assert_eq!(recorded(&queue), expected, "{kind:?}");
    };
    check(Kind::Denied, Some("PERMISSION_DENIED"));
    check(Kind::Conflict, Some("ABORTED"));
    check(Kind::Invalid, Some("INVALID_ARGUMENT"));
    check(Kind::UnsupportedMediaType, Some("INVALID_ARGUMENT"));
    check(Kind::Precondition, Some("FAILED_PRECONDITION"));
    check(Kind::AlreadyExists, Some("ALREADY_EXISTS"));
    for kind in [
        Kind::NotFound,
        Kind::Unauthenticated,
        Kind::TooLarge,
        Kind::Overloaded,
        Kind::Unavailable,
        Kind::Timeout,
        Kind::Cancelled,
        Kind::Unimplemented,
        Kind::Internal,
    ] {
        check(kind, None);
    }
}

#[tokio::test]
async fn a_failure_is_found_in_headers_and_in_trailers() {
    let (refusals, queue) = refusals();
    let failure = |reason: &str| {
        let details = ErrorDetails::with_error_info(reason, "dataflow.test.v1", []);
        Status::with_error_details(Code::InvalidArgument, "not this way", details)
    };
    let in_trailers = |status: Option<Status>| {
        let mut trailers = http::HeaderMap::new();
        match status {
            Some(status) => trailers = status.into_http::<()>().into_parts().0.headers,
            None => drop(trailers.insert("grpc-status", HeaderValue::from_static("0"))),
        }
        let frames = [Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
        let frames = frames.map(Ok::<_, std::io::Error>);
        Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
    };
    let check = async |response: Response<Body>, expected: Option<&str>| {
        let response = attempt(&refusals, "ada").observe(response);
        // To its end; a body is passed on as it is.
        let _ = response.into_body().collect().await.unwrap();
        let expected: Vec<_> =
            expected.map(|reason| ("INVALID_ARGUMENT".to_owned(), reason.to_owned())).into_iter().collect();
        assert_eq!(recorded(&queue), expected);
    };
    check(failure("IN_HEADERS").into_http(), Some("IN_HEADERS")).await;
    check(in_trailers(Some(failure("IN_TRAILERS"))), Some("IN_TRAILERS")).await;
    check(in_trailers(None), None).await;
    check(Response::new(Body::empty()), None).await;
    // A foreign service may write anything there.
    check(failure("my secret").into_http(), Some("")).await;
    check(Status::invalid_argument("no details").into_http(), Some("")).await;
    let plain = attempt(&refusals, "ada").observe(in_trailers(None)).into_body().collect().await.unwrap();
    assert_eq!(plain.to_bytes(), "message");
}

#[tokio::test(start_paused = true)]
async fn refusals_above_the_rate_are_counted() {
    let queue = Arc::new(Queue::new(&Process::default().metrics));
    let (access, sampler) = (AccessTable::of(FILE_DESCRIPTOR_SET), CallerSampler::new(2));
    let refusals = Refusals(Some(Arc::new(Recorder { access, sampler, queue: Arc::clone(&queue) })));
    let left_out = |count: usize| -> Vec<i64> {
        for _ in 0..count {
            attempt(&refusals, "ada").refused(&AuthError::OfMesh);
        }
        queue.take(10).into_iter().map(|refusal| refusal.left_out).collect()
    };
    assert_eq!(left_out(5), [0, 0]);
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    assert_eq!(left_out(1), [3]);
}
