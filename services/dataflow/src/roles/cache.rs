//! `dataflow cache`: CacheService over the store.

use std::net::SocketAddr;

use dataflow_cache::CacheArgs;
use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_settings::Loaded;
use dataflow_store::StoreArgs;

use crate::exit::{Exit, Failure};
use crate::pushed_settings;

/// The flags of `dataflow cache`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// Address of the gRPC port.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDR")]
    listen: SocketAddr,

    /// Address of the config service, which pushes dynamic settings. Without it, they come only from this process's own
    /// sources.
    #[arg(long, env = "DATAFLOW_CONFIG_URL", value_name = "URL")]
    config_url: Option<Upstream>,

    #[command(flatten)]
    cache: CacheArgs,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,
}

/// Serves until the process is stopped.
pub(crate) async fn run(args: RoleArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let RoleArgs { listen, config_url, cache, store, server, process } = args;
    let serve = async |process: process::Process| {
        let listener = process::bind(listen).await?;
        if store.redis_url.is_none() {
            tracing::info!("store: entries in memory only, separate in every replica, lost at exit");
        }
        let store = store.open(None, cache.capacity.as_u64(), &process, "cache")?;
        let context = process.context("cache");
        pushed_settings::follow(config_url.as_ref(), &process, &context);
        let capability = dataflow_cache::capability(&cache, &server, &context, store);
        let server = Server::new(&server, context, FILE_DESCRIPTOR_SET).with(capability);
        Ok(server.serve(listener, process.stopped()).await?)
    };
    process::run(&process, loaded, "dataflow-cache", serve).await.map(|()| Exit::Success)
}
