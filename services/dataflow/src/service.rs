//! One service as a process of its own: what a pod runs.

use std::sync::Arc;

use dataflow_config::journal::Journal;
use dataflow_gateway::Gateway;
use dataflow_mesh::args::ProcessArgs;
use dataflow_mesh::layers::Loaded;
use dataflow_mesh::process::{self, Process};

use crate::built_in;
use crate::exit::{Exit, Failure};

/// The flags of a process that runs one service.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs<A: clap::Args> {
    #[command(flatten)]
    service: A,

    #[command(flatten)]
    process: ProcessArgs,
}

/// Runs the analysis service until told to stop.
pub(crate) async fn analysis(
    args: ServiceArgs<dataflow_analysis::Args>,
    loaded: &Loaded,
) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, loaded, "dataflow-analysis", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        let (context, built_in) = (process.context("analysis"), built_in::rulesets());
        Ok(dataflow_analysis::run(&service, context, built_in, listener, process.stopped()).await?)
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the cache service until told to stop.
pub(crate) async fn cache(args: ServiceArgs<dataflow_cache::Args>, loaded: &Loaded) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, loaded, "dataflow-cache", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        if service.store.redis_url.is_none() {
            tracing::info!("entries are kept in memory only: every replica has its own, gone when it ends");
        }
        let capacity = service.cache.capacity.as_u64();
        let store = service.store.open(None, capacity, &process.breakers, "cache")?;
        Ok(dataflow_cache::run(&service, process.context("cache"), store, listener, process.stopped())
            .await?)
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the config service until told to stop.
pub(crate) async fn config(
    args: ServiceArgs<dataflow_config::Args>,
    loaded: &Loaded,
) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, loaded, "dataflow-config", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        if service.store.redis_url.is_none() {
            tracing::info!("changes are kept in memory only, and gone when this process ends");
        }
        let store = service.store.open(None, 0, &process.breakers, "config")?;
        let seeds = dataflow_config::built_in::seeds(dataflow_config::built_in::rulesets());
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
    loaded: &Loaded,
) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    let gateway = Gateway::new(&service)?;
    process::run(&process, loaded, "dataflow-gateway", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        Ok(gateway.serve(process.context("gateway"), listener, process.stopped()).await?)
    })
    .await
    .map(|()| Exit::Done)
}
