//! Clients that do not read their responses: large ones, and streams.

use bytes::Bytes;
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::generator::Catalogue;
use dataflow_tests::http::{Connection, head};
use dataflow_tests::http2::{Client, framed};
use futures_util::future::join_all;
use prost::Message;
use std::io::Read;
use tokio::time::timeout;

use super::bystander::Bystander;
use super::{ANALYZE, WATCH_RULESETS, send_all};

/// Twice as many as stopped a service with the default windows of HTTP/2.
const READERS: usize = 10;

/// A catalogue whose result has some megabytes, below what is stored in the cache.
fn catalogue() -> Vec<u8> {
    let mut document = Vec::new();
    let catalogue = Catalogue { flows: 3_000, bytes: 6_000_000, ..Catalogue::LARGE };
    catalogue.reader().read_to_end(&mut document).unwrap();
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn large_responses_that_are_not_read_delay_no_other_call() {
    let up = Service::start("up", &["--max-uploads", "64"]);
    let bystander = Bystander::connect(&up.address).await;
    let document = catalogue();
    let message = analysis::AnalyzeCatalogueRequest {
        document: Some(HttpBody { data: document.clone().into(), ..Default::default() }),
        ..Default::default()
    };
    let message = framed(&message.encode_to_vec());

    // HTTP/2: the head of the response and one byte of it.
    let over_http2 = (0..READERS).map(async |_| {
        let client = Client::connect(up.address.parse().unwrap(), 1).await;
        let (answer, mut body) = client.open(ANALYZE, &[]).await.unwrap();
        send_all(&mut body, message.clone()).await;
        body.send_data(Bytes::new(), true).unwrap();
        (client, timeout(TIMEOUT, answer).await.expect("the response begins").unwrap())
    });
    // HTTP/1.1: nothing at all.
    let over_http1 = (0..READERS).map(async |_| {
        let upstream = format!("http://{}", up.address).parse().unwrap();
        let mut connection = Connection::open(&upstream).await.unwrap();
        let head = head("POST", "/v1/catalogues:analyze", &[], Some(document.len()));
        connection.write(&[head.as_bytes(), &document].concat()).await.unwrap();
        connection
    });
    let (answers, _connections) = tokio::join!(join_all(over_http2), join_all(over_http1));
    for (_, answer) in &answers {
        assert!(answer.status() == 200 && !answer.body().is_end_stream(), "{answer:?}");
    }
    bystander.is_unharmed(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_not_read_delay_no_other_call() {
    let up = Service::start("up", &[]);
    let bystander = Bystander::connect(&up.address).await;
    // As many as two connections may have.
    let mut watches = Vec::new();
    for _ in 0..2 {
        let client = Client::connect(up.address.parse().unwrap(), 1).await;
        let opened = join_all((0..256).map(|_| client.send(WATCH_RULESETS, b"", &[])));
        watches.push(timeout(TIMEOUT, opened).await.expect("the streams begin"));
    }
    assert!(watches.iter().flatten().all(Result::is_ok));
    bystander.is_unharmed(20).await;
}
