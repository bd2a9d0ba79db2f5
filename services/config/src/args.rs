//! The flags of the config service.

use std::net::SocketAddr;

use dataflow_mesh::args::ServerArgs;
use dataflow_store::StoreArgs;

/// The flags of `dataflow config`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Address of the gRPC port.
    #[arg(long, env = "DATAFLOW_LISTEN", default_value = "127.0.0.1:8083", value_name = "ADDR")]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub server: ServerArgs,
}
