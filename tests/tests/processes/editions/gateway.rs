//! A gateway whose descriptor set is of an edition: what reaches the upstream, and what comes back.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use dataflow_tests::http::request;
use dataflow_tests::{binary, services};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use prost::Message;
use prost::encoding::encode_varint;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Subject, hex};

/// An upstream that sends each request back, and its requests.
async fn mirror() -> (String, mpsc::UnboundedReceiver<Bytes>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::unbounded_channel();
    let mirror = axum::Router::new().fallback(async move |call: axum::extract::Request| {
        let body = call.into_body().collect().await.unwrap().to_bytes();
        sender.send(body.clone()).unwrap();
        let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
        let trailers = HeaderMap::from_iter([status]);
        let frames = Full::new(body).with_trailers(async { Some(Ok(trailers)) });
        Response::builder().header("content-type", "application/grpc").body(Body::new(frames)).unwrap()
    });
    tokio::spawn(axum::serve(listener, mirror).into_future());
    (url, requests)
}

#[tokio::test]
async fn a_service_of_an_edition_is_called_over_rest() {
    let Some(subject) = Subject::new("service.proto", "editions.v1.Everything") else { return };
    let (url, mut requests) = mirror().await;
    let (set, upstream) = (subject.set.path().join("set.bin"), format!("editions.v1.Mirror={url}"));
    let gateway = services::gateway(&["--descriptors", set.to_str().unwrap(), "--upstream", &upstream]).await;
    let body = json!({
        "explicit": 0, "packed": [1, 300], "expanded": [1, 300],
        "delimited": {"label": "a", "inner": {}}, "delimitedList": [{}, {"label": "b"}], "prefixed": {},
        "byName": {"k": {"inner": {}}}, "closed": "CLOSED_TWO", "open": 77, "right": {"label": "r"},
    });
    let json = [("content-type", "application/json")];
    let sent = body.to_string();
    let answer =
        request(&gateway.upstream, "POST", "/v1/everything/t", &json, sent.as_bytes()).await.unwrap();
    let reply: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 200, "{reply}");

    let arrived = requests.recv().await.unwrap().slice(5..);
    let read = subject.oracle(&[format!("wire {}", hex(Some(&arrived)))]).remove(0);
    assert_eq!(reply, serde_json::from_str::<Value>(&read).unwrap(), "as protobuf reads the request");
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&reply[name], value, "{name}");
    }
    assert_eq!(reply["text"], "t");
    let has = |bytes: &[u8]| arrived.windows(bytes.len()).any(|found| found == bytes);
    assert!(has(b"\x1a\x03\x01\xac\x02") && has(b"\x20\x01\x20\xac\x02"), "packed, and not");
    assert!(has(b"\x2b\x13\x14\x0a\x01a\x2c") && has(b"\x33\x34\x33\x0a\x01b\x34"), "groups");

    let unknown = br#"{"closed": 77}"#;
    let refused = request(&gateway.upstream, "POST", "/v1/everything/t", &json, unknown).await.unwrap();
    assert_eq!(refused.status, 400, "{}", String::from_utf8_lossy(&refused.body));
}

#[test]
fn an_edition_that_is_not_supported_fails_the_start_and_is_named() {
    let file = FileDescriptorProto {
        name: Some("future.proto".to_owned()),
        syntax: Some("editions".to_owned()),
        ..FileDescriptorProto::default()
    };
    let mut set = FileDescriptorSet { file: vec![file] }.encode_to_vec();
    // `edition`, which that type lacks, within the file.
    set.push(0x70);
    encode_varint(1002, &mut set);
    set[1] = u8::try_from(set.len() - 2).unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), set).unwrap();
    let flags = ["--descriptors", path.path().to_str().unwrap(), "--upstream", "a.v1.S=http://127.0.0.1:1"];
    let ended = binary::run(&[&["gateway"], &flags[..]].concat());
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    for expected in ["future.proto is in edition 2026", "2023 and 2024"] {
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
}
