//! `dataflow analysis`: AnalysisService, and CatalogueService over the store.

use std::net::SocketAddr;
use std::sync::Arc;

use dataflow_catalogue::{CatalogueArgs, Peers};
use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::process;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_settings::Loaded;
use dataflow_store::StoreArgs;

use crate::categories::OfAnalysis;
use crate::exit::{Exit, Failure};
use crate::pushed_settings;

/// The flags of `dataflow analysis`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// Address of the gRPC port.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDR")]
    listen: SocketAddr,

    #[command(flatten)]
    analysis: dataflow_analysis::Args,

    #[command(flatten)]
    catalogue: CatalogueArgs,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,
}

/// Serves until the process is stopped.
pub(crate) async fn run(args: RoleArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let RoleArgs { listen, analysis, catalogue, store, server, process } = args;
    let serve = async |process: process::Process| {
        let listener = process::bind(listen).await?;
        if store.redis_url.is_none() {
            tracing::info!("store: snapshots in memory only, separate in every replica, lost at exit");
        }
        let store = store.open(None, 0, &process, "analysis")?;
        let context = process.context("analysis");
        pushed_settings::follow(analysis.peers.config_url.as_ref(), &process, &context);
        let uploads = dataflow_analysis::uploads(&analysis, &context);
        let (capability, analyses) =
            dataflow_analysis::capability(&analysis, &server, &context, uploads.clone());
        let peers = Peers {
            store,
            uploads: uploads.clone(),
            categories: Arc::new(OfAnalysis::new(analyses, uploads)),
            config: analysis.peers.config_url.clone(),
            timeout: analysis.peers.peer_timeout,
        };
        let catalogue = dataflow_catalogue::capability(&catalogue, &server, &context, peers);
        let server = Server::new(&server, context, FILE_DESCRIPTOR_SET).with(capability).with(catalogue);
        Ok(server.serve(listener, process.stopped()).await?)
    };
    process::run(&process, loaded, "dataflow-analysis", serve).await.map(|()| Exit::Success)
}
