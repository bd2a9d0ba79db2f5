//! Clients that do not read their responses: their permits count until the stream is reset, because nothing is taken or
//! at the deadline.

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, GET, code_and_reason, framed, trailers_only};
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
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
async fn a_client_that_stops_reading_is_cut_long_before_the_deadline() {
    let stub = Stub::start(&["--max-concurrent-requests", "1", "--response-idle-timeout", "200ms"]).await;
    let caller = Client::connect(stub.address, 1024).await;
    let mut unread = caller.get("long", &[]).await.into_body();
    let ended = loop {
        match unread.data().await {
            Some(Ok(_)) => {}
            other => break other.expect("the response is reset").unwrap_err(),
        }
    };
    assert_eq!(ended.reason(), Some(h2::Reason::CANCEL));
    assert!(
        !caller.get("", &[]).await.body().is_end_stream(),
        "the permit is released, the connection is open"
    );
}

#[tokio::test]
async fn a_connection_that_is_not_read_at_all_is_closed() {
    let stub = Stub::start(&["--response-idle-timeout", "200ms"]).await;
    let mut stream = TcpStream::connect(stub.address).await.unwrap();
    let message = pb::GetEntryRequest { key: "long".to_owned() }.encode_to_vec();
    let head = format!(
        "POST {GET} HTTP/1.1\r\nhost: stub\r\ncontent-type: application/grpc\r\ncontent-length: {}\r\n\r\n",
        message.len() + 5
    );
    // More responses than the buffers of the kernel take.
    let request = [head.as_bytes(), &framed(&message)].concat();
    let writing = async { while stream.write_all(&request).await.is_ok() {} };
    timeout(TIMEOUT, writing).await.expect("the connection is closed");
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
