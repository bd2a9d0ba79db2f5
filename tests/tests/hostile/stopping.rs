//! Stops under load: clients that keep their connections lose no request, and those that come too late are told so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually, eventually_blocking};
use dataflow_tests::http::{self, Connection, head};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, trailers_only};
use nix::sys::signal::Signal;
use tonic::Code;

/// Sends one request after the other on one connection, until the server asks to close it, and counts the responses.
fn keep_alive(address: &str, answered: &AtomicUsize) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let body = r#"{"dataflow": {"id": "a"}}"#;
        let length = body.len();
        let request = format!(
            "POST /v1/dataflows:categorize HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the connection is open");
        let mut line = String::new();
        reader.read_line(&mut line).expect("there is a response");
        assert!(line.starts_with("HTTP/1.1 200 "), "{line:?}");
        let (mut length, mut closes) = (0, false);
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
                None => break,
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
        answered.fetch_add(1, Ordering::Relaxed);
        if closes {
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the server closes too");
            return;
        }
    }
}

#[test]
fn keep_alive_connections_lose_no_request() {
    for delay in ["0s", "500ms"] {
        let up = Service::start("up", &["--drain-delay", delay]);
        let answered: [_; 20] = std::array::from_fn(|_| Arc::new(AtomicUsize::new(0)));
        let clients = answered.clone().map(|answered| {
            let address = up.address.clone();
            thread::spawn(move || keep_alive(&address, &answered))
        });
        // One that is open and idle.
        let mut idle = TcpStream::connect(&up.address).unwrap();
        eventually_blocking(TIMEOUT, "each connection has been used again", || {
            answered.iter().all(|answered| answered.load(Ordering::Relaxed) > 1)
        });
        let (code, log) = up.stop();
        assert_eq!(code, 0, "{log:#?}");
        clients.into_iter().for_each(|client| client.join().unwrap());
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
}

/// Begins an upload that keeps the service draining, and stops the service.
async fn draining(flags: &[&str], signal: Signal) -> (Service, Connection) {
    let up = Service::start("up", flags);
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let mut upload = Connection::open(&gateway).await.unwrap();
    let head = head("POST", "/v1/catalogues:analyze", &[("expect", "100-continue")], Some(3));
    upload.write(head.as_bytes()).await.unwrap();
    assert_eq!(upload.interim().await.unwrap().status, 100, "it is being read");
    up.signal(signal);
    eventually(TIMEOUT, "it drains", async || {
        up.log().iter().any(|line| line.contains("\"message\":\"service: draining\""))
    })
    .await;
    (up, upload)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_too_late_are_rejected_in_words() {
    let (up, mut upload) = draining(&[], Signal::SIGTERM).await;
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let mut late = None;
    // The drain delay of 0 s is over a moment after the log line.
    eventually(TIMEOUT, "calls are rejected", async || {
        let answer = http::request(&gateway, "GET", "/v1/rules", &[], b"").await.unwrap();
        late = (answer.status != 200).then_some(answer);
        late.is_some()
    })
    .await;
    let late = late.unwrap();
    assert_eq!(
        (late.status, &late.headers["retry-after"], &late.headers["connection"]),
        (503, &"1".parse().unwrap(), &"close".parse().unwrap())
    );
    let problem: serde_json::Value = serde_json::from_slice(&late.body).unwrap();
    assert_eq!(problem["details"][0]["reason"], "DRAINING", "{problem}");
    let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let answer = client.get("user/x", &[]).await;
    assert_eq!(trailers_only(&answer), (Code::Unavailable, "DRAINING".to_owned()));

    // The call in flight finishes.
    upload.write(b"<a>").await.unwrap();
    let finished = upload.response().await.unwrap();
    assert_eq!(finished.status, 400, "it is no catalogue: {finished:?}");
    let (code, log) = tokio::task::spawn_blocking(|| up.ended()).await.unwrap();
    assert_eq!(code, 0, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_of_the_terminal_drains_too() {
    let (up, mut upload) = draining(&[], Signal::SIGHUP).await;
    upload.write(b"<a>").await.unwrap();
    assert_eq!(upload.response().await.unwrap().status, 400);
    let (code, _) = tokio::task::spawn_blocking(|| up.ended()).await.unwrap();
    assert_eq!(code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_connections_lose_no_request() {
    let up = Service::start("up", &["--drain-delay", "500ms"]);
    let address = up.address.parse().unwrap();
    let clients = (0..10).map(async |_| {
        let client = Client::connect(address, DEFAULT_WINDOW).await;
        let mut calls = 0;
        loop {
            // Not sent after GOAWAY.
            let Ok((answer, mut body)) = client.open(super::CATEGORIZE, &[]).await else { return calls };
            body.send_data(dataflow_tests::http2::framed(b""), true).unwrap();
            match answer.await {
                Ok(_) => calls += 1,
                // GOAWAY with a lower stream: provably not processed, so that every client sends it again.
                Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => {
                    return calls;
                }
                Err(error) => panic!("call {calls} is lost: {error}"),
            }
        }
    });
    let stopping = async {
        // Some calls have been made.
        let client = Client::connect(address, DEFAULT_WINDOW).await;
        for _ in 0..20 {
            client.get("user/x", &[]).await;
        }
        tokio::task::spawn_blocking(|| up.stop()).await.unwrap()
    };
    let (calls, (code, log)) = tokio::join!(futures_util::future::join_all(clients), stopping);
    assert_eq!(code, 0, "{log:#?}");
    assert!(calls.iter().all(|calls| *calls > 0), "{calls:?}");
}
