//! Calls to peers that fail midway.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use futures_util::stream;
use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

#[tokio::test]
async fn the_deadline_covers_the_whole_response() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let stalls = axum::Router::new().fallback(async || {
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    });
    tokio::spawn(axum::serve(listener, stalls).into_future());
    let mut client = CacheServiceClient::new(Outbound::new(&upstream, Duration::from_millis(200)));
    let status = client.get_entry(pb::GetEntryRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "DEADLINE_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn a_vanished_peer_is_detected_long_before_the_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let begun = Instant::now();
    let mut client = CacheServiceClient::new(Outbound::new(&upstream, Duration::from_secs(3600)));
    let (status, _vanished) = tokio::join!(client.get_entry(pb::GetEntryRequest::default()), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Empty SETTINGS and nothing else.
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        stream
    });
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}
