//! Propagation from an incoming call to its outgoing calls: trace context, request id, tenant, deadline.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::services;
use dataflow_tests::stub::{Stub, Stubbed};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// A cache without entries that records the headers of its calls.
#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<MetadataMap>>>,
}

#[tonic::async_trait]
impl Stub for Recorder {
    async fn lease_entry(
        &self,
        request: Request<cache::LeaseEntryRequest>,
    ) -> Result<cache::LeaseEntryResponse, Status> {
        self.calls.lock().unwrap().push(request.metadata().clone());
        let lease = cache::Lease { token: "t".to_owned(), ..Default::default() };
        Ok(cache::LeaseEntryResponse { lease: Some(lease), ..Default::default() })
    }

    async fn set_entry(
        &self,
        request: Request<cache::SetEntryRequest>,
    ) -> Result<cache::SetEntryResponse, Status> {
        self.calls.lock().unwrap().push(request.metadata().clone());
        Ok(cache::SetEntryResponse { stored: true, ..Default::default() })
    }
}

#[tokio::test]
async fn headers_and_deadline_are_propagated_and_secrets_are_not() {
    let witness = Recorder::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router =
        tonic::service::Routes::new(CacheServiceServer::new(Stubbed(witness.clone()))).into_axum_router();
    tokio::spawn(axum::serve(listener, router).into_future());
    let analysis = services::analysis(&["--cache-url", &url]).await;

    let document = HttpBody { data: "<Structure/>".into(), ..Default::default() };
    let message = pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() };
    let mut request = Request::new(tokio_stream::iter([message]));
    request.set_timeout(TIMEOUT);
    for (name, value) in [
        ("x-request-id", "r-1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("dataflow-tenant", "acme"),
        ("authorization", "Bearer secret"),
    ] {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let mut client = AnalysisServiceClient::new(analysis.channel());
    client.analyze_catalogue(request).await.unwrap();

    let calls = witness.calls.lock().unwrap();
    assert_eq!(calls.len(), 2, "one lookup, one write");
    for call in calls.iter() {
        assert_eq!(call.get("x-request-id").unwrap(), "r-1");
        assert_eq!(call.get("dataflow-tenant").unwrap(), "acme");
        assert_eq!(call.get("dataflow-peer").unwrap(), "service", "a call of the service itself");
        assert!(
            call.get("traceparent").unwrap().to_str().unwrap().contains("0af7651916cd43dd8448eb211c80319c")
        );
        assert!(call.get("authorization").is_none());
        let timeout = call.get("grpc-timeout").unwrap().to_str().unwrap();
        let micros: u64 = timeout.strip_suffix('u').unwrap().parse().unwrap();
        // With the margin by which the call ends at its caller first.
        assert!(micros < 60_100_000, "what remains of the caller's minute: {timeout}");
    }
}
