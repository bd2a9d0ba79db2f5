//! Key sets that change while tokens are checked by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services;
use dataflow_tests::tokens::Issuer;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::send;

/// A server of a key set, which can be replaced, and the number of requests so far.
async fn key_server(first: String) -> (String, watch::Sender<String>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let (sender, key_set) = watch::channel(first);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let body = key_set.borrow().clone();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, sender, requests)
}

/// The key set is fetched again when a token names a key that is not in it; the calls wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn no_valid_token_is_refused_while_keys_rotate() {
    let (old, new) = (Issuer::new(), Issuer::new());
    let (url, key_set, requests) = key_server(old.key_set()).await;
    let (gateway, _services) = services::mesh(&["--jwks", &url]).await;
    let rules = ("GET", "/v1/rules");
    let status = async |issuer: &Issuer| {
        let bearer = issuer.bearer("read");
        send(&gateway, rules, &[("authorization", &bearer)], &Value::Null).await.status
    };
    // Until the first set has come, the gateway says that it cannot decide.
    eventually(TIMEOUT, "the key set is fetched", async || status(&old).await != 503).await;
    assert_eq!(status(&old).await, 200);
    let before = requests.load(Ordering::Relaxed);
    key_set.send(new.key_set()).unwrap();
    // A fetch may be 2 s after the last one at the earliest, for which these calls wait: as many as come in that time at
    // 200 a second.
    assert_eq!(join_all((0..400).map(|_| status(&new))).await, [200; 400]);
    assert_eq!(requests.load(Ordering::Relaxed), before + 1);
    assert_eq!(status(&old).await, 401, "also after another fetch");
}
