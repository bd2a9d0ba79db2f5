//! Services in this process, each on a free loopback port, for tests of their contracts.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dataflow_cache::CacheArgs;
use dataflow_catalogue::categories::Unknown;
use dataflow_catalogue::{CatalogueArgs, Peers};
use dataflow_config::journal::Journal;
use dataflow_config::{AuditLogArgs, JournalArgs};
use dataflow_gateway::Gateway;
use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::capability::Capability;
use dataflow_mesh::context::Context;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_mesh::process::Process;
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_server::RuleServiceServer;
use dataflow_rules::RuleSet;
use dataflow_rules::built_in::rulesets;
use dataflow_store::embedded::Embedded;
use dataflow_store::{Store, StoreArgs};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::eventually::TIMEOUT;
use crate::unvalidated_config::UnvalidatedConfig;

/// Flags of an analysis service with a long peer timeout, for busy machines.
pub const LONG_TIMEOUT: [&str; 2] = ["--peer-timeout", "30s"];

/// A closed port: it is bound, so that the system does not assign it to another process, but it does not listen. It
/// stays reserved until this is dropped.
pub struct ClosedPort {
    /// The address.
    pub upstream: Upstream,
    _socket: TcpSocket,
}

/// The flags of a role with one capability.
#[derive(clap::Args)]
struct Flags<A: clap::Args> {
    #[command(flatten)]
    capability: A,
    #[command(flatten)]
    server: ServerArgs,
}

/// A running service. If dropped, it stops with the test's runtime.
pub struct Service {
    /// Its address.
    pub upstream: Upstream,
    /// Its metrics.
    pub metrics: Metrics,
    /// Whether it is ready; false once it drains.
    pub readiness: Readiness,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
    /// Its background tasks end with it.
    _process: Process,
}

// === impl Service ===

impl Service {
    /// A channel to the service.
    pub fn channel(&self) -> Outbound {
        Outbound::new(&self.upstream, TIMEOUT)
    }

    /// Stops the service and waits until it has drained.
    pub async fn stop(self) {
        // The service may have ended already; its result shows that.
        let _ = self.stop.send(());
        self.task.await.expect("the service does not panic").expect("the service ends well");
    }

    /// Starts the capabilities that `compose` returns for the role's context.
    async fn start(
        role: &'static str,
        server: ServerArgs,
        compose: impl FnOnce(&ServerArgs, &Context) -> Vec<Capability>,
    ) -> Self {
        Self::serve(role, |context, listener, stopped| {
            let capabilities = compose(&server, &context);
            let server = Server::new(&server, context, FILE_DESCRIPTOR_SET);
            let server = capabilities.into_iter().fold(server, Server::with);
            server.serve(listener, async { drop(stopped.await) })
        })
        .await
    }

    async fn serve<F>(
        role: &'static str,
        serve: impl FnOnce(Context, TcpListener, oneshot::Receiver<()>) -> F,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let upstream = format!("http://{address}").parse().expect("an address makes an upstream");
        let process = Process::default();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(process.context(role), listener, stopped));
        process.readiness.until_ready().await;
        let (metrics, readiness) = (process.metrics.clone(), process.readiness.clone());
        Self { upstream, metrics, readiness, stop, task, _process: process }
    }
}

/// A config service with the built-in rule sets and `extra` ones.
pub async fn config(extra: impl IntoIterator<Item = RuleSet>) -> Service {
    let sets = rulesets().into_iter().chain(extra);
    config_over(Arc::new(Embedded::new(1 << 20)), sets).await
}

/// A config service over this store, with these rule sets as seeds.
///
/// # Panics
///
/// If one is invalid.
pub async fn config_over(store: Arc<dyn Store>, sets: impl IntoIterator<Item = RuleSet>) -> Service {
    config_with(store, sets, AuditLogArgs::default()).await
}

/// The same with these limits of the logs beside the journal.
///
/// # Panics
///
/// If a rule set is invalid.
pub async fn config_with(
    store: Arc<dyn Store>,
    sets: impl IntoIterator<Item = RuleSet>,
    logs: AuditLogArgs,
) -> Service {
    let seeds = dataflow_config::built_in::seeds(sets);
    let journal = Arc::new(
        Journal::new(store, seeds, JournalArgs::default().max_bytes.as_u64())
            .expect("the rule sets of a test are valid"),
    );
    let compose = |server: &ServerArgs, context: &Context| {
        vec![dataflow_config::capability(server, context, journal, &logs)]
    };
    Service::start("config", args(&[]), compose).await
}

/// A config service that sends these rule sets without validating them, as one of another release might.
pub async fn unvalidated_config(sets: Vec<pb::Ruleset>) -> Service {
    let service = RuleServiceServer::new(UnvalidatedConfig { sets });
    Service::start("config", args(&[]), |_, _| vec![Capability::new().service(service)]).await
}

/// A cache service.
pub async fn cache() -> Service {
    cache_over(Arc::new(Embedded::new(64 << 20)), &[]).await
}

/// A cache service over this store, with these flags.
pub async fn cache_over(store: Arc<dyn Store>, flags: &[&str]) -> Service {
    let Flags { capability, server } = args::<Flags<CacheArgs>>(flags);
    let compose = |server: &ServerArgs, context: &Context| {
        vec![dataflow_cache::capability(&capability, server, context, store)]
    };
    Service::start("cache", server, compose).await
}

/// A store in the Redis at this URL. Its calls have a long timeout.
///
/// # Panics
///
/// If the URL is invalid.
pub fn redis_at(url: &str, process: &Process) -> Arc<dyn Store> {
    let args: StoreArgs = args(&["--redis-url", url, "--redis-timeout", "20s"]);
    args.open(None, 0, process, "cache").expect("an address is all that is needed")
}

/// The flags of the capabilities of analysis.
#[derive(clap::Args)]
struct AnalysisFlags {
    #[command(flatten)]
    analysis: dataflow_analysis::Args,
    #[command(flatten)]
    catalogue: CatalogueArgs,
}

/// An analysis service with these flags, which keeps snapshots in memory.
pub async fn analysis(flags: &[&str]) -> Service {
    analysis_over(Arc::new(Embedded::new(1 << 20)), flags).await
}

/// The same over this store.
pub async fn analysis_over(store: Arc<dyn Store>, flags: &[&str]) -> Service {
    let Flags { capability, server } = args::<Flags<AnalysisFlags>>(flags);
    let AnalysisFlags { analysis, catalogue } = capability;
    let compose = |server: &ServerArgs, context: &Context| {
        let uploads = dataflow_analysis::uploads(&analysis, context);
        let peers = Peers {
            store,
            uploads: uploads.clone(),
            categories: Arc::new(Unknown),
            config: analysis.peers.config_url.clone(),
            timeout: analysis.peers.peer_timeout,
        };
        let catalogue = dataflow_catalogue::capability(&catalogue, server, context, peers);
        vec![dataflow_analysis::capability(&analysis, server, context, uploads).0, catalogue]
    };
    Service::start("analysis", server, compose).await
}

/// A gateway with these flags, which include its upstreams: `--analysis-url`, `--cache-url`, `--config-url`,
/// `--upstream`.
pub async fn gateway(flags: &[&str]) -> Service {
    let gateway = Gateway::new(&args(flags)).expect("the flags of a test are valid");
    Service::serve("gateway", async move |context, listener, stopped| {
        gateway.serve(context, listener, async { drop(stopped.await) }).await
    })
    .await
}

/// A whole mesh: config, cache, analysis, and a gateway with these additional flags.
pub async fn mesh(flags: &[&str]) -> (Service, [Service; 3]) {
    let (config, cache) = (config([]).await, cache().await);
    let [config_url, cache_url] = [&config, &cache].map(|service| service.upstream.to_string());
    let peers = ["--config-url", &config_url, "--cache-url", &cache_url];
    let analysis = analysis(&[&peers[..], &LONG_TIMEOUT].concat()).await;
    let analysis_url = analysis.upstream.to_string();
    let urls = ["--analysis-url", &analysis_url, "--cache-url", &cache_url, "--config-url", &config_url];
    (gateway(&[&urls, flags].concat()).await, [analysis, cache, config])
}

/// Reserves a closed port.
pub fn closed_port() -> ClosedPort {
    let socket = TcpSocket::new_v4().expect("a socket can be created");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
    let address = socket.local_addr().expect("a bound socket has an address");
    let upstream = format!("http://{address}").parse().expect("an address makes an upstream");
    ClosedPort { upstream, _socket: socket }
}

/// Parses these flags; the environment is ignored.
///
/// # Panics
///
/// If they are invalid.
pub fn args<A: clap::Args>(flags: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(None));
    let matches = command.get_matches_from([&["test"], flags].concat());
    A::from_arg_matches(&matches).expect("the flags of a test are valid")
}
