//! Shared by the commands that call a running mesh: its endpoint, the timeout, the output format, the reason of a
//! change, and the exit status of a failed call.

mod connection;
mod endpoint;

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::r#type::v1::Category;
use dataflow_render::{self, Options};
use dataflow_rules::file::FileError;
use prost::Message;
use prost_types::Timestamp;
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(crate) use connection::ConnectionArgs;
pub(crate) use endpoint::Endpoint;

use crate::exit::{self, Exit, Failure};
use crate::terminal;

/// Timeout of one call. It is short because the user is waiting.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The endpoint of the mesh.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EndpointArgs {
    /// Address of the mesh: its gateway, or one of its services.
    #[arg(long, env = "DATAFLOW_ENDPOINT", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) endpoint: Endpoint,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// The output format.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct FormatArgs {
    /// Output format.
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    pub(crate) format: Format,
}

/// The audit fields of a change.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// The reason for the change, for the audit record; at most 1024 bytes.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

/// The condition of a change, and its audit fields.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangeArgs {
    /// Make the change only if this is still the etag of what it changes, as `get` shows it of one and `list` of all.
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,

    /// Validate the change only: it is checked as if it were made, what is printed is its result, and nothing is stored.
    #[arg(long)]
    validate_only: bool,

    #[command(flatten)]
    record: RecordArgs,
}

/// What the flags say of a change; texts are empty if they are not given.
pub(crate) struct ChangeParts {
    pub(crate) etag: String,
    pub(crate) reason: String,
    pub(crate) validate_only: bool,
}

/// The output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns, for people
    Table,
    /// One JSON document, as REST returns it
    Json,
}

// === impl EndpointArgs ===

impl EndpointArgs {
    /// A channel to the mesh, for generated clients.
    pub(crate) fn channel(&self) -> Result<Outbound, Failure> {
        self.connection.channel(&self.endpoint, TIMEOUT)
    }

    /// The failure that a call's status stands for.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        failure(&self.endpoint, status)
    }
}

// === impl ChangeArgs ===

impl ChangeArgs {
    /// Its parts.
    pub(crate) fn into_parts(self) -> ChangeParts {
        let Self { etag, validate_only, record } = self;
        ChangeParts {
            etag: etag.unwrap_or_default(),
            reason: record.reason.unwrap_or_default(),
            validate_only,
        }
    }
}

// === impl FormatArgs ===

impl FormatArgs {
    /// Prints a reply on standard output: as the JSON of the message with this full name, or as `table` writes it.
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

/// Reads a file that describes a change; `what` names it in an error.
pub(crate) async fn read<T>(
    path: &Path,
    what: &str,
    parse: impl FnOnce(&str) -> Result<T, FileError>,
) -> Result<T, Failure> {
    let usage =
        |error: anyhow::Error| Failure::new(Exit::Usage, error.context(format!("{what} {}", path.display())));
    let text = tokio::fs::read_to_string(path).await.map_err(|error| usage(error.into()))?;
    parse(&text).map_err(|error| usage(error.into()))
}

/// Writes to standard output.
pub(crate) fn print(shown: &[u8]) -> Result<(), Failure> {
    exit::unless_closed(io::Write::write_all(&mut terminal::stdout(), shown)).map_err(Into::into)
}

/// The failure that a call's status stands for: its exit status and its error message.
pub(crate) fn failure(endpoint: &impl Display, status: &Status) -> Failure {
    let details = status.get_error_details();
    let info = details.error_info();
    let is_of_document = info.is_some_and(|info| info.metadata.contains_key("offset"));
    let is_of_rules = info.is_some_and(|info| info.reason.starts_with("RULESET_"));
    let exit = match status.code() {
        _ if is_of_document => Exit::NotSdmx,
        _ if is_of_rules => Exit::Usage,
        Code::InvalidArgument => Exit::Usage,
        Code::Unavailable | Code::DeadlineExceeded => Exit::Unreachable,
        _ => Exit::Failed,
    };
    let message = status.message();
    match (exit, info) {
        // Without a reason the status is not from one of our services.
        (Exit::Unreachable, None) => {
            let next = "--endpoint takes the port of a gateway or a service, not an admin port";
            Failure::new(exit, anyhow::anyhow!("{endpoint} is unreachable: {message} ({next})"))
        }
        _ if status.code() == Code::Unauthenticated => {
            let next = "name a file with --token-file or --api-key-file";
            Failure::new(exit, anyhow::anyhow!("{endpoint}: {message} ({next})"))
        }
        _ => Failure::new(exit, anyhow::anyhow!("{message}")),
    }
}

/// The number of the document that a status concerns; 0 for the first one, or if it concerns none.
pub(crate) fn document_of(status: &Status) -> usize {
    let details = status.get_error_details();
    let document = details.error_info().and_then(|info| info.metadata.get("document")?.parse().ok());
    document.unwrap_or_default()
}

/// A time to the second; empty if unknown.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| Timestamp { nanos: 0, ..time }.to_string()).unwrap_or_default()
}

/// The line that says what a change has done, or would do.
pub(crate) fn print_change(validate_only: bool, done: &str) -> Result<(), Failure> {
    let only = if validate_only { "validated only, nothing is stored: " } else { "" };
    print(format!("{only}{done}\n").as_bytes())
}

/// Whether a call failed for this reason.
pub(crate) fn is_for(status: &Status, reason: &str) -> bool {
    status.get_error_details().error_info().is_some_and(|info| info.reason == reason)
}

/// Parses the name of a category, case-insensitively.
pub(crate) fn category() -> impl clap::builder::TypedValueParser<Value = Category> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};

    let names = (1..=7).filter_map(|number| Category::try_from(number).ok()).map(|one| one.as_str_name());
    PossibleValuesParser::new(names).try_map(|name| {
        Category::from_str_name(&name.to_uppercase()).ok_or_else(|| format!("{name} is not a category"))
    })
}

/// The revision that a caller sees: that of the shared rules or themes, and of its tenant's changes if there are any.
pub(crate) fn revision(shared: i64, overlay: i64) -> String {
    match overlay {
        0 => format!("revision {shared}"),
        overlay => format!("revision {shared}, with the tenant's changes at {overlay}"),
    }
}
