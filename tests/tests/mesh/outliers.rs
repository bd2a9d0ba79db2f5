//! A replica that answers UNAVAILABLE is left alone after as many failures as the policy says, and gets calls again once it
//! is well.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::process::Process;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::analysis::v1::analysis_service_server::{AnalysisService, AnalysisServiceServer};
use dataflow_tests::envoy::{self, Envoy};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::manifests::documents;
use dataflow_tests::services;
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status, Streaming};

use super::fleet::free_ports;
use super::proxy::{cluster, everything, listener, outliers};

/// A replica of analysis that may be ill, behind the stack of every service.
#[derive(Clone, Default)]
struct Replica {
    is_ill: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
}

// === impl Replica ===

impl Replica {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let process = Process::default();
        let args: ServerArgs = services::args(&[]);
        let capability = Capability::new().service(AnalysisServiceServer::new(self.clone()));
        let server = Server::new(&args, process.context("analysis"), FILE_DESCRIPTOR_SET).with(capability);
        tokio::spawn(server.serve(listener, std::future::pending()));
        process.readiness.until_ready().await;
        address
    }

    /// How many calls reached it since the last time.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

#[tonic::async_trait]
impl AnalysisService for Replica {
    async fn categorize_dataflow(
        &self,
        _: Request<pb::CategorizeDataflowRequest>,
    ) -> Result<Response<pb::CategorizeDataflowResponse>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if self.is_ill.load(Ordering::Relaxed) {
            return Err(Status::unavailable("it is ill"));
        }
        Ok(Response::new(pb::CategorizeDataflowResponse::default()))
    }

    async fn analyze_catalogue(
        &self,
        _: Request<Streaming<pb::AnalyzeCatalogueRequest>>,
    ) -> Result<Response<pb::AnalyzeCatalogueResponse>, Status> {
        Err(Status::unimplemented("nobody calls it here"))
    }

    async fn evaluate_rules(
        &self,
        _: Request<pb::EvaluateRulesRequest>,
    ) -> Result<Response<pb::EvaluateRulesResponse>, Status> {
        Err(Status::unimplemented("nobody calls it here"))
    }
}

/// Calls until each replica was asked often enough to be left alone; the failures.
async fn call(client: &mut AnalysisServiceClient<Outbound>, times: usize) -> usize {
    let mut failed = 0;
    for _ in 0..times {
        match client.categorize_dataflow(pb::CategorizeDataflowRequest::default()).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::Unavailable => failed += 1,
            Err(status) => panic!("{status:?}"),
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ill_replica_is_left_alone_after_just_so_many_failures_until_it_is_well() {
    if !envoy::available() {
        return;
    }
    let policy = &documents("mesh/istio/outliers.yaml")[0]["spec"]["trafficPolicy"]["outlierDetection"];
    let most = usize::try_from(policy["consecutiveGatewayErrors"].as_u64().unwrap()).unwrap();
    let (well, ill) = (Replica::default(), Replica::default());
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let mut hosts = cluster("analysis", &[well.start().await, ill.start().await]);
    hosts["outlier_detection"] = outliers("10s");
    let proxy = Envoy::start(admin, &[listener(at, &everything("analysis"), &[], None)], &[hosts]);
    let ejections = || proxy.statistic("cluster.analysis.outlier_detection.ejections_active");
    let upstream = format!("http://{at}").parse().unwrap();
    let mut client = AnalysisServiceClient::new(Outbound::new(&upstream, TIMEOUT));

    // Both are well: both get calls.
    assert_eq!(call(&mut client, 40).await, 0);
    assert_eq!((well.calls() + ill.calls(), ejections()), (40, 0));

    ill.is_ill.store(true, Ordering::Relaxed);
    let failed = call(&mut client, 200).await;
    assert_eq!((failed, ill.calls()), (most, most), "just so many, and none after that");
    assert_eq!(ejections(), 1);

    // It is well again, and gets calls again: not at once, but without anybody's help.
    ill.is_ill.store(false, Ordering::Relaxed);
    eventually(TIMEOUT, "it gets a call again", async || {
        assert_eq!(call(&mut client, 20).await, 0);
        ill.calls() > 0
    })
    .await;
    assert_eq!(call(&mut client, 40).await, 0);
    assert!(well.calls() > 0 && ill.calls() > 0);

    // All at once are not left alone: half of them at most.
    well.is_ill.store(true, Ordering::Relaxed);
    ill.is_ill.store(true, Ordering::Relaxed);
    call(&mut client, 100).await;
    assert_eq!(ejections(), 1, "the last one goes on being asked");
}
