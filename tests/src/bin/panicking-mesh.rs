//! A process as the mesh runs it, in which handlers and background tasks panic on request: `tests/processes/panics.rs`
//! looks at it from outside. It serves a stub of CacheService and AuditService, and a gateway in front of it.
//!
//! The key of GetEntry says what panics: `call` the handler, `blocking` its work on a blocking thread, `abandoned` work
//! on a blocking thread that the handler does not wait for, `restarting` and `essential` a background task, `thread` a
//! bare thread. Any other key has an entry. ExportAuditRecords panics after its first record. With `--panic-at-start`
//! the role panics before it is ready.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;

use clap::{CommandFactory, FromArgMatches, Parser};
use dataflow_gateway::Gateway;
use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::capability::Capability;
use dataflow_mesh::panics;
use dataflow_mesh::process::{self, Process};
use dataflow_mesh::serve::Server;
use dataflow_mesh::tasks::Task;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_server::CacheServiceServer;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::audit_service_server::{AuditService, AuditServiceServer};
use dataflow_settings::{FormerNames, Sources, Translation};
use dataflow_tests::services::args;
use dataflow_tests::stub::{Stub, Stubbed};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

/// A mesh that panics on request.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,

    #[arg(long, env = "DATAFLOW_PANIC_AT_START")]
    panic_at_start: bool,
}

/// Serves both stubs.
#[derive(Debug, Clone, Default)]
struct Panicking {
    restarting: Arc<Notify>,
    essential: Arc<Notify>,
}

/// No earlier system.
struct NoFormerNames;

// === impl Panicking ===

impl Panicking {
    fn capability(self) -> Capability {
        let (restarting, essential) = (Arc::clone(&self.restarting), Arc::clone(&self.essential));
        Capability::new()
            .service(CacheServiceServer::new(Stubbed(self.clone())))
            .service(AuditServiceServer::new(self))
            .task(Task::restarting("restarting", move || {
                let panic = Arc::clone(&restarting);
                async move {
                    panic.notified().await;
                    panic!("a restarting task panics");
                }
            }))
            .task(Task::essential("essential", async move {
                essential.notified().await;
                panic!("an essential task panics");
            }))
    }
}

#[tonic::async_trait]
impl Stub for Panicking {
    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Result<pb::GetEntryResponse, Status> {
        let key = request.into_inner().key;
        match key.as_str() {
            "call" => panic!("a call panics"),
            "blocking" => panics::spawn_blocking(|| panic!("a call panics on a blocking thread")).await,
            "abandoned" => drop(panics::spawn_blocking(|| panic!("work without a caller panics"))),
            "restarting" => self.restarting.notify_one(),
            "essential" => self.essential.notify_one(),
            "thread" => drop(std::thread::spawn(|| panic!("a thread panics")).join()),
            _ => {}
        }
        let entry = pb::Entry { key, ..pb::Entry::default() };
        Ok(pb::GetEntryResponse { entry: Some(entry), degraded: false })
    }
}

#[tonic::async_trait]
impl AuditService for Panicking {
    async fn list_audit_records(
        &self,
        _: Request<config::ListAuditRecordsRequest>,
    ) -> Result<Response<config::ListAuditRecordsResponse>, Status> {
        Ok(Response::new(config::ListAuditRecordsResponse::default()))
    }

    type ExportAuditRecordsStream = BoxStream<'static, Result<config::ExportAuditRecordsResponse, Status>>;

    async fn export_audit_records(
        &self,
        _: Request<config::ExportAuditRecordsRequest>,
    ) -> Result<Response<Self::ExportAuditRecordsStream>, Status> {
        let record = config::AuditRecord { position: 1, ..config::AuditRecord::default() };
        let first = stream::once(async { Ok(config::ExportAuditRecordsResponse { record: Some(record) }) });
        // Pending once, so that tonic sends the record.
        let mut polled = false;
        let second = stream::poll_fn(move |cx| {
            assert!(!std::mem::replace(&mut polled, true), "a stream panics");
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        Ok(Response::new(first.chain(second).boxed()))
    }

    async fn list_refusals(
        &self,
        _: Request<config::ListRefusalsRequest>,
    ) -> Result<Response<config::ListRefusalsResponse>, Status> {
        Ok(Response::new(config::ListRefusalsResponse::default()))
    }

    type ExportRefusalsStream = BoxStream<'static, Result<config::ExportRefusalsResponse, Status>>;

    async fn export_refusals(
        &self,
        _: Request<config::ExportRefusalsRequest>,
    ) -> Result<Response<Self::ExportRefusalsStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn list_reads(
        &self,
        _: Request<config::ListReadsRequest>,
    ) -> Result<Response<config::ListReadsResponse>, Status> {
        Ok(Response::new(config::ListReadsResponse::default()))
    }

    type ExportReadsStream = BoxStream<'static, Result<config::ExportReadsResponse, Status>>;

    async fn export_reads(
        &self,
        _: Request<config::ExportReadsRequest>,
    ) -> Result<Response<Self::ExportReadsStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn report_refusals(
        &self,
        _: Request<config::ReportRefusalsRequest>,
    ) -> Result<Response<config::ReportRefusalsResponse>, Status> {
        Ok(Response::new(config::ReportRefusalsResponse::default()))
    }
}

impl FormerNames for NoFormerNames {
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn translate(&self, _: &mut Translation<'_>) {}
}

#[tokio::main]
async fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    let sources = Sources {
        environment: BTreeMap::new(),
        secrets: PathBuf::new(),
        config: PathBuf::new(),
        former: &NoFormerNames,
    };
    let loaded =
        dataflow_settings::load(&Cli::command(), &argv, sources).expect("the test's flags are valid");
    let Cli { server, process, panic_at_start } =
        Cli::from_arg_matches(&loaded.matches).expect("they were parsed before");
    match process::run(&process, loaded, "panicking-mesh", async |process: Process| {
        serve(server, process, panic_at_start).await
    })
    .await
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(process::Error::Task(_)) => ExitCode::from(7),
        Err(_) => ExitCode::FAILURE,
    }
}

async fn serve(server: ServerArgs, process: Process, panic_at_start: bool) -> Result<(), process::Error> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (stub, front) = (process::bind(any).await?, process::bind(any).await?);
    let url = format!("http://{}", stub.local_addr().expect("it is bound"));
    let flags = ["--cache-url", &url, "--config-url", &url, "--analysis-url", &url];
    let gateway = Gateway::new(&dataflow_gateway::Args { server: server.clone(), ..args(&flags) });
    let gateway = gateway.expect("the test's flags are valid");
    let start = async move { assert!(!panic_at_start, "the start panics") };
    let role = Server::new(&server, process.context("cache"), FILE_DESCRIPTOR_SET)
        .with(Panicking::default().capability().warm_up(start));
    let (gateway, stub) = tokio::join!(
        gateway.serve(process.context("gateway"), front, process.stopped()),
        role.serve(stub, process.stopped()),
    );
    gateway.and(stub).expect("both listeners are bound");
    Ok(())
}
