//! The end of connections and of endless streams: by a stop of the service, and by age.

use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason};
use std::time::Duration;

use dataflow_tests::eventually::{TIMEOUT, eventually};
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::stub::Stub;

#[tokio::test]
async fn a_health_watch_does_not_delay_the_stop() {
    let stub = Stub::start(&["--drain-timeout", "1h"]).await;
    let channel = Endpoint::from_shared(format!("http://{}", stub.address)).unwrap().connect().await.unwrap();
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    timeout(TIMEOUT, stub.stop()).await.expect("the watch does not delay the stop");
    let ended = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the watch ends without a final status"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable);
    assert_eq!(ended.get_error_details().error_info().unwrap().reason, "DRAINING");
}

#[tokio::test]
async fn a_call_in_flight_finishes_after_the_connection_age() {
    let stub = Stub::start(&["--connection-age", "1s", "--drain-timeout", "0s"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    let (answer, ()) = tokio::join!(caller.get("wait", &[]), async {
        until_aged(&caller).await;
        // The same time again, in which the connection might be closed.
        until_aged(&Client::connect(stub.address, DEFAULT_WINDOW).await).await;
        stub.go_on.notify_one();
    });
    let mut body = answer.into_body();
    while let Some(piece) = body.data().await {
        piece.unwrap();
    }
    assert_eq!(code_and_reason(&body.trailers().await.unwrap().unwrap()).0, Code::Ok);
}

/// Waits until the connection accepts no further calls (GOAWAY).
async fn until_aged(caller: &Client) {
    eventually(TIMEOUT, "the connection has aged", async || caller.send("/", b"", &[]).await.is_err()).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_age_zero_never_ages() {
    let stub = Stub::start(&["--connection-age", "0s"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    caller.get("", &[]).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    caller.get("", &[]).await;
}
