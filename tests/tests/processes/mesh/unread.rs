//! Clients that do not read their responses: their permits count until the deadline watchdog resets the stream.

use dataflow_tests::http2::{Client, code_and_reason, trailers_only};
use tonic::Code;

use super::stub::{LONG, Stub};

#[tokio::test]
async fn an_unread_response_keeps_its_permit_until_the_deadline() {
    let stub = Stub::start(&["--max-concurrent-requests", "1", "--request-timeout", "3s"]).await;
    let caller = Client::connect(stub.address, 1024).await;
    let unread = caller.get("long", &[]).await;
    assert_eq!(trailers_only(&caller.get("", &[]).await).0, Code::ResourceExhausted);

    // The bytes that fit the window arrive, then the reset: the trailers are not read either.
    let mut body = unread.into_body();
    let mut read = 0;
    let ended = loop {
        match body.data().await {
            Some(Ok(piece)) => read += piece.len(),
            other => break other.expect("the response is reset").unwrap_err(),
        }
    };
    assert_eq!(ended.reason(), Some(h2::Reason::CANCEL));
    assert_eq!(read, 1024);
    assert!(!caller.get("", &[]).await.body().is_end_stream(), "the permit is released");
}

#[tokio::test]
async fn a_response_that_is_read_arrives_completely() {
    let stub = Stub::start(&["--max-concurrent-requests", "1"]).await;
    let caller = Client::connect(stub.address, 1024).await;
    let mut body = caller.get("long", &[]).await.into_body();
    let mut read = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        read += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert!(read > LONG);
    assert_eq!(code_and_reason(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}
