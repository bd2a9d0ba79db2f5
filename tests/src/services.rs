//! Services in this process, each on a free port of loopback, as tests of their contracts want them.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dataflow_cache::CacheArgs;
use dataflow_config::journal::Journal;
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

use crate::careless::Careless;
use crate::eventually::TIMEOUT;

/// Flags of an analysis service that waits for its peers as long as a busy machine makes it.
pub const LONG_TIMEOUT: [&str; 2] = ["--peer-timeout", "30s"];

/// The address of a port that is ours but that nobody listens on, for as long as this is held: the system gives it to
/// nobody else.
pub struct Nowhere {
    /// The address.
    pub upstream: Upstream,
    _held: TcpSocket,
}

/// The flags of a role with one capability.
#[derive(clap::Args)]
struct Flags<A: clap::Args> {
    #[command(flatten)]
    capability: A,
    #[command(flatten)]
    server: ServerArgs,
}

/// A running service. Dropped, it stops by itself with the test's runtime.
pub struct Service {
    /// Where it listens.
    pub upstream: Upstream,
    /// What it counts.
    pub metrics: Metrics,
    /// Whether it welcomes calls; no longer once it drains.
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
        // The service may have ended already; its result says so.
        let _ = self.stop.send(());
        self.task.await.expect("the service does not panic").expect("the service ends well");
    }

    /// Starts what `compose` makes of the role's context.
    async fn start(
        role: &'static str,
        server: ServerArgs,
        compose: impl FnOnce(&ServerArgs, &Context) -> Capability,
    ) -> Self {
        Self::serve(role, |context, listener, stopped| {
            let capability = compose(&server, &context);
            let server = Server::new(&server, context, FILE_DESCRIPTOR_SET).with(capability);
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

/// A config service over this store, with these sets where it has none.
///
/// # Panics
///
/// When one is invalid.
pub async fn config_over(store: Arc<dyn Store>, sets: impl IntoIterator<Item = RuleSet>) -> Service {
    let seeds = dataflow_config::built_in::seeds(sets);
    let journal = Arc::new(Journal::new(store, seeds).expect("the rule sets of a test are valid"));
    let compose =
        |server: &ServerArgs, context: &Context| dataflow_config::capability(server, context, journal);
    Service::start("config", args(&[]), compose).await
}

/// A config service that sends these sets without a look at them, as one of another release might.
pub async fn careless_config(sets: Vec<pb::Ruleset>) -> Service {
    let service = RuleServiceServer::new(Careless { sets });
    Service::start("config", args(&[]), |_, _| Capability::new().service(service)).await
}

/// A cache service.
pub async fn cache() -> Service {
    cache_over(Arc::new(Embedded::new(64 << 20)), &[]).await
}

/// A cache service over this store, with these flags.
pub async fn cache_over(store: Arc<dyn Store>, flags: &[&str]) -> Service {
    let Flags { capability, server } = args::<Flags<CacheArgs>>(flags);
    let compose = |server: &ServerArgs, context: &Context| {
        dataflow_cache::capability(&capability, server, context, store)
    };
    Service::start("cache", server, compose).await
}

/// A store in the Redis at this URL. Its calls have a long timeout.
///
/// # Panics
///
/// When the URL is none.
pub fn redis_at(url: &str, process: &Process) -> Arc<dyn Store> {
    let args: StoreArgs = args(&["--redis-url", url, "--redis-timeout", "20s"]);
    args.open(None, 0, process, "cache").expect("an address is all that is needed")
}

/// An analysis service with these flags.
pub async fn analysis(flags: &[&str]) -> Service {
    let Flags { capability, server } = args::<Flags<dataflow_analysis::Args>>(flags);
    let compose =
        |server: &ServerArgs, context: &Context| dataflow_analysis::capability(&capability, server, context);
    Service::start("analysis", server, compose).await
}

/// A gateway with these flags. Where its services are is among them: `--analysis-url`, `--cache-url`, `--config-url`,
/// `--upstream`.
pub async fn gateway(flags: &[&str]) -> Service {
    let gateway = Gateway::new(&args(flags)).expect("the flags of a test are right");
    Service::serve("gateway", async move |context, listener, stopped| {
        gateway.serve(context, listener, async { drop(stopped.await) }).await
    })
    .await
}

/// A whole mesh: config, cache, analysis, and a gateway with these flags besides.
pub async fn mesh(flags: &[&str]) -> (Service, [Service; 3]) {
    let (config, cache) = (config([]).await, cache().await);
    let [config_url, cache_url] = [&config, &cache].map(|service| service.upstream.to_string());
    let peers = ["--config-url", &config_url, "--cache-url", &cache_url];
    let analysis = analysis(&[&peers[..], &LONG_TIMEOUT].concat()).await;
    let analysis_url = analysis.upstream.to_string();
    let urls = ["--analysis-url", &analysis_url, "--cache-url", &cache_url, "--config-url", &config_url];
    (gateway(&[&urls, flags].concat()).await, [analysis, cache, config])
}

/// An address at which nobody listens.
pub fn nowhere() -> Nowhere {
    let held = TcpSocket::new_v4().expect("there are sockets");
    held.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port is free");
    let address = held.local_addr().expect("a bound socket has an address");
    let upstream = format!("http://{address}").parse().expect("an address makes an upstream");
    Nowhere { upstream, _held: held }
}

/// These flags and no others, whatever the environment says.
///
/// # Panics
///
/// When they are wrong.
pub fn args<A: clap::Args>(flags: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("test")).mut_args(|arg| arg.env(None));
    let matches = command.get_matches_from([&["test"], flags].concat());
    A::from_arg_matches(&matches).expect("the flags of a test are right")
}
