//! Trailers of requests never become metadata: a caller must not set what only the gateway or the mesh may set.

use dataflow_proto::cache::v1 as pb;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stub::Stub;

const TENANT: (&str, &str) = ("dataflow-tenant", "acme-tenant");

#[tokio::test]
async fn trailers_of_http_2_are_dropped() {
    let stub = Stub::start(&[]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    let message = pb::GetEntryRequest { key: "tenant".to_owned() }.encode_to_vec();
    for (headers, trailers, expected) in [(vec![TENANT], vec![], TENANT.1), (vec![], vec![TENANT], "")] {
        let answer = caller.send_with_trailers(GET, &message, &headers, &trailers).await.unwrap();
        let mut body = answer.into_body();
        let frame = timeout(TIMEOUT, body.data()).await.expect("the stub replies").unwrap().unwrap();
        let response = pb::GetEntryResponse::decode(&frame[5..]).unwrap();
        assert_eq!(response.entry.unwrap().value, expected, "{headers:?} {trailers:?}");
    }
}

#[tokio::test]
async fn grpc_over_http_1_is_refused_before_anything_is_executed() {
    let stub = Stub::start(&[]).await;
    let head = format!("POST {GET} HTTP/1.1\r\nhost: stub\r\n{}: {}\r\n", TENANT.0, TENANT.1);
    let head =
        format!("{head}content-type: application/grpc\r\nconnection: close\r\ncontent-length: 5\r\n\r\n");
    let mut stream = TcpStream::connect(stub.address).await.unwrap();
    stream.write_all(&[head.as_bytes(), &[0; 5]].concat()).await.unwrap();
    let mut response = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut response)).await;
    read.expect("the connection closes").unwrap();
    let response = String::from_utf8_lossy(&response);
    assert!(response.starts_with("HTTP/1.1 505"), "{response}");
    assert!(!response.contains(TENANT.1), "{response}");
}
