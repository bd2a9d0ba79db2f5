//! One tenant beside another: whatever it does on any number of connections, the other gets permits and memory.

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, Connection, HttpResponse};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::mesh::stub::Stub;

/// A gateway in front of a stub of the cache service, and the credentials of two tenants.
async fn gateway(stub: &Stub, flags: &[&str]) -> (Service, [String; 2]) {
    let issuer = Issuer::new();
    let url = format!("http://{}", stub.address);
    let gateway = services::gateway(&[&["--cache-url", &url, "--jwks", issuer.jwks()], flags].concat()).await;
    let bearer = |tenant| format!("Bearer {}", issuer.token(&json!({"tenant": tenant, "scope": "write"})));
    (gateway, ["acme", "bolt"].map(bearer))
}

async fn connect(gateway: &Service) -> Client {
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    Client::connect(address.parse().unwrap(), DEFAULT_WINDOW).await
}

/// Whether a call was served, after its response has ended.
async fn is_served(client: &Client, bearer: &str, key: &str) -> bool {
    let mut response = client.get(key, &[("authorization", bearer)]).await;
    if response.headers().contains_key("grpc-status") {
        let refusal = code_and_reason(response.headers());
        assert_eq!(refusal, (Code::ResourceExhausted, "CONCURRENCY_LIMIT".to_owned()));
        return false;
    }
    while let Some(data) = response.body_mut().data().await {
        data.unwrap();
    }
    response.body_mut().trailers().await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_on_many_connections_leaves_permits_to_another() {
    let stub = Stub::start(&[]).await;
    let (gateway, [acme, bolt]) = gateway(&stub, &["--max-concurrent-requests", "16"]).await;
    // None of these connections has a quarter of the permits. Those that are served wait at the stub.
    let clients = join_all((0..40).map(|_| connect(&gateway))).await;
    let mut calls: JoinSet<_> = clients
        .iter()
        .map(|client| {
            let (client, acme) = (client.clone(), acme.clone());
            async move { is_served(&client, &acme, "wait").await }
        })
        .collect();
    // All 16 permits, and one of the reserve.
    for _ in 0..40 - 17 {
        assert!(!calls.join_next().await.unwrap().unwrap());
    }
    let other = connect(&gateway).await;
    for _ in 0..20 {
        assert!(is_served(&other, &bolt, "k").await, "one after the other");
        assert!(!is_served(&clients[0], &acme, "k").await);
    }
    for _ in 0..17 {
        stub.go_on.notify_one();
        assert!(calls.join_next().await.unwrap().unwrap());
    }
    eventually(TIMEOUT, "the permits are returned", async || is_served(&clients[0], &acme, "k").await).await;
    drop((clients, other));
    stub.stop().await;
}

/// A request with a body of so many bytes, and its body.
fn upload(bearer: &str, length: usize) -> (String, Vec<u8>) {
    let body = json!({"value": "A".repeat(length)}).to_string().into_bytes();
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    (http::head("PUT", "/v1/cache/entries/user/k", &headers, Some(body.len())), body)
}

async fn send(gateway: &Service, bearer: &str, length: usize) -> HttpResponse {
    let (head, body) = upload(bearer, length);
    http::send(&gateway.upstream, &[head.as_bytes(), &body].concat()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_all_memory_of_bodies_leaves_some_to_another() {
    let stub = Stub::start(&[]).await;
    let (gateway, [acme, bolt]) = gateway(&stub, &["--max-held-bytes", "1MiB"]).await;
    let mut uploads = Vec::new();
    for _ in 0..20 {
        // The last byte does not come.
        let (head, body) = upload(&acme, 100_000);
        let mut connection = Connection::open(&gateway.upstream).await.unwrap();
        connection.write(&[head.as_bytes(), &body[..body.len() - 1]].concat()).await.unwrap();
        uploads.push(connection);
    }
    // A body takes its length twice: as text, and as a message.
    let is_refused = async || {
        let response = send(&gateway, &acme, 60_000).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        response.status == 429 && body["details"][0]["reason"] == "NO_ROOM"
    };
    eventually(TIMEOUT, "the tenant holds all memory", is_refused).await;
    for _ in 0..20 {
        let response = send(&gateway, &bolt, 60_000).await;
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    }
    assert!(is_refused().await);
    drop(uploads);
    let has_room = async || send(&gateway, &acme, 400_000).await.status == 200;
    eventually(TIMEOUT, "without others a tenant has all of it", has_room).await;
    stub.stop().await;
}
