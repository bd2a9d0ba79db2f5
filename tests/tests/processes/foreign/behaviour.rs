//! Upstreams that fail in every way that gRPC and HTTP/2 allow, and in some that they do not: what callers get to know.

mod upstream;

use dataflow_mesh::status::failure_in;
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tools;
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::{ErrorDetails, StatusExt};

use super::{call, descriptors};
use upstream::{Answer, details};

/// A gateway in front of an upstream that always answers like this.
async fn answering(answer: Answer) -> Service {
    let file = descriptors("odd.proto");
    let named = format!("odd.v1.Odd={}", upstream::start(answer).await);
    services::gateway(&["--descriptors", file.path().to_str().unwrap(), "--upstream", &named]).await
}

/// The status and the error of a request over REST.
async fn failure(answer: Answer) -> (u16, Value) {
    let gateway = answering(answer).await;
    call(&gateway.upstream, "GET", "/v1/behave/x", "").await
}

/// The status of a call over gRPC that the upstream refuses.
async fn passed_through(answer: Answer) -> Status {
    let gateway = answering(answer).await;
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let client = Client::connect(address, DEFAULT_WINDOW).await;
    let answer = client.send("/odd.v1.Odd/Behave", b"", &[]).await.unwrap();
    if let Some(failure) = failure_in(answer.headers()) {
        return failure;
    }
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    failure_in(&body.trailers().await.unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_method_has_all_its_routes() {
    let gateway = answering(Answer::Message { bytes: b"\x0a\x01m".to_vec(), status: Some("0") }).await;
    for (method, target, body) in [("GET", "/v1/behave/x", ""), ("POST", "/v1/behave", r#"{"mode": "x"}"#)] {
        let (status, message) = call(&gateway.upstream, method, target, body).await;
        assert_eq!((status, &message["mode"]), (200, &json!("m")), "{method} {target}: {message}");
    }
}

#[tokio::test]
async fn conditions_do_not_depend_on_the_size_of_the_reply() {
    for size in [1, 300 << 10] {
        let mut bytes = vec![0x0a];
        prost::encoding::encode_varint(size as u64, &mut bytes);
        bytes.resize(bytes.len() + size, b'm');
        let gateway = answering(Answer::Message { bytes, status: Some("0") }).await;
        let check = async |headers: &[(&str, &str)], status: u16| {
            let answer = http::request(&gateway.upstream, "GET", "/v1/behave/x", headers, b"").await.unwrap();
            assert_eq!(answer.status, status, "{size} {headers:?}");
        };
        check(&[], 200).await;
        // The resource has no etag.
        check(&[("if-match", "\"x\"")], 412).await;
        check(&[("if-match", "*")], 200).await;
        check(&[("if-none-match", "*")], 304).await;
        check(&[("if-none-match", "\"x\"")], 200).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_mapped_as_grpc_clients_do() {
    for (http, status, code, reason) in [
        (401, 401, 16, "UPSTREAM_UNAUTHENTICATED"),
        (403, 403, 7, "UPSTREAM_DENIED"),
        (404, 501, 12, "UPSTREAM_UNROUTED"),
        (302, 500, 13, "UPSTREAM_MALFUNCTION"),
        (400, 500, 13, "UPSTREAM_MALFUNCTION"),
        (429, 503, 14, "UPSTREAM_UNAVAILABLE"),
        (502, 503, 14, "UPSTREAM_UNAVAILABLE"),
        (503, 503, 14, "UPSTREAM_UNAVAILABLE"),
        (504, 504, 4, "UPSTREAM_TIMED_OUT"),
    ] {
        let (found, problem) = failure(Answer::Http(http)).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{http}: {problem}");
        assert_eq!(problem["details"][0]["reason"], reason, "{http}: {problem}");
        assert_eq!(problem["details"][0]["metadata"]["service"], "odd.v1.Odd", "{http}: {problem}");
    }
}

#[tokio::test]
async fn a_broken_answer_is_told_by_how_it_broke() {
    let check = async |answer: Answer, status: u16, reason: &str| {
        let (found, problem) = failure(answer.clone()).await;
        let told = problem["details"][0]["reason"].as_str().unwrap_or_default().to_owned();
        assert_eq!((found, told.as_str()), (status, reason), "{answer:?}: {problem}");
    };
    check(Answer::ResetAfterHead(h2::Reason::CANCEL), 499, "REPLY_CANCELED").await;
    check(Answer::ResetAfterHead(h2::Reason::REFUSED_STREAM), 503, "REPLY_LOST").await;
    check(Answer::ResetAfterHead(h2::Reason::INTERNAL_ERROR), 500, "REPLY_UNREADABLE").await;
    check(Answer::LostAfterHead, 503, "REPLY_LOST").await;
    check(Answer::Reset(h2::Reason::REFUSED_STREAM), 503, "UPSTREAM_UNAVAILABLE").await;
    check(Answer::Message { bytes: b"\x0a\x01m".to_vec(), status: None }, 500, "REPLY_UNREADABLE").await;
}

#[tokio::test]
async fn a_malformed_message_is_an_error_that_names_the_field() {
    let check = async |bytes: &[u8], says: &str| {
        let answer = Answer::Message { bytes: bytes.to_vec(), status: Some("0") };
        let (status, problem) = failure(answer).await;
        assert_eq!(
            (status, &problem["details"][0]["reason"]),
            (500, &json!("REPLY_UNREADABLE")),
            "{bytes:?}"
        );
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains(says), "{bytes:?}: {message}");
    };
    check(b"\x0a\x05m", "malformed: ").await;
    check(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "malformed: ").await;
    check(b"\x2a\x02\x0a\x05", "inners[0]").await;
    check(b"\x0a\x01\xff", "mode").await;
    check(b"\x0c", "malformed: ").await;
    check(b"\x0b\x08\x01", "malformed: ").await;
    check(b"\0\0", "malformed: ").await;
    check(b"\x80\x80\x80\x80\x10\0", "malformed: ").await;
    check(b"\x0e", "malformed: ").await;
    let deep = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        [outer, inner].concat()
    });
    let mut message = vec![0x2a];
    prost::encoding::encode_varint(deep.len() as u64, &mut message);
    check(&[message, deep].concat(), "nested too deeply").await;
}

#[tokio::test]
async fn every_detail_that_the_set_or_google_rpc_defines_is_passed_on() {
    let (status, problem) = failure(Answer::status("9", "no", &details())).await;
    assert_eq!((status, &problem["message"]), (400, &json!("no")), "{problem}");
    let found = problem["details"].as_array().unwrap();
    let names: Vec<_> =
        found.iter().map(|detail| detail["@type"].as_str().unwrap().rsplit_once('/').unwrap().1).collect();
    let expected = [
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
        "google.rpc.DebugInfo",
        "google.rpc.QuotaFailure",
        "google.rpc.PreconditionFailure",
        "google.rpc.BadRequest",
        "google.rpc.RequestInfo",
        "google.rpc.ResourceInfo",
        "google.rpc.Help",
        "google.rpc.LocalizedMessage",
        "odd.v1.Inner",
        "google.protobuf.Duration",
    ];
    assert_eq!(names, expected, "{problem}");
    assert_eq!(found[1]["retryDelay"], "1.500s");
    assert_eq!(found[6]["requestId"], "of the service");
    assert_eq!(found[10]["label"], "own");
    assert_eq!(found[11]["value"], "3s");
}

#[tokio::test]
async fn odd_statuses_keep_their_code_and_message() {
    let check = async |answer: Answer, status: u16, says: &str| {
        // In a head that is all, and in trailers.
        for answer in [answer.clone(), answer.after_message()] {
            let (found, problem) = failure(answer.clone()).await;
            assert_eq!(found, status, "{answer:?}: {problem}");
            let message = problem["message"].as_str().unwrap();
            assert!(message.contains(says), "{answer:?}: {message}");
            let grpc = passed_through(answer.clone()).await;
            assert_eq!(i64::from(i32::from(grpc.code())), problem["code"], "{answer:?}: {grpc}");
        }
    };
    check(Answer::raw("5", b"%FF no", b""), 404, "\u{fffd} no").await;
    check(Answer::raw("5", b"\xff no", b""), 404, "\u{fffd} no").await;
    check(Answer::raw("5", b"100%", b""), 404, "100%").await;
    check(Answer::raw("5", b"no", b"! not base64"), 404, "no").await;
    check(Answer::raw("5", b"no", b"/////w"), 404, "no").await;
    check(Answer::raw("many", b"no", b""), 500, "no").await;
    let long = "long ".repeat(4000);
    check(Answer::raw("5", long.as_bytes(), b""), 404, "long long").await;
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_the_error() {
    let check = async |answer: Answer, expected: Value| {
        let gateway = answering(answer.clone()).await;
        let (status, lines) = call(&gateway.upstream, "GET", "/v1/tell/x", "").await;
        let lines: Vec<Value> =
            lines.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, last] = &lines[..] else { panic!("{answer:?}: {lines:?}") };
        assert_eq!((status, &first["mode"]), (200, &json!("m")));
        assert_eq!(last["error"]["code"], expected, "{answer:?}: {last}");
    };
    let message = b"\x0a\x01m".to_vec();
    check(Answer::Message { bytes: message.clone(), status: Some("5") }, json!(5)).await;
    check(Answer::Message { bytes: message, status: None }, json!(13)).await;
    check(Answer::ResetAfterMessage(h2::Reason::CANCEL), json!(1)).await;
    check(Answer::ResetAfterMessage(h2::Reason::INTERNAL_ERROR), json!(13)).await;
}

#[tokio::test]
async fn the_health_of_an_upstream_is_passed_through() {
    let service = || HealthCheckRequest { service: "odd.v1.Odd".to_owned() };
    for (code, expected) in [("12", Code::Unimplemented), ("5", Code::NotFound)] {
        let gateway = answering(Answer::status(code, "no", &[])).await;
        let mut health = HealthClient::new(gateway.channel());
        assert_eq!(health.check(service()).await.unwrap_err().code(), expected);
        let mut watch = health.watch(service()).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
        assert!(is_open(watch).await);
    }
    let gateway = answering(Answer::Reset(h2::Reason::INTERNAL_ERROR)).await;
    let mut health = HealthClient::new(gateway.channel());
    let status = health.check(service()).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::NotServing);
    // A name that no one knows.
    let unknown = || HealthCheckRequest { service: "no.such.Service".to_owned() };
    assert_eq!(health.check(unknown()).await.unwrap_err().code(), Code::NotFound);
    let mut watch = health.watch(unknown()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    assert!(is_open(watch).await);
}

/// Whether a watch has neither ended nor reported again.
async fn is_open(mut watch: tonic::Streaming<tonic_health::pb::HealthCheckResponse>) -> bool {
    use futures_util::FutureExt;
    watch.message().now_or_never().is_none()
}

#[tokio::test]
async fn the_details_of_an_error_reach_clients_of_grpc_too() {
    let status = passed_through(Answer::status("9", "no", &details())).await;
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "no"));
    let found: ErrorDetails = status.get_error_details();
    assert_eq!(found.error_info().unwrap().reason, "ODD");
    let all = tonic_types::pb::Status::decode(status.details()).unwrap();
    assert_eq!(all.details.len(), 13);
}

#[tokio::test]
async fn grpcurl_prints_the_details_of_an_error() {
    if !tools::available("grpcurl") {
        return;
    }
    let gateway = answering(Answer::status("9", "no", &details())).await;
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut grpcurl = tokio::process::Command::new("grpcurl");
    let output = grpcurl.args(["-plaintext", address, "odd.v1.Odd/Behave"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    // Of `google.rpc`, which the set does not have, and of the set.
    for expected in ["FailedPrecondition", "google.rpc.ErrorInfo", r#""reason":"ODD""#, r#""label":"own""#] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
