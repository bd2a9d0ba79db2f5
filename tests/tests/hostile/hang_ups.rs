//! Clients that leave: before their calls are accepted, and in the middle of uploads.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, framed};
use h2::Reason;
use h2::server::SendResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::bystander::Bystander;
use super::{ANALYZE, CATEGORIZE, send_all};

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_abandoned_do_not_fail_others() {
    let up = Service::start("up", &[]);
    let bystander = Bystander::connect(&up.address).await;
    let done = AtomicBool::new(false);
    let storm = async || {
        let mut abandoned = 0;
        while !done.load(Ordering::Relaxed) {
            let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
            // Until the server closes the connection, if it does.
            for _ in 0..10 {
                if client.hang_up(CATEGORIZE, 100).await.is_err() {
                    break;
                }
                abandoned += 100;
            }
        }
        abandoned
    };
    // Begun, forwarded to the service, and then abandoned.
    let uploads = async || {
        while !done.load(Ordering::Relaxed) {
            let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
            for _ in 0..20 {
                let Ok((_answer, mut body)) = client.open(ANALYZE, &[]).await else { break };
                send_all(&mut body, framed(&[b' '; 100_000]).slice(..80_000)).await;
                body.send_reset(h2::Reason::CANCEL);
            }
        }
    };
    let ((), first, second, ()) = tokio::join!(
        async {
            bystander.is_unharmed(10).await;
            done.store(true, Ordering::Relaxed);
        },
        storm(),
        storm(),
        uploads(),
    );
    assert!(first + second > 500, "{first} and {second} calls were abandoned");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_the_same_connection_do_not_fail_either() {
    let up = Service::start("up", &[]);
    let proxy = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    for _ in 0..20 {
        // As a proxy does whose clients leave: within its limit of streams, over and over again.
        proxy.hang_up(CATEGORIZE, 200).await.unwrap();
        let answer = proxy.get("user/x", &[]).await;
        assert_eq!(answer.headers()["grpc-status"], "5", "not found");
    }
}

/// An upstream that never responds. Reports that a call of [`GET`] has arrived, and returns how it ended.
async fn silent_upstream(listener: TcpListener, arrived: oneshot::Sender<()>) -> Reason {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut others = Vec::new();
    let mut call: SendResponse<Bytes> = loop {
        let (request, respond) = connection.accept().await.expect("a call arrives").unwrap();
        if request.uri().path() == GET {
            break respond;
        }
        others.push(respond);
    };
    arrived.send(()).unwrap();
    tokio::select! {
        reason = poll_fn(|cx| call.poll_reset(cx)) => reason.unwrap(),
        _ = async { while connection.accept().await.is_some() {} } => panic!("the connection has ended"),
    }
}

/// TCP does not tell a client that has closed from one that still reads (RFC 9112, 9.6 leaves it open).
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_shuts_down_its_side_of_http1_has_hung_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache_url = format!("http://{}", listener.local_addr().unwrap());
    let (arrived, arrival) = oneshot::channel();
    let upstream = tokio::spawn(silent_upstream(listener, arrived));
    let gateway = Service::start("gateway", &["--cache-url", &cache_url]);
    let mut client = TcpStream::connect(&gateway.address).await.unwrap();
    client.write_all(b"GET /v1/cache/entries/user/x HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    timeout(TIMEOUT, arrival).await.expect("the call is forwarded").unwrap();
    client.shutdown().await.unwrap();
    let mut received = Vec::new();
    timeout(TIMEOUT, client.read_to_end(&mut received)).await.expect("the connection is closed").unwrap();
    assert_eq!(String::from_utf8(received).unwrap(), "", "no one waits for a response");
    let reason = timeout(TIMEOUT, upstream).await.expect("the call is canceled").unwrap();
    assert_eq!(reason, Reason::CANCEL);
}
