//! What the commands share that call a running mesh: where it is, how long it may take, how they print, and what a
//! refusal means for their exit status.

use std::io;
use std::time::Duration;

use dataflow_mesh::outbound::{Outbound, Upstream};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::exit::{self, Exit, Failure};
use crate::terminal;
use dataflow_render::{self, Options};

/// How long one call may take. A person is waiting.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the mesh is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EndpointArgs {
    /// The gateway of the mesh, or any one service.
    #[arg(long, env = "DATAFLOW_ENDPOINT", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) endpoint: Upstream,
}

/// How a reply is printed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FormatArgs {
    /// How to print the answer.
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// The forms of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people
    Table,
    /// One JSON document, as REST shows it
    Json,
}

// === impl EndpointArgs ===

impl EndpointArgs {
    /// A channel to the mesh. Generated clients take it.
    pub(crate) fn channel(&self) -> Outbound {
        Outbound::new(&self.endpoint, TIMEOUT)
    }

    /// What a refusal means.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        failure(&self.endpoint, status)
    }
}

// === impl FormatArgs ===

impl FormatArgs {
    /// Prints a reply on standard output: the message that has this full name, or what `table` writes.
    pub(crate) fn print(
        &self,
        name: &str,
        message: &impl Message,
        table: impl FnOnce(&Options, &mut Vec<u8>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut shown = Vec::new();
        match self.format {
            Format::Table => table(&terminal::options(""), &mut shown)?,
            Format::Json => dataflow_render::message(name, message, &mut shown)?,
        }
        print(&shown)
    }
}

/// Writes to standard output.
pub(crate) fn print(shown: &[u8]) -> Result<(), Failure> {
    exit::unless_closed(io::Write::write_all(&mut io::stdout(), shown)).map_err(Into::into)
}

/// What a call that was refused means to the user.
pub(crate) fn failure(endpoint: &Upstream, status: &Status) -> Failure {
    let details = status.get_error_details();
    let info = details.error_info();
    let of_document = info.is_some_and(|info| info.metadata.contains_key("offset"));
    let of_rules = info.is_some_and(|info| info.reason.starts_with("RULESET_"));
    let exit = match status.code() {
        _ if of_document => Exit::NotSdmx,
        _ if of_rules => Exit::Usage,
        Code::InvalidArgument => Exit::Usage,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let message = status.message();
    match (exit, info) {
        // Nobody of ours said so.
        (Exit::Unreachable, None) => {
            Failure::new(exit, anyhow::anyhow!("{endpoint} is out of reach: {message}"))
        }
        _ => Failure::new(exit, anyhow::anyhow!("{message}")),
    }
}

/// Whether a call was refused for this reason.
pub(crate) fn is_for(status: &Status, reason: &str) -> bool {
    status.get_error_details().error_info().is_some_and(|info| info.reason == reason)
}
