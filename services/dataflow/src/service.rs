//! One service as a process of its own: what a pod runs.

use std::io;
use std::sync::Arc;

use dataflow_analysis::args::DocumentArgs;
use dataflow_config::journal::Journal;
use dataflow_gateway::Gateway;
use dataflow_mesh::args::ProcessArgs;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process::{self, Process};
use dataflow_proto::config::v1::config_service_server::SERVICE_NAME as CONFIG_SERVICE;
use dataflow_settings::Loaded;

use crate::exit::{Exit, Failure};
use crate::settings;

/// The flags of a process that runs one service.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs<A: clap::Args> {
    #[command(flatten)]
    service: A,

    #[command(flatten)]
    process: ProcessArgs,
}

/// The flags of a process that runs the config service.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    service: ServiceArgs<dataflow_config::Args>,

    /// Dynamic options of analysis: they are nothing to config but something to push.
    #[command(flatten)]
    _documents: DocumentArgs,
}

/// Runs the analysis service until told to stop.
pub(crate) async fn analysis(
    args: ServiceArgs<dataflow_analysis::Args>,
    loaded: Loaded,
) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, loaded, "dataflow-analysis", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        let (context, built_in) = (process.context("analysis"), dataflow_rules::built_in::rulesets());
        let serving = dataflow_analysis::run(&service, context, built_in, listener, process.stopped());
        following(service.peers.config_url.as_ref(), &process, serving).await
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the cache service until told to stop.
pub(crate) async fn cache(args: ServiceArgs<dataflow_cache::Args>, loaded: Loaded) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, loaded, "dataflow-cache", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        if service.store.redis_url.is_none() {
            tracing::info!("entries are kept in memory only: every replica has its own, gone when it ends");
        }
        let capacity = service.cache.capacity.as_u64();
        let store = service.store.open(None, capacity, &process.breakers, "cache")?;
        let context = process.context("cache");
        let serving = dataflow_cache::run(&service, context, store, listener, process.stopped());
        following(service.config_url.as_ref(), &process, serving).await
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the config service until told to stop.
pub(crate) async fn config(args: ConfigArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args.service;
    process::run(&process, loaded, "dataflow-config", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        if service.store.redis_url.is_none() {
            tracing::info!("changes are kept in memory only, and gone when this process ends");
        }
        let store = service.store.open(None, 0, &process.breakers, "config")?;
        let seeds = dataflow_config::built_in::seeds(dataflow_rules::built_in::rulesets());
        let journal = Arc::new(Journal::new(store, seeds)?);
        let context = process.context("config");
        Ok(dataflow_config::run(&service, context, journal, listener, process.stopped()).await?)
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the gateway until told to stop.
pub(crate) async fn gateway(
    args: ServiceArgs<dataflow_gateway::Args>,
    loaded: Loaded,
) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    let gateway = Gateway::new(&service)?;
    // The one that it forwards to; in front of services that are not ours there is none.
    let config = service.upstreams.of(CONFIG_SERVICE).filter(|_| service.upstreams.descriptors.is_none());
    process::run(&process, loaded, "dataflow-gateway", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        let serving = gateway.serve(process.context("gateway"), listener, process.stopped());
        following(config.as_ref(), &process, serving).await
    })
    .await
    .map(|()| Exit::Done)
}

/// Serves to the end, by what the config service pushes meanwhile.
async fn following(
    config: Option<&Upstream>,
    process: &Process,
    serving: impl Future<Output = io::Result<()>>,
) -> Result<(), Failure> {
    tokio::select! {
        served = serving => Ok(served?),
        never = settings::follow(config, process.pushed.clone()) => match never {},
    }
}
