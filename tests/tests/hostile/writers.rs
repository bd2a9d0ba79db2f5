//! Clients that do not send their requests: heads without bodies, first bytes of bodies, uploads that trickle.

use std::time::Duration;

use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http::{Connection, head};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed, trailers_only};
use futures_util::future::{join_all, select_all};
use tokio::time::timeout;
use tonic::Code;

use super::bystander::Bystander;
use super::{ANALYZE, CATEGORIZE};

/// Few, so that a test needs few connections to take all of them. None ends because it is idle, on a machine however
/// busy.
const LIMITS: [&str; 6] =
    ["--max-concurrent-requests", "32", "--body-idle-timeout", "10m", "--upload-idle-timeout", "10m"];

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_bodies_take_no_permits() {
    let up = Service::start("up", &LIMITS);
    let bystander = Bystander::connect(&up.address).await;
    let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let mut open = Vec::new();
    for path in [CATEGORIZE, ANALYZE] {
        for _ in 0..100 {
            open.push(client.open(path, &[]).await.unwrap());
        }
    }
    bystander.is_unharmed(10).await;
    // Those that gave way to others know why.
    let (answer, _) = open.swap_remove(0);
    let answer = timeout(TIMEOUT, answer).await.expect("it gives way").unwrap();
    assert_eq!(trailers_only(&answer), (Code::ResourceExhausted, "CONCURRENCY_LIMIT".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_one_byte_take_no_permits() {
    let up = Service::start("up", &LIMITS);
    let bystander = Bystander::connect(&up.address).await;
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let opened = ["/v1/dataflows:categorize", "/v1/catalogues:analyze", "/v1/rules"].map(|target| {
        join_all((0..40).map(async |_| {
            let mut connection = Connection::open(&gateway).await.unwrap();
            let head = head("POST", target, &[], Some(1000));
            connection.write(format!("{head}{{").as_bytes()).await.unwrap();
            connection
        }))
    });
    let connections: Vec<_> = join_all(opened).await.into_iter().flatten().collect();
    bystander.is_unharmed(10).await;
    // Those that arrived first gave way; which ones that were is not known here.
    let responses = connections.into_iter().map(|connection| Box::pin(connection.response()));
    let (rejected, ..) = select_all(responses).await;
    assert_eq!(rejected.unwrap().status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_trickles_is_ended() {
    let flags = ["--body-idle-timeout", "1s", "--min-body-rate", "1MiB", "--upload-idle-timeout", "20s"];
    let up = Service::start("up", &[&flags[..], &["--max-uploads", "1"]].concat());
    let bystander = Bystander::connect(&up.address).await;
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let mut upload = Connection::open(&gateway).await.unwrap();
    let head = head("POST", "/v1/catalogues:analyze", &[], Some(10_000_000));
    let begun = [head.as_bytes(), &b" ".repeat(100_000)].concat();
    upload.write(&begun).await.unwrap();
    // One byte at a time, so that it is never idle.
    let trickling = async {
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        while upload.write(b" ").await.is_ok() {
            pause.tick().await;
        }
    };
    timeout(TIMEOUT, trickling).await.expect("the connection is closed");
    // The only permit of uploads is free again.
    bystander.is_unharmed(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn up_ends_an_idle_upload() {
    let up = Service::start("up", &["--upload-idle-timeout", "500ms", "--body-idle-timeout", "1h"]);
    let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let (answer, mut body) = client.open(ANALYZE, &[]).await.unwrap();
    // More than what counts as a body that has not arrived.
    super::send_all(&mut body, vec![0; 100_000].into()).await;
    let answer = timeout(TIMEOUT, answer).await.expect("the upload is ended").unwrap();
    assert_eq!(trailers_only(&answer).0, Code::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_upload_that_stalls_is_canceled_and_not_called_unavailable() {
    let up = Service::start("up", &["--body-idle-timeout", "500ms"]);
    let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    for sent in [0, 1, 100_000] {
        let (answer, mut body) = client.open(ANALYZE, &[]).await.unwrap();
        super::send_all(&mut body, framed(&vec![0; 1_000_000]).slice(..sent)).await;
        let answer = timeout(TIMEOUT, answer).await.expect("the upload is ended").unwrap();
        assert_eq!(trailers_only(&answer), (Code::Cancelled, "BODY_STALLED".to_owned()), "{sent} bytes sent");
    }
}
