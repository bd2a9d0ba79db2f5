//! One service as a process of its own: what a pod runs.

use dataflow_config::rulesets::Rulesets;
use dataflow_gateway::Gateway;
use dataflow_mesh::args::ProcessArgs;
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
pub(crate) async fn analysis(args: ServiceArgs<dataflow_analysis::Args>) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, "dataflow-analysis", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        let (context, built_in) = (process.context("analysis"), built_in::rulesets());
        Ok(dataflow_analysis::run(&service, context, built_in, listener, process.stopped()).await?)
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the cache service until told to stop.
pub(crate) async fn cache(args: ServiceArgs<dataflow_cache::Args>) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, "dataflow-cache", async |process: Process| {
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
pub(crate) async fn config(args: ServiceArgs<dataflow_config::Args>) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    process::run(&process, "dataflow-config", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        let rulesets = Rulesets::new(dataflow_config::built_in::rulesets())?;
        Ok(dataflow_config::run(&service, process.context("config"), rulesets, listener, process.stopped())
            .await?)
    })
    .await
    .map(|()| Exit::Done)
}

/// Runs the gateway until told to stop.
pub(crate) async fn gateway(args: ServiceArgs<dataflow_gateway::Args>) -> Result<Exit, Failure> {
    let ServiceArgs { service, process } = args;
    let gateway = Gateway::new(&service)?;
    process::run(&process, "dataflow-gateway", async |process: Process| {
        let listener = process::bind(service.listen).await?;
        Ok(gateway.serve(process.context("gateway"), listener, process.stopped()).await?)
    })
    .await
    .map(|()| Exit::Done)
}
