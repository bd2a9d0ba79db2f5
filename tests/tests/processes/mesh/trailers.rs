//! Trailers of requests never become metadata: a caller must not set what only the gateway or the mesh may set.

use bytes::{BufMut, BytesMut};
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
async fn trailers_of_http_1_are_dropped() {
    let stub = Stub::start(&[]).await;
    let message = pb::GetEntryRequest { key: "tenant".to_owned() }.encode_to_vec();
    let field = format!("{}: {}\r\n", TENANT.0, TENANT.1);
    for (head, trailer, expected) in [(field.as_str(), "", true), ("", field.as_str(), false)] {
        let mut request = BytesMut::new();
        request.put_slice(format!("POST {GET} HTTP/1.1\r\nhost: stub\r\n{head}").as_bytes());
        request.put_slice(b"content-type: application/grpc\r\nte: trailers\r\ntrailer: dataflow-tenant\r\n");
        request.put_slice(b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n");
        request.put_slice(format!("{:x}\r\n", message.len() + 5).as_bytes());
        request.put_u8(0);
        request.put_u32(u32::try_from(message.len()).unwrap());
        request.put_slice(&message);
        request.put_slice(format!("\r\n0\r\n{trailer}\r\n").as_bytes());
        let mut stream = TcpStream::connect(stub.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut response = Vec::new();
        let read = timeout(TIMEOUT, stream.read_to_end(&mut response)).await;
        read.expect("the connection closes").unwrap();
        let response = String::from_utf8_lossy(&response);
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(response.contains(TENANT.1), expected, "{response}");
    }
}
