//! `dataflow gateway`: the public port of the mesh, or of any other gRPC services.

use dataflow_gateway::Gateway;
use dataflow_mesh::args::ProcessArgs;
use dataflow_mesh::process;
use dataflow_proto::config::v1::config_service_server::SERVICE_NAME as CONFIG_SERVICE;
use dataflow_settings::Loaded;

use crate::exit::{Exit, Failure};
use crate::pushed_settings;

/// The flags of `dataflow gateway`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    gateway: dataflow_gateway::Args,

    #[command(flatten)]
    process: ProcessArgs,
}

/// Serves until the process is stopped.
pub(crate) async fn run(args: RoleArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let RoleArgs { gateway: args, process } = args;
    let gateway = Gateway::new(&args)?;
    // The config service that it forwards to. In front of foreign services there is none.
    let config = args.upstreams.of(CONFIG_SERVICE).filter(|_| args.upstreams.descriptors.is_none());
    let serve = async |process: process::Process| {
        let listener = process::bind(args.listen).await?;
        let context = process.context("gateway");
        pushed_settings::follow(config.as_ref(), &process, &context);
        Ok(gateway.serve(context, listener, process.stopped()).await?)
    };
    process::run(&process, loaded, "dataflow-gateway", serve).await.map(|()| Exit::Success)
}
