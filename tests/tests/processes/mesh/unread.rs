//! Callers who ask and do not read: what they hold counts, and ends with the time that a call may take.

use tonic::Code;

use super::caller::{Caller, fate, trailers_only};
use super::stub::{LONG, Stub};

#[tokio::test]
async fn an_unread_answer_holds_its_place_until_its_time_is_up() {
    let stub = Stub::start(&["--max-concurrent-requests", "1", "--request-timeout", "3s"]).await;
    let caller = Caller::connect(stub.address, 1024).await;
    let unread = caller.get("long", &[]).await;
    assert_eq!(trailers_only(&caller.get("", &[]).await).0, Code::ResourceExhausted);

    // What fits the window comes, and then the reset: nobody takes the trailers either.
    let mut body = unread.into_body();
    let mut read = 0;
    let ended = loop {
        match body.data().await {
            Some(Ok(piece)) => read += piece.len(),
            other => break other.expect("the answer breaks off").unwrap_err(),
        }
    };
    assert_eq!(ended.reason(), Some(h2::Reason::CANCEL));
    assert_eq!(read, 1024);
    assert!(!caller.get("", &[]).await.body().is_end_stream(), "there is room again");
}

#[tokio::test]
async fn an_answer_that_is_read_arrives_whole() {
    let stub = Stub::start(&["--max-concurrent-requests", "1"]).await;
    let caller = Caller::connect(stub.address, 1024).await;
    let mut body = caller.get("long", &[]).await.into_body();
    let mut read = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        read += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert!(read > LONG);
    assert_eq!(fate(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}
