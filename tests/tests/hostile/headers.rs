//! Calls with large headers: each is rejected by itself, and its connection carries on.

use dataflow_tests::binary::Service;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, trailers_only};
use tonic::Code;

use super::CATEGORIZE;

#[tokio::test(flavor = "multi_thread")]
async fn large_headers_do_not_close_the_connection() {
    let up = Service::start("up", &[]);
    let proxy = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    for length in [33, 60, 96, 200] {
        let value = "x".repeat(length * 1024);
        let answer = proxy.send(CATEGORIZE, b"", &[("x-large", &value)]).await.unwrap();
        assert_eq!(trailers_only(&answer), (Code::ResourceExhausted, "HEADERS_TOO_LARGE".to_owned()));
    }
    let many: Vec<_> = (0..1000).map(|index| (format!("x-{index}"), "x")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let answer = proxy.send(CATEGORIZE, b"", &many).await.unwrap();
    assert_eq!(trailers_only(&answer).0, Code::ResourceExhausted);
    let value = "x".repeat(30 * 1024);
    let passed = proxy.send(CATEGORIZE, b"", &[("x-large", &value)]).await.unwrap();
    assert_eq!(trailers_only(&passed).0, Code::InvalidArgument, "it has no dataflow");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rejection_of_a_rest_request_is_a_status() {
    let up = Service::start("up", &[]);
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let value = "x".repeat(33 * 1024);
    let headers = [("x-large", value.as_str())];
    let answer = dataflow_tests::http::request(&gateway, "GET", "/v1/rules", &headers, b"").await.unwrap();
    assert_eq!(answer.status, 431);
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["details"][0]["reason"], "HEADERS_TOO_LARGE", "{problem}");
}
