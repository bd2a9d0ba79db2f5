//! Clients that send only parts of their requests, and unavailable upstreams: tests that need two connections, two
//! gateways, or a timeout.

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, Connection};
use dataflow_tests::services;

use super::check::reason;
use super::is_served;

const JSON: (&str, &str) = ("content-type", "application/json");
const EXPECT: (&str, &str) = ("expect", "100-continue");
const CATEGORIZE: &str = "/v1/dataflows:categorize";
const ANALYZE: &str = "/v1/catalogues:analyze";
const DATAFLOW: &[u8] = br#"{"dataflow":{"id":"X","names":{"en":"Hospital beds"}}}"#;

#[tokio::test]
async fn an_unreachable_upstream_is_unavailable_with_retry_after() {
    let nowhere = services::closed_port();
    let gateway = services::gateway(&["--analysis-url", &nowhere.upstream.to_string()]).await;
    let answer = http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap();
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "UPSTREAM_UNAVAILABLE"));
    assert_eq!(answer.headers["retry-after"], "1");
    let answer = http::request(&gateway.upstream, "POST", ANALYZE, &[], b"<a/>").await.unwrap();
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "UPSTREAM_UNAVAILABLE"));
    assert!(is_served(&gateway.upstream).await);
}

#[tokio::test]
async fn a_client_that_stops_sending_gets_a_response_at_the_deadline_and_blocks_no_other() {
    let (gateway, _services) = services::mesh(&["--request-timeout", "3s"]).await;
    let mut stopped = Vec::new();
    for (target, header) in [(CATEGORIZE, JSON), (ANALYZE, ("content-type", "application/xml"))] {
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        let head = http::head("POST", target, &[header], Some(1000));
        connection.write(&[head.as_bytes(), b"<half of"].concat()).await.unwrap();
        stopped.push(connection);
    }
    assert!(is_served(&gateway.upstream).await);
    for connection in stopped {
        let answer = connection.response().await.unwrap();
        // The idle timeout would have another reason.
        assert_eq!((answer.status, reason(&answer).as_str()), (504, "DEADLINE_EXCEEDED"));
    }
    assert!(is_served(&gateway.upstream).await);
}

#[tokio::test]
async fn a_client_that_disconnects_in_mid_body_frees_its_permit() {
    let (gateway, _services) = services::mesh(&["--max-concurrent-requests", "1"]).await;
    for (target, header) in [(CATEGORIZE, JSON), (ANALYZE, ("content-type", "application/xml"))] {
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        let head = http::head("POST", target, &[header], Some(1000));
        connection.write(&[head.as_bytes(), b"<half of"].concat()).await.unwrap();
        drop(connection);
        // With a limit of one call, the abandoned call must end before the next one begins.
        let next = async || {
            http::request(&gateway.upstream, "POST", CATEGORIZE, &[JSON], DATAFLOW).await.unwrap().status
                == 200
        };
        eventually(TIMEOUT, "the next call is served", next).await;
    }
}

#[tokio::test]
async fn expect_continue_gets_100_if_the_head_is_valid() {
    let (gateway, _services) = services::mesh(&[]).await;
    for (target, header, body) in [
        (CATEGORIZE, JSON, DATAFLOW),
        (ANALYZE, ("content-type", "application/xml"), b"<Structure/>".as_slice()),
    ] {
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        let head = http::head("POST", target, &[header, EXPECT], Some(body.len()));
        connection.write(head.as_bytes()).await.unwrap();
        assert_eq!(connection.interim().await.unwrap().status, 100, "{target}");
        connection.write(body).await.unwrap();
        let answer = connection.response().await.unwrap();
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
async fn expect_continue_is_rejected_immediately_if_the_head_is_invalid() {
    let (gateway, _services) = services::mesh(&["--max-body-bytes", "1KiB"]).await;
    let check = async |target: &str, header, length, expected: (u16, &str)| {
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        let head = http::head("POST", target, &[header, EXPECT], Some(length));
        connection.write(head.as_bytes()).await.unwrap();
        let answer = connection.response().await.unwrap();
        assert_eq!((answer.status, reason(&answer).as_str()), expected, "{target}");
        assert!(is_served(&gateway.upstream).await, "{target}");
    };
    check("/v1/nothing", JSON, 10, (404, "ROUTE_NOT_FOUND")).await;
    check("/v1/rulesets", JSON, 10, (405, "METHOD_NOT_ALLOWED")).await;
    check(CATEGORIZE, JSON, 2000, (413, "BODY_TOO_LARGE")).await;
    check(CATEGORIZE, ("content-type", "text/csv"), 10, (415, "UNSUPPORTED_MEDIA_TYPE")).await;
    check("/v1/catalogues:analyze?nothing=1", JSON, 10, (400, "PARAMETER_UNKNOWN")).await;
}

#[tokio::test]
async fn a_client_that_sends_on_after_a_rejection_can_read_it() {
    let (gateway, _services) = services::mesh(&["--max-body-bytes", "1KiB"]).await;
    let check = async |target: &str, header, expected: (u16, &str)| {
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        let head = http::head("POST", target, &[header], Some(512 << 10));
        connection.write(head.as_bytes()).await.unwrap();
        // The client reads nothing until it has sent everything.
        for _ in 0..512 {
            connection.write(&[b' '; 1 << 10]).await.unwrap();
        }
        let answer = connection.response().await.unwrap();
        assert_eq!((answer.status, reason(&answer).as_str()), expected, "{target}");
    };
    check("/v1/nothing", JSON, (404, "ROUTE_NOT_FOUND")).await;
    check(CATEGORIZE, JSON, (413, "BODY_TOO_LARGE")).await;
    check("/v1/rulesets", JSON, (405, "METHOD_NOT_ALLOWED")).await;
    check("/v1/catalogues:analyze?nothing=1", JSON, (400, "PARAMETER_UNKNOWN")).await;
}

#[tokio::test]
async fn a_head_that_proxies_would_read_in_another_way_is_rejected() {
    let gateway = services::gateway(&[]).await;
    let check_at = async |target: &str, method: &str, head: &str, expected: (u16, &str)| {
        let sent = format!("{method} {target} HTTP/1.1\r\n{head}connection: close\r\n\r\n0\r\n\r\n");
        let answer = http::send(&gateway.upstream, sent.as_bytes()).await.unwrap();
        assert_eq!((answer.status, reason(&answer).as_str()), expected, "{head:?}");
        assert!(is_served(&gateway.upstream).await, "{head:?}");
    };
    let check = async |method: &str, head: &str, expected: (u16, &str)| {
        check_at("/v1/nothing", method, head, expected).await;
    };
    let not_found = (404, "ROUTE_NOT_FOUND");
    for host in ["a", "a:80", "[::1]:8080", "127.0.0.1", ""] {
        check("GET", &format!("host: {host}\r\n"), not_found).await;
    }
    for head in ["", "host: a\r\nhost: a\r\n", "host: a/b c\r\n", "host: u@a\r\n", "host: a:b\r\n"] {
        check("GET", head, (400, "HOST_INVALID")).await;
        // Also where no route is looked for.
        check_at("/live", "GET", head, (400, "HOST_INVALID")).await;
    }
    check("POST", "host: a\r\ntransfer-encoding: Chunked\r\n", not_found).await;
    for codings in ["gzip, chunked", "chunked, chunked", "gzip\r\ntransfer-encoding: chunked"] {
        let head = format!("host: a\r\ntransfer-encoding: {codings}\r\n");
        check("POST", &head, (501, "TRANSFER_CODING_UNSUPPORTED")).await;
    }
}

#[tokio::test]
async fn malformed_http_is_rejected_below_the_gateway() {
    let gateway = services::gateway(&[]).await;
    let hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on\r\n\r\n";
    for sent in
        [&hello[..], b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\xff\xfe /\r\n\r\n"]
    {
        if let Ok(answer) = http::send(&gateway.upstream, sent).await {
            assert_eq!((answer.status, answer.body.as_slice()), (400, &[][..]), "{}", sent.escape_ascii());
        }
        assert!(is_served(&gateway.upstream).await, "{}", sent.escape_ascii());
    }
    let old = http::send(&gateway.upstream, b"GET /live HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(old.status, 200, "HTTP/1.0 is HTTP");
}
