//! The exit statuses of the commands, which scripts rely on.

use std::io;
use std::process::ExitCode;

use dataflow_mesh::process;

/// The exit statuses. The reference page lists these comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Success = 0,
    /// Any failure without a specific status, for instance a catalogue that cannot be opened.
    Failed = 1,
    /// The command line or the rule file is invalid.
    Usage = 2,
    /// The document is not readable as SDMX.
    NotSdmx = 3,
    /// The mesh is unreachable, or the call timed out.
    Unreachable = 4,
    /// Success, but some dataflows could not be read.
    Incomplete = 5,
    /// Interrupted by SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Ignores a broken pipe: a reader such as `head` may close it early.
pub(crate) fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// A failure and the exit status of the command.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) exit: Exit,
    /// The error that is printed.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// A failure with a specific status.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// An error without a specific status is [`Exit::Failed`].
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        // Errors of telemetry, of opening the store and of starting the gateway are caused only by their flags.
        let usage = matches!(error.downcast_ref(), Some(process::Error::Telemetry(_)))
            || error.is::<dataflow_gateway::StartError>()
            || error.is::<dataflow_store::args::OpenError>();
        let exit = if usage { Exit::Usage } else { Exit::Failed };
        Self { exit, error }
    }
}
