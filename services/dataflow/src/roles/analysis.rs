//! `dataflow analysis`: AnalysisService.

use std::net::SocketAddr;

use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::process;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_settings::Loaded;

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
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,
}

/// Serves until the process is stopped.
pub(crate) async fn run(args: RoleArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let RoleArgs { listen, analysis, server, process } = args;
    let serve = async |process: process::Process| {
        let listener = process::bind(listen).await?;
        let context = process.context("analysis");
        pushed_settings::follow(analysis.peers.config_url.as_ref(), &process, &context);
        let capability = dataflow_analysis::capability(&analysis, &server, &context);
        let server = Server::new(&server, context, FILE_DESCRIPTOR_SET).with(capability);
        Ok(server.serve(listener, process.stopped()).await?)
    };
    process::run(&process, loaded, "dataflow-analysis", serve).await.map(|()| Exit::Success)
}
