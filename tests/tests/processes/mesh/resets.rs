//! Clients that hang up before their calls are accepted. h2 takes many of those for an attack and closes the
//! connection; behind a proxy or the gateway that connection carries the calls of others.

use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET};
use tokio::time::timeout;

use super::stub::Stub;

#[tokio::test]
async fn resets_up_to_the_call_limit_do_not_affect_other_calls_of_the_connection() {
    let stub = Stub::start(&["--max-concurrent-requests", "200"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    // Ten times as many as h2 allows by default, all in the socket before the server sees the first.
    caller.hang_up(GET, 200).await.unwrap();
    let answer = timeout(TIMEOUT, caller.get("still", &[])).await.expect("the connection is open");
    assert!(!answer.body().is_end_stream(), "{answer:?}");
}

#[tokio::test]
async fn more_resets_than_that_close_the_connection() {
    let stub = Stub::start(&["--max-concurrent-requests", "10"]).await;
    let caller = Client::connect(stub.address, DEFAULT_WINDOW).await;
    // The limit of calls, and the 64 further streams of a connection, are far fewer.
    caller.hang_up(GET, 300).await.unwrap();
    let ended = timeout(TIMEOUT, caller.send(GET, b"", &[])).await.expect("the connection ends");
    assert!(ended.is_err(), "{ended:?}");
}
