//! `dataflow up`: all four services in one process, behind one public port. They call each other over gRPC on loopback.

use std::io::Write;
use std::path::PathBuf;

use dataflow_analysis::args::AnalysisArgs;
use dataflow_cache::CacheArgs;
use dataflow_catalogue::CatalogueArgs;
use dataflow_config::{AuditLogArgs, JournalArgs};
use dataflow_gateway::Gateway;
use dataflow_gateway::args::{PublicArgs, UpstreamArgs};
use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::process::{self, Process};
use dataflow_settings::Loaded;
use dataflow_store::StoreArgs;
use dataflow_uploads::UploadArgs;

use crate::exit::{self, Exit, Failure};
use crate::in_process::{self, Mesh, Services};
use crate::terminal;

/// The flags of `dataflow up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of the public port: REST and gRPC.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: std::net::SocketAddr,

    #[command(flatten)]
    public: PublicArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,

    /// Directory of durable state, created if missing; only one process at a time can use it. Without it, and without
    /// `--redis-url`, state is in memory only.
    #[arg(long, env = "DATAFLOW_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten, next_help_heading = "Limits")]
    limits: AnalysisArgs,

    #[command(flatten, next_help_heading = "Limits")]
    uploads: UploadArgs,

    #[command(flatten, next_help_heading = "Limits")]
    cache: CacheArgs,

    #[command(flatten, next_help_heading = "Limits")]
    catalogue: CatalogueArgs,

    #[command(flatten, next_help_heading = "Limits")]
    journal: JournalArgs,

    #[command(flatten, next_help_heading = "Limits")]
    logs: AuditLogArgs,
}

/// Runs the mesh until the process is stopped. The services stop one after the other, the gateway first.
pub(crate) async fn run(args: Args, loaded: Loaded) -> Result<Exit, Failure> {
    let Args {
        listen,
        public,
        server,
        process,
        data_dir,
        store,
        limits,
        uploads,
        cache,
        catalogue,
        journal,
        logs,
    } = args;
    process::run(&process, loaded, "dataflow", async |process: Process| {
        let listener = process::bind(listen).await?;
        let address = listener.local_addr()?;
        if data_dir.is_none() && store.redis_url.is_none() {
            tracing::info!("store: state in memory only, lost at exit");
        }
        let capacity = cache.capacity.as_u64();
        let store = store.open(data_dir.as_deref(), capacity, &process, "up")?;

        let services = Services {
            analysis: limits,
            uploads,
            extra: None,
            cache,
            catalogue,
            journal,
            logs,
            store,
            server: in_process::internal(server.clone()),
        };
        let mesh = Mesh::start(services, &process).await?;
        let upstreams = UpstreamArgs {
            analysis_url: mesh.analysis.clone(),
            cache_url: mesh.cache.clone(),
            config_url: mesh.config.clone(),
            ..in_process::defaults()
        };
        let scheme = if public.tls_cert.is_some() { "https" } else { "http" };
        let gateway = Gateway::new(&dataflow_gateway::Args { listen: address, upstreams, public, server })?;
        let serving = gateway.serve(process.context("gateway"), listener, process.stopped());
        let (served, announced) = tokio::join!(serving, async {
            tokio::select! {
                // If it is stopped before it is ready, it never becomes ready.
                () = process.stopped() => return Ok(()),
                () = process.readiness.until_ready() => {}
            }
            // The parent process may have closed standard output; the mesh serves all the same.
            exit::unless_closed(writeln!(terminal::stdout(), "ready {scheme}://{address}"))
        });
        served?;
        announced?;
        mesh.stop().await
    })
    .await
    .map(|()| Exit::Success)
}
