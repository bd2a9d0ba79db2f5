//! Analysis, cache and config in this process, on loopback. They talk real gRPC to each other, so that nothing works
//! only in the small.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dataflow_analysis::args::AnalysisArgs;
use dataflow_cache::CacheArgs;
use dataflow_catalogue::{CatalogueArgs, Peers};
use dataflow_config::built_in::seeds;
use dataflow_config::journal::Journal;
use dataflow_config::{AuditLogArgs, JournalArgs};
use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process::{self, Process};
use dataflow_mesh::serve::Server;
use dataflow_mesh::tasks::Task;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_rules::RuleSet;
use dataflow_store::Store;
use dataflow_uploads::UploadArgs;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::categories::OfAnalysis;
use crate::exit::Failure;

/// The configuration of the three roles.
pub(crate) struct Services {
    pub(crate) analysis: AnalysisArgs,
    pub(crate) uploads: UploadArgs,
    /// Served beside the built-in rule sets.
    pub(crate) extra: Option<RuleSet>,
    /// The limits of the cache.
    pub(crate) cache: CacheArgs,
    /// The limits of snapshots.
    pub(crate) catalogue: CatalogueArgs,
    /// The limits of the journal.
    pub(crate) journal: JournalArgs,
    /// The limits of the logs beside it.
    pub(crate) logs: AuditLogArgs,
    /// The store of their state, opened once for all of them.
    pub(crate) store: Arc<dyn Store>,
    /// How each of them serves.
    pub(crate) server: ServerArgs,
}

/// Running roles.
pub(crate) struct Mesh {
    /// The address of analysis.
    pub(crate) analysis: Upstream,
    /// The address of cache.
    pub(crate) cache: Upstream,
    /// The address of config.
    pub(crate) config: Upstream,
    /// In stop order: a role before those it calls.
    running: Vec<Running>,
}

/// One role, and the token that stops it.
struct Running {
    role: &'static str,
    stop: CancellationToken,
    ended: oneshot::Receiver<io::Result<()>>,
}

// === impl Mesh ===

impl Mesh {
    /// Starts the three roles in `process`, which is ready when they are.
    pub(crate) async fn start(services: Services, process: &Process) -> Result<Self, Failure> {
        let Services { analysis, uploads, extra, cache, catalogue, journal, logs, store, server } = services;
        let (config_listener, config_url) = loopback().await?;
        let (cache_listener, cache_url) = loopback().await?;
        let (analysis_listener, analysis_url) = loopback().await?;

        let rulesets = dataflow_rules::built_in::rulesets().into_iter().chain(extra);
        let journal =
            Arc::new(Journal::new(Arc::clone(&store), seeds(rulesets), journal.max_bytes.as_u64())?);
        let mut analysis = dataflow_analysis::Args { analysis, uploads, ..defaults() };
        analysis.peers.config_url = Some(config_url.clone());
        analysis.peers.cache_url = Some(cache_url.clone());

        let start = |role, listener, capabilities: &dyn Fn(&Context) -> Vec<Capability>| {
            let context = process.context(role);
            let capabilities = capabilities(&context);
            let server = Server::new(&server, context, FILE_DESCRIPTOR_SET);
            let server = capabilities.into_iter().fold(server, Server::with);
            Running::start(role, server, listener, process)
        };
        let running = vec![
            start("analysis", analysis_listener, &|context| {
                let uploads = dataflow_analysis::uploads(&analysis, context);
                let (capability, analyses) =
                    dataflow_analysis::capability(&analysis, &server, context, uploads.clone());
                let peers = Peers {
                    store: Arc::clone(&store),
                    uploads: uploads.clone(),
                    categories: Arc::new(OfAnalysis::new(analyses, uploads)),
                    config: Some(config_url.clone()),
                    timeout: analysis.peers.peer_timeout,
                };
                vec![capability, dataflow_catalogue::capability(&catalogue, &server, context, peers)]
            }),
            start("cache", cache_listener, &|context| {
                vec![dataflow_cache::capability(&cache, &server, context, Arc::clone(&store))]
            }),
            start("config", config_listener, &|context| {
                vec![dataflow_config::capability(&server, context, Arc::clone(&journal), &logs)]
            }),
        ];
        Ok(Self { analysis: analysis_url, cache: cache_url, config: config_url, running })
    }

    /// Stops the roles one after the other, each after the previous one has drained, also if one of them failed;
    /// returns the first error. The process must be stopping already.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let mut stopped = Ok(());
        for Running { role, stop, ended } in self.running {
            stop.cancel();
            let ended = ended.await.with_context(|| format!("{role} has panicked"));
            stopped =
                stopped.and(ended.map_err(Failure::from).and_then(|ended| ended.map_err(Failure::from)));
        }
        stopped
    }
}

// === impl Running ===

impl Running {
    fn start(role: &'static str, server: Server, listener: TcpListener, process: &Process) -> Self {
        let (stop, (result, ended)) = (CancellationToken::new(), oneshot::channel());
        let stopped = stop.clone().cancelled_owned();
        process.tasks.spawn(Task::essential(role, async move {
            // The receiver is gone if `Mesh` was dropped.
            let _ = result.send(server.serve(listener, stopped).await);
        }));
        Self { role, stop, ended }
    }
}

/// A free port on loopback, and the address by which peers reach it.
async fn loopback() -> Result<(TcpListener, Upstream), Failure> {
    let listener = process::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let upstream = format!("http://{}", listener.local_addr()?).parse()?;
    Ok((listener, upstream))
}

/// The server flags of roles whose only callers are in this process: connections have no maximum age, and there is no
/// load balancer for which to delay the drain. The limit of streams is that of the public port only.
pub(crate) fn internal(server: ServerArgs) -> ServerArgs {
    let (drain_delay, connection_age) = (Some(Duration::ZERO), Duration::ZERO);
    ServerArgs { drain_delay, connection_age, max_connection_streams: None, ..server }
}

/// The defaults of flags. The environment is ignored: its variables are meant for roles in separate processes.
pub(crate) fn defaults<A: clap::Args>() -> A {
    let command = A::augment_args(clap::Command::new("defaults")).mut_args(|arg| arg.env(None));
    A::from_arg_matches(&command.get_matches_from(["defaults"]))
        .expect("every flag has a default or is optional")
}
