//! Bidirectional streams on which nothing is sent: they have a limit of number and one of age, and delay no other call.

use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason, trailers_only};
use futures_util::future::join_all;
use tokio::time::timeout;
use tonic::Code;

use super::REFLECT;
use super::bystander::Bystander;

#[tokio::test(flavor = "multi_thread")]
async fn silent_streams_have_a_limit_of_number() {
    let up = Service::start("up", &["--max-concurrent-requests", "32"]);
    let bystander = Bystander::connect(&up.address).await;
    let (mut open, mut rejected) = (Vec::new(), 0);
    for _ in 0..4 {
        let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
        let begun = join_all((0..40).map(async |_| client.open(REFLECT, &[]).await.unwrap())).await;
        for (answer, body) in begun {
            let answer = timeout(TIMEOUT, answer).await.expect("it begins or is rejected").unwrap();
            if answer.headers().contains_key("grpc-status") {
                assert_eq!(trailers_only(&answer), (Code::ResourceExhausted, "CONCURRENCY_LIMIT".to_owned()));
                rejected += 1;
            } else {
                open.push((answer, body));
            }
        }
    }
    // The limit, and the reserve of a quarter for connections with few.
    assert!((32..=40).contains(&open.len()), "{} of 160 are open", open.len());
    assert_eq!(open.len() + rejected, 160);
    bystander.is_unharmed(10).await;

    // Those that end make room.
    let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    drop(open);
    eventually(TIMEOUT, "a stream begins", async || {
        let (answer, _body) = client.open(REFLECT, &[]).await.unwrap();
        !answer.await.unwrap().headers().contains_key("grpc-status")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_ends_at_the_limit_of_age() {
    for (age, ends) in [("500ms", true), ("1h", false)] {
        let up = Service::start("up", &["--max-stream-age", age]);
        let client = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
        let (answer, _body) = client.open(REFLECT, &[]).await.unwrap();
        let mut received = timeout(TIMEOUT, answer).await.expect("it begins").unwrap().into_body();
        if ends {
            let trailers = timeout(TIMEOUT, received.trailers()).await.expect("it ends").unwrap().unwrap();
            assert_eq!(code_and_reason(&trailers), (Code::ResourceExhausted, "STREAM_AGE".to_owned()));
        } else {
            // It is still open when another call has been served.
            client.get("user/x", &[]).await;
            let waiting = futures_util::FutureExt::now_or_never(received.trailers());
            assert!(waiting.is_none(), "{waiting:?}");
        }
    }
}
