//! `dataflow config`: rules, the provider registry, their audit, and pushed settings, over the store.

use std::net::SocketAddr;
use std::sync::Arc;

use dataflow_config::built_in::seeds;
use dataflow_config::journal::Journal;
use dataflow_config::{AuditLogArgs, JournalArgs};
use dataflow_mesh::args::{ProcessArgs, ServerArgs};
use dataflow_mesh::process;
use dataflow_mesh::serve::Server;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_settings::Loaded;
use dataflow_store::StoreArgs;
use dataflow_uploads::DocumentArgs;

use crate::exit::{Exit, Failure};

/// The flags of `dataflow config`. Its messages are small: rules and providers.
#[derive(Debug, clap::Args)]
#[command(mut_arg("max_message_bytes", |arg| arg.default_value("8MiB")))]
pub(crate) struct RoleArgs {
    /// Address of the gRPC port.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8083", value_name = "ADDR")]
    listen: SocketAddr,

    #[command(flatten)]
    store: StoreArgs,

    #[command(flatten)]
    journal: JournalArgs,

    #[command(flatten)]
    logs: AuditLogArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    process: ProcessArgs,

    /// Dynamic settings of analysis, which this role only pushes.
    #[command(flatten)]
    _documents: DocumentArgs,
}

/// Serves until the process is stopped.
pub(crate) async fn run(args: RoleArgs, loaded: Loaded) -> Result<Exit, Failure> {
    let RoleArgs { listen, store, journal, logs, server, process, _documents } = args;
    let serve = async |process: process::Process| {
        let listener = process::bind(listen).await?;
        if store.redis_url.is_none() {
            tracing::info!("store: changes in memory only, lost at exit");
        }
        let store = store.open(None, 0, &process, "config")?;
        let journal = Arc::new(Journal::new(
            store,
            seeds(dataflow_rules::built_in::rulesets()),
            journal.max_bytes.as_u64(),
        )?);
        let context = process.context("config");
        let capability = dataflow_config::capability(&server, &context, journal, &logs);
        let server = Server::new(&server, context, FILE_DESCRIPTOR_SET).with(capability);
        Ok(server.serve(listener, process.stopped()).await?)
    };
    process::run(&process, loaded, "dataflow-config", serve).await.map(|()| Exit::Success)
}
