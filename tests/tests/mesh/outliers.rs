//! Outlier ejection: a replica that returns UNAVAILABLE is ejected after the number of failures in the policy, and gets
//! calls again when it has recovered. Calls with short deadlines eject none, and a retry leaves the caller's zone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

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
use serde_json::json;
use tokio::net::TcpListener;
use tonic::{Code, Request, Response, Status, Streaming};

use super::fleet::free_ports;
use super::proxy::{cluster, everything, listener, outliers, routes};

/// A replica of analysis that can be made to fail, behind the stack of every service.
#[derive(Clone, Default)]
struct Replica {
    is_failing: Arc<AtomicBool>,
    /// Whether it answers no call.
    is_hanging: Arc<AtomicBool>,
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

    /// The number of calls since the last check.
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
        if self.is_hanging.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        if self.is_failing.load(Ordering::Relaxed) {
            return Err(Status::unavailable("failing on purpose"));
        }
        Ok(Response::new(pb::CategorizeDataflowResponse::default()))
    }

    async fn analyze_catalogue(
        &self,
        _: Request<Streaming<pb::AnalyzeCatalogueRequest>>,
    ) -> Result<Response<pb::AnalyzeCatalogueResponse>, Status> {
        Err(Status::unimplemented("not called in this test"))
    }

    async fn evaluate_rules(
        &self,
        _: Request<pb::EvaluateRulesRequest>,
    ) -> Result<Response<pb::EvaluateRulesResponse>, Status> {
        Err(Status::unimplemented("not called in this test"))
    }
}

/// Makes enough calls for each replica to be ejected; returns the failures.
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
async fn a_failing_replica_is_ejected_until_it_recovers() {
    if !envoy::available() {
        return;
    }
    let policy = &documents("mesh/istio/outliers.yaml")[0]["spec"]["trafficPolicy"]["outlierDetection"];
    let most = usize::try_from(policy["consecutiveGatewayErrors"].as_u64().unwrap()).unwrap();
    let (healthy, failing) = (Replica::default(), Replica::default());
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let mut hosts = cluster("analysis", &[healthy.start().await, failing.start().await]);
    hosts["outlier_detection"] = outliers("10s");
    let proxy = Envoy::start(admin, &[listener(at, &everything("analysis"), &[], None)], &[hosts]);
    let ejections = || proxy.statistic("cluster.analysis.outlier_detection.ejections_active");
    let upstream = format!("http://{at}").parse().unwrap();
    let mut client = AnalysisServiceClient::new(Outbound::new(&upstream, TIMEOUT));

    // Both are healthy: both get calls.
    assert_eq!(call(&mut client, 40).await, 0);
    assert_eq!((healthy.calls() + failing.calls(), ejections()), (40, 0));

    failing.is_failing.store(true, Ordering::Relaxed);
    let failed = call(&mut client, 200).await;
    assert_eq!((failed, failing.calls()), (most, most), "exactly as many as the policy allows");
    assert_eq!(ejections(), 1);

    // It has recovered and gets calls again after the ejection time, without intervention.
    failing.is_failing.store(false, Ordering::Relaxed);
    eventually(TIMEOUT, "it gets a call again", async || {
        assert_eq!(call(&mut client, 20).await, 0);
        failing.calls() > 0
    })
    .await;
    assert_eq!(call(&mut client, 40).await, 0);
    assert!(healthy.calls() > 0 && failing.calls() > 0);

    // At most half of the replicas are ejected at the same time.
    healthy.is_failing.store(true, Ordering::Relaxed);
    failing.is_failing.store(true, Ordering::Relaxed);
    call(&mut client, 100).await;
    assert_eq!(ejections(), 1, "the last replica is not ejected");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_short_deadlines_eject_no_replica() {
    if !envoy::available() {
        return;
    }
    let replicas = [Replica::default(), Replica::default()];
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let mut hosts = cluster("analysis", &[replicas[0].start().await, replicas[1].start().await]);
    hosts["outlier_detection"] = outliers("10s");
    let proxy = Envoy::start(admin, &[listener(at, &routes("analysis"), &[], None)], &[hosts]);
    let upstream = format!("http://{at}").parse().unwrap();
    let mut client = AnalysisServiceClient::new(Outbound::new(&upstream, TIMEOUT));
    let mut hasty = AnalysisServiceClient::new(Outbound::new(&upstream, Duration::from_millis(2)));
    assert_eq!(call(&mut client, 40).await, 0);

    for replica in &replicas {
        replica.is_hanging.store(true, Ordering::Relaxed);
    }
    for _ in 0..100 {
        let status = hasty.categorize_dataflow(pb::CategorizeDataflowRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
    for replica in &replicas {
        replica.is_hanging.store(false, Ordering::Relaxed);
    }
    assert_eq!(call(&mut client, 40).await, 0);
    assert_eq!(proxy.statistic("cluster.analysis.outlier_detection.ejections_enforced_total"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_leaves_the_zone_whose_only_replica_fails() {
    if !envoy::available() {
        return;
    }
    let (near, far) = (Replica::default(), Replica::default());
    let [at, admin] = free_ports(2)[..] else { unreachable!() };
    let mut hosts = cluster("analysis", &[near.start().await, far.start().await]);
    // As Istio does with outlier detection: all calls go to the caller's zone, while it has a healthy replica.
    let all = hosts["load_assignment"]["endpoints"][0]["lb_endpoints"].as_array().unwrap().clone();
    hosts["load_assignment"]["endpoints"] = all
        .into_iter()
        .enumerate()
        .map(|(zone, host)| {
            json!({
                "locality": { "zone": zone.to_string() }, "priority": zone, "lb_endpoints": [host],
            })
        })
        .collect();
    let _proxy = Envoy::start(admin, &[listener(at, &routes("analysis"), &[], None)], &[hosts]);
    let upstream = format!("http://{at}").parse().unwrap();
    let mut client = AnalysisServiceClient::new(Outbound::new(&upstream, TIMEOUT));
    assert_eq!(call(&mut client, 20).await, 0);
    assert_eq!((near.calls(), far.calls()), (20, 0));

    // No outlier detection here: without the policy of retries each of these calls would fail.
    near.is_failing.store(true, Ordering::Relaxed);
    assert_eq!(call(&mut client, 20).await, 0);
    assert_eq!(far.calls(), 20);
}
