//! Every limit of the gateway, tested at the limit and just above it.

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, Connection, HttpResponse};
use dataflow_tests::services;

use super::check::reason;
use super::is_served;

const JSON: (&str, &str) = ("content-type", "application/json");
const CATEGORIZE: &str = "/v1/dataflows:categorize";
const DATAFLOW: &[u8] = br#"{"dataflow":{"id":"X","names":{"en":"Hospital beds"}}}"#;

#[track_caller]
fn is(answer: &HttpResponse, status: u16, expected: &str) {
    let found = if status == 200 { String::new() } else { reason(answer) };
    assert_eq!((answer.status, found.as_str()), (status, expected));
}

#[tokio::test]
async fn size_of_a_buffered_body() {
    let limit = DATAFLOW.len();
    let (gateway, _services) = services::mesh(&["--max-body-bytes", &limit.to_string()]).await;
    let upstream = &gateway.upstream;
    is(&http::request(upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap(), 200, "");
    let longer = [DATAFLOW, b" "].concat();
    is(&http::request(upstream, "POST", CATEGORIZE, &[JSON], &longer).await.unwrap(), 413, "BODY_TOO_LARGE");
    // Without a content-length too.
    let head = http::head("POST", CATEGORIZE, &[JSON, ("transfer-encoding", "chunked")], None);
    let chunked = format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", longer.len(), String::from_utf8(longer).unwrap());
    is(&http::send(upstream, chunked.as_bytes()).await.unwrap(), 413, "BODY_TOO_LARGE");
    // A streamed document has no such limit.
    let document = [b"<a>".to_vec(), vec![b' '; 10 * limit], b"</a>".to_vec()].concat();
    let answer = http::request(upstream, "POST", "/v1/catalogues:analyze", &[], &document).await.unwrap();
    is(&answer, 400, "NOT_A_STRUCTURE_MESSAGE");
}

#[tokio::test]
async fn memory_of_buffered_bodies() {
    let quota = |what, value| format!("quota_{what}{{role=\"gateway\",name=\"held_bytes\"}} {value}");
    let (gateway, _services) = services::mesh(&["--max-held-bytes", "8KiB"]).await;
    let mut first = Connection::open(&gateway.upstream).await.unwrap();
    let padded = [DATAFLOW, &[b' '; 3500]].concat();
    let head = http::head("POST", CATEGORIZE, &[JSON, ("expect", "100-continue")], Some(padded.len()));
    first.write(head.as_bytes()).await.unwrap();
    assert_eq!(first.interim().await.unwrap().status, 100);
    first.write(&padded[..3400]).await.unwrap();
    // The buffered first body leaves no budget for another one. The budget would not cover it twice with its message
    // either, so it is counted once.
    let second =
        async || http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], &padded).await.unwrap();
    let mut refused = second().await;
    eventually(TIMEOUT, "the budget is used up", async || {
        if refused.status == 200 {
            refused = second().await;
        }
        refused.status != 200
    })
    .await;
    is(&refused, 429, "NO_ROOM");
    assert_eq!(refused.headers["retry-after"], "1");
    let shown = gateway.metrics.encode();
    for sample in [
        "rpc_refusals_total{role=\"gateway\",reason=\"memory\"} 1",
        &quota("limit", 8192),
        &quota("refused_total", 1),
    ] {
        assert!(shown.lines().any(|line| line == sample), "{sample}\n{shown}");
    }
    first.write(&padded[3400..]).await.unwrap();
    is(&first.response().await.unwrap(), 200, "");
    is(&second().await, 200, "");
}

#[tokio::test]
async fn length_of_the_request_target() {
    let target = "/live?padding";
    let (gateway, _services) = services::mesh(&["--max-target-bytes", &CATEGORIZE.len().to_string()]).await;
    is(&http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap(), 200, "");
    let longer = format!("{CATEGORIZE}?");
    let answer = http::request(&gateway.upstream, "POST", &longer, &[JSON], DATAFLOW).await.unwrap();
    is(&answer, 413, "TARGET_TOO_LONG");
    assert_eq!(http::request(&gateway.upstream, "GET", target, &[], b"").await.unwrap().status, 200);
}

#[tokio::test]
async fn idle_time_of_a_body() {
    let (gateway, _services) = services::mesh(&["--body-idle-timeout", "100ms"]).await;
    let mut connection = Connection::open(&gateway.upstream).await.unwrap();
    let head = http::head("POST", CATEGORIZE, &[JSON], Some(DATAFLOW.len()));
    connection.write(&[head.as_bytes(), &DATAFLOW[..9]].concat()).await.unwrap();
    is(&connection.response().await.unwrap(), 499, "BODY_STALLED");
    is(&http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap(), 200, "");
}

#[tokio::test]
async fn concurrent_requests() {
    let (gateway, _services) = services::mesh(&["--max-concurrent-requests", "1"]).await;
    let mut first = Connection::open(&gateway.upstream).await.unwrap();
    let padding = [b' '; 64 * 1024];
    let length = padding.len() + DATAFLOW.len();
    let head = http::head("POST", CATEGORIZE, &[JSON, ("expect", "100-continue")], Some(length));
    first.write(head.as_bytes()).await.unwrap();
    assert_eq!(first.interim().await.unwrap().status, 100);
    first.write(&padding).await.unwrap();
    let waits = "grpc_server_waiting_bodies{role=\"gateway\"} 1\n";
    eventually(TIMEOUT, "the first call has the permit", async || !gateway.metrics.encode().contains(waits))
        .await;
    let second = http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap();
    is(&second, 429, "CONCURRENCY_LIMIT");
    assert_eq!(second.headers["retry-after"], "1");
    assert!(is_served(&gateway.upstream).await, "health has no limit");
    first.write(DATAFLOW).await.unwrap();
    is(&first.response().await.unwrap(), 200, "");
}

#[tokio::test]
async fn size_of_a_reply_message() {
    let (whole, _services) = services::mesh(&[]).await;
    let analysis = _services[0].upstream.to_string();
    let reply = http::request(&whole.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap();
    is(&reply, 200, "");
    // In protobuf it is shorter than in JSON, and longer than 16 bytes.
    for (limit, status, expected) in
        [(reply.body.len().to_string(), 200, ""), ("16".to_owned(), 413, "REPLY_TOO_LARGE")]
    {
        let flags = ["--analysis-url", &analysis, "--max-message-bytes", &limit];
        let gateway = services::gateway(&flags).await;
        let answer = http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap();
        is(&answer, status, expected);
    }
}

#[tokio::test]
async fn age_of_a_stream() {
    let (gateway, _services) = services::mesh(&["--max-stream-age", "300ms"]).await;
    let lines = [("accept", "application/x-ndjson")];
    let answer = http::request(&gateway.upstream, "GET", "/v1/rulesets:watch", &lines, b"").await.unwrap();
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    let last = text.lines().last().unwrap();
    assert!(text.lines().count() > 1 && last.starts_with(r#"{"error":{"code":8,"#), "{text}");
    assert!(last.contains(r#""reason":"STREAM_AGE""#), "{last}");
}
