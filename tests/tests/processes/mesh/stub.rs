//! A stub of the cache service whose behavior depends on the key, behind the same stack as every service.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::deadline;
use dataflow_mesh::process::Process;
use dataflow_mesh::serve::Server;
use dataflow_mesh::status::to_status;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_tests::services;
use dataflow_tests::stub::{self, Stubbed};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tonic::{Request, Status};

/// Bytes of the response to the key `long`: larger than every initial flow-control window.
pub(crate) const LONG: usize = 1 << 20;

#[derive(Clone, Default)]
struct Service {
    go_on: Arc<Notify>,
}

#[tonic::async_trait]
impl stub::Stub for Service {
    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Result<pb::GetEntryResponse, Status> {
        let header = |name: &str| request.metadata().get(name).map(|value| value.as_bytes().to_vec());
        let tenant = header("dataflow-tenant");
        let credentials = ["authorization", "x-api-key", "cookie"].into_iter().find_map(header);
        let key = request.into_inner().key;
        match key.as_str() {
            "fail" => return Err(to_status(&deadline::Error::Malformed)),
            "wait" => self.go_on.notified().await,
            _ => {}
        }
        let value = match key.as_str() {
            "long" => vec![7; LONG],
            "tenant" => tenant.unwrap_or_default(),
            "credentials" => credentials.unwrap_or_default(),
            _ => Vec::new(),
        };
        let entry = pb::Entry { key, value: value.into(), ..Default::default() };
        Ok(pb::GetEntryResponse { entry: Some(entry), degraded: false })
    }

    async fn set_entry(&self, _: Request<pb::SetEntryRequest>) -> Result<pb::SetEntryResponse, Status> {
        Ok(pb::SetEntryResponse { stored: true, ..Default::default() })
    }
}

/// The running stub.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    /// Releases one call for the key `wait`.
    pub(crate) go_on: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

// === impl Stub ===

impl Stub {
    /// Starts it with these flags.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let args: ServerArgs = services::args(flags);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let process = Process::default();
        let service = Service::default();
        let go_on = service.go_on.clone();
        let service = CacheServiceServer::new(Stubbed(service)).max_decoding_message_size(args.max_message());
        let server = Server::new(&args, process.context("stub"), FILE_DESCRIPTOR_SET)
            .with(Capability::new().service(service));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move { server.serve(listener, async { drop(stopped.await) }).await });
        process.readiness.until_ready().await;
        Self { address, go_on, stop, task }
    }

    /// Stops it and waits until it has drained.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}
