//! What a client's headers become behind the gateway, and before it.

use std::sync::{Arc, Mutex};

use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::{CacheService, CacheServiceServer};
use dataflow_tests::{http, services};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A cache that keeps nothing but how it was called.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<MetadataMap>>>);

#[tonic::async_trait]
impl CacheService for Witness {
    async fn get_entry(
        &self,
        request: Request<pb::GetEntryRequest>,
    ) -> Result<Response<pb::GetEntryResponse>, Status> {
        self.0.lock().unwrap().push(request.metadata().clone());
        Ok(Response::new(pb::GetEntryResponse::default()))
    }

    async fn set_entry(
        &self,
        _: Request<pb::SetEntryRequest>,
    ) -> Result<Response<pb::SetEntryResponse>, Status> {
        Ok(Response::new(pb::SetEntryResponse::default()))
    }
}

#[tokio::test]
async fn what_only_the_mesh_may_say_does_not_come_from_outside() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let witness = Witness::default();
    let router = Routes::new(CacheServiceServer::new(witness.clone())).into_axum_router();
    tokio::spawn(axum::serve(listener, router).into_future());
    let gateway = services::gateway(&["--cache-url", &url]).await;

    let sent = [
        ("dataflow-tenant", "somebody-else"),
        ("Dataflow-Subject", "root"),
        ("dataflow-scopes", "admin"),
        ("l5d-client-id", "x"),
        ("x-envoy-peer-metadata", "x"),
        ("x-forwarded-client-cert", "x"),
        ("x-canary", "blue"),
        ("x-request-id", "from-the-caller"),
    ];
    let answer =
        http::request(&gateway.upstream, "GET", "/v1/cache/entries/user/x", &sent, &[]).await.unwrap();
    assert_eq!(answer.status, 200);
    let calls = witness.0.lock().unwrap();
    let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    for (name, value) in sent {
        let passes = name == "x-canary" || name == "x-request-id";
        let expected = passes.then_some(value);
        let found = call.get(name.to_lowercase()).map(|found| found.to_str().unwrap());
        assert_eq!(found, expected, "{name}");
    }
}

#[tokio::test]
async fn a_request_id_that_is_too_long_or_empty_is_replaced() {
    let gateway = services::gateway(&[]).await;
    for given in ["x".repeat(129), "x".repeat(8000), String::new()] {
        let headers = [("x-request-id", given.as_str())];
        let answer = http::request(&gateway.upstream, "GET", "/health", &headers, &[]).await.unwrap();
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(answer.status == 200 && id != given && (1..=128).contains(&id.len()), "{given:.10}: {id}");
    }
}
