//! A failed unary call is a trailers-only response, one HEADERS frame with END_STREAM, with code, reason and details,
//! whichever layer rejected it.

use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, code_and_reason, trailers_only};
use tonic::Code;

use super::stub::Stub;

fn expected(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}

#[tokio::test]
async fn a_failed_call_is_trailers_only_whichever_layer_rejected_it() {
    let stub = Stub::start(&["--max-concurrent-requests", "1"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;

    let failed = caller.get("fail", &[]).await;
    assert_eq!(trailers_only(&failed), expected(Code::InvalidArgument, "GRPC_TIMEOUT_MALFORMED"), "handler");

    let late = caller.get("wait", &[("grpc-timeout", "50m")]).await;
    assert_eq!(trailers_only(&late), expected(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), "deadline");

    let (waiting, refused) = tokio::join!(caller.get("wait", &[]), async {
        let refused = caller.get("", &[]).await;
        stub.go_on.notify_one();
        refused
    });
    assert_eq!(trailers_only(&refused), expected(Code::ResourceExhausted, "CONCURRENCY_LIMIT"), "limit");
    let mut body = waiting.into_body();
    while body.data().await.is_some() {}
    assert_eq!(code_and_reason(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}

#[tokio::test]
async fn an_invalid_call_is_a_client_error() {
    let stub = Stub::start(&["--max-message-bytes", "1KiB"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    let check = async |path: &str, message: &[u8], code: Code, reason: &str| {
        let answer = caller.send(path, message, &[]).await.unwrap();
        assert_eq!(trailers_only(&answer), expected(code, reason));
    };
    check(GET, b"\xff\xff", Code::InvalidArgument, "MESSAGE_MALFORMED").await;
    check(GET, &[0; 2048], Code::ResourceExhausted, "MESSAGE_TOO_LARGE").await;
    check("/dataflow.cache.v1.CacheService/Purge", b"", Code::Unimplemented, "METHOD_UNKNOWN").await;
    check("/dataflow.secret.v1.SecretService/Get", b"", Code::Unimplemented, "METHOD_UNKNOWN").await;
}
