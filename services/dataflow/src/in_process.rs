//! Analysis, cache and config in this process, on loopback. They talk real gRPC to each other all the same, so that
//! nothing works only in the small.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use dataflow_analysis::args::AnalysisArgs;
use dataflow_config::ruleset::Ruleset;
use dataflow_config::rulesets::Rulesets;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process;
use dataflow_mesh::readiness::Readiness;
use dataflow_mesh::serve::Context;
use dataflow_proto::config::v1 as pb;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::analyze::PATIENCE;
use crate::exit::Failure;

/// Running services.
pub(crate) struct Mesh {
    /// Where analysis listens.
    pub(crate) analysis: Upstream,
    /// In the order in which they stop: a service before those it calls.
    services: Vec<Running>,
}

/// One service and what stops it.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

/// The rule sets built into the binary, as the config service would send them.
pub(crate) fn built_in() -> Vec<pb::Ruleset> {
    dataflow_config::built_in::rulesets().iter().map(Into::into).collect()
}

// === impl Mesh ===

impl Mesh {
    /// Starts the three services and waits until all are ready. `extra` is served beside the built-in rule sets.
    pub(crate) async fn start(analysis: AnalysisArgs, extra: Option<Ruleset>) -> Result<Self, Failure> {
        let (config_listener, config_url) = loopback().await?;
        let (cache_listener, cache_url) = loopback().await?;
        let (analysis_listener, analysis_url) = loopback().await?;

        let rulesets = Rulesets::new(dataflow_config::built_in::rulesets().into_iter().chain(extra))?;
        let mut analysis_args = dataflow_analysis::Args { analysis, ..defaults() };
        analysis_args.peers.config_url = Some(config_url);
        analysis_args.peers.cache_url = Some(cache_url);
        analysis_args.server.request_timeout = PATIENCE;

        let readiness = Readiness::default();
        let context = |role| Context::new(role, Metrics::default(), readiness.clone());
        let (analysis, cache, config) = (context("analysis"), context("cache"), context("config"));
        let services = vec![
            Running::start(|stopped| serve_analysis(analysis_args, analysis, analysis_listener, stopped)),
            Running::start(|stopped| serve_cache(cache, cache_listener, stopped)),
            Running::start(|stopped| serve_config(config, rulesets, config_listener, stopped)),
        ];
        readiness.until_ready().await;
        Ok(Self { analysis: analysis_url, services })
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
    context: Context,
    rulesets: Rulesets,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_config::run(&defaults(), context, rulesets, listener, stopped).await
}

async fn serve_cache(
    context: Context,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_cache::run(&defaults(), context, listener, stopped).await
}

async fn serve_analysis(
    args: dataflow_analysis::Args,
    context: Context,
    listener: TcpListener,
    stopped: impl Future<Output = ()>,
) -> io::Result<()> {
    dataflow_analysis::run(&args, context, built_in(), listener, stopped).await
}

/// A free port on loopback, and the address by which peers reach it.
async fn loopback() -> Result<(TcpListener, Upstream), Failure> {
    let listener = process::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let upstream = format!("http://{}", listener.local_addr()?).parse()?;
    Ok((listener, upstream))
}

/// The flags of a service as they are when none is given.
fn defaults<A: clap::Args>() -> A {
    let matches = A::augment_args(clap::Command::new("defaults")).get_matches_from(["defaults"]);
    A::from_arg_matches(&matches).expect("every flag has a default or is optional")
}
