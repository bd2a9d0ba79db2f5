//! Connections without calls: idle ones, and those above the limit.

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::stub::Stub;

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let stub = Stub::start(&[]).await;
    // A client that vanishes after its SETTINGS is detected by an unanswered PING.
    let vanishes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for opening in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: localhost\r\n", vanishes] {
        let begun = Instant::now();
        let mut silent = TcpStream::connect(stub.address).await.unwrap();
        silent.write_all(opening.as_bytes()).await.unwrap();
        // A 408 or 400 response may come first.
        let _ = silent.read_to_end(&mut Vec::new()).await;
        let took = begun.elapsed().as_secs();
        assert!((10..=20).contains(&took), "{opening:?}: the connection was closed after {took} s");
    }
}

#[tokio::test]
async fn both_protocols_are_served_on_one_port() {
    let stub = Stub::start(&[]).await;
    let mut stream = TcpStream::connect(stub.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("grpc-status: 12\r\n"), "{answer}");
    assert!(!Client::connect(stub.address, DEFAULT_WINDOW).await.get("", &[]).await.body().is_end_stream());
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let stub = Stub::start(&["--max-connections", "1"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    caller.get("", &[]).await;
    let mut surplus = TcpStream::connect(stub.address).await.unwrap();
    assert_eq!(surplus.read(&mut [0]).await.unwrap(), 0, "closed immediately");
    drop(caller);
    eventually(TIMEOUT, "a connection is accepted again", async || {
        let mut stream = TcpStream::connect(stub.address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let mut answer = Vec::new();
        // Reset while the permit of the first connection is not released yet.
        stream.write_all(request).await.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && !answer.is_empty()
    })
    .await;
}
