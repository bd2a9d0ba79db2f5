//! Analysis, cache and config in this process, on loopback. They talk real gRPC to each other all the same, so that
//! nothing works only in the small.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dataflow_analysis::args::AnalysisArgs;
use dataflow_cache::args::CacheArgs;
use dataflow_config::journal::Journal;
use dataflow_mesh::args::ServerArgs;
use dataflow_mesh::breaker::Breakers;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process;
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::serve::Context;
use dataflow_rules::RuleSet;
use dataflow_settings::Dynamic;
use dataflow_store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::exit::Failure;

/// The three services, as they are to be started.
pub(crate) struct Services {
    pub(crate) analysis: AnalysisArgs,
    /// Served beside the built-in rule sets.
    pub(crate) extra: Option<RuleSet>,
    /// What the cache may hold.
    pub(crate) cache: CacheArgs,
    /// Where their state is kept, opened once for all of them.
    pub(crate) store: Arc<dyn Store>,
    /// How each of them serves.
    pub(crate) server: ServerArgs,
    pub(crate) metrics: Metrics,
    pub(crate) breakers: Breakers,
    pub(crate) readiness: Readiness,
    /// The process' dynamic flags.
    pub(crate) settings: watch::Receiver<Dynamic>,
}

/// Running services.
pub(crate) struct Mesh {
    /// Where analysis listens.
    pub(crate) analysis: Upstream,
    /// Where cache listens.
    pub(crate) cache: Upstream,
    /// Where config listens.
    pub(crate) config: Upstream,
    /// In the order in which they stop: a service before those it calls.
    services: Vec<Running>,
}

/// One service and what stops it.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

// === impl Mesh ===

impl Mesh {
    /// Starts the three services. They are ready when `readiness` says so.
    pub(crate) async fn start(given: Services) -> Result<Self, Failure> {
        let Services { analysis, extra, cache, store, server, metrics, breakers, readiness, settings } =
            given;
        let (config_listener, config) = loopback().await?;
        let (cache_listener, cache_url) = loopback().await?;
        let (analysis_listener, analysis_url) = loopback().await?;

        let seeds =
            dataflow_config::built_in::seeds(dataflow_rules::built_in::rulesets().into_iter().chain(extra));
        let journal = Arc::new(Journal::new(Arc::clone(&store), seeds)?);
        let config_args = dataflow_config::Args { server: server.clone(), ..defaults() };
        let cache_args = dataflow_cache::Args { cache, server: server.clone(), ..defaults() };
        let patience = server.limits.request_timeout;
        let mut analysis_args = dataflow_analysis::Args { analysis, server, ..defaults() };
        analysis_args.peers.config_url = Some(config.clone());
        analysis_args.peers.cache_url = Some(cache_url.clone());
        analysis_args.uploads.upload_idle_timeout = patience;

        let context = |role| {
            Context::new(role, metrics.clone(), readiness.clone())
                .with_breakers(breakers.clone())
                .with_settings(settings.clone())
        };
        let contexts = (context("analysis"), context("cache"), context("config"));
        let services = vec![
            Running::start(|stopped| serve_analysis(analysis_args, contexts.0, analysis_listener, stopped)),
            Running::start(|stopped| serve_cache(cache_args, contexts.1, store, cache_listener, stopped)),
            Running::start(|stopped| {
                serve_config(config_args, contexts.2, journal, config_listener, stopped)
            }),
        ];
        Ok(Self { analysis: analysis_url, cache: cache_url, config, services })
    }

    /// Stops the services one after the other, each when the one before has drained.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        for Running { stop, task } in self.services {
            stop.cancel();
            task.await??;
        }
        Ok(())
    }
}

impl Running {
    fn start<F>(serve: impl FnOnce(WaitForCancellationFutureOwned) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(stop.clone().cancelled_owned()));
        Self { stop, task }
    }
}

async fn serve_config(
    args: dataflow_config::Args,
    context: Context,
    journal: Arc<Journal>,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_config::run(&args, context, journal, listener, stopped).await
}

async fn serve_cache(
    args: dataflow_cache::Args,
    context: Context,
    store: Arc<dyn Store>,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_cache::run(&args, context, store, listener, stopped).await
}

async fn serve_analysis(
    args: dataflow_analysis::Args,
    context: Context,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_analysis::run(&args, context, dataflow_rules::built_in::rulesets(), listener, stopped).await
}

/// A free port on loopback, and the address by which peers reach it.
async fn loopback() -> Result<(TcpListener, Upstream), Failure> {
    let listener = process::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let upstream = format!("http://{}", listener.local_addr()?).parse()?;
    Ok((listener, upstream))
}

/// How services serve whose only callers are in this process: connections stay for ever, and no load balancer needs time
/// to notice that one stops.
pub(crate) fn among_themselves(server: ServerArgs) -> ServerArgs {
    ServerArgs { drain_delay: Some(Duration::ZERO), connection_age: Duration::ZERO, ..server }
}

/// The flags of a service as they are when none is given. The environment does not count: its variables are meant for
/// services that run by themselves.
pub(crate) fn defaults<A: clap::Args>() -> A {
    let command = A::augment_args(clap::Command::new("defaults")).mut_args(|arg| arg.env(None));
    A::from_arg_matches(&command.get_matches_from(["defaults"]))
        .expect("every flag has a default or is optional")
}
