//! Clients that leave: before their calls are accepted, and in the middle of uploads.

use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_tests::binary::Service;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed};

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
