//! How a command ends: the exit statuses that scripts rely on.

use std::io;
use std::process::ExitCode;

use dataflow_mesh::process;

/// The exit statuses, as the reference page lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed for a reason that has no status of its own, such as a catalogue that cannot be opened.
    Failed = 1,
    /// The command line or the file of rules is wrong.
    Usage = 2,
    /// The document cannot be read as SDMX.
    NotSdmx = 3,
    /// A provider or the mesh is out of reach.
    Unreachable = 4,
    /// Done, but some dataflows could not be read.
    Incomplete = 5,
    /// Ended by SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A reader such as `head` that has seen enough and closed the pipe is no failure.
pub(crate) fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// A failure and the status it ends the command with.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) exit: Exit,
    /// What the user is told.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// A failure with its own status.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// What has no status of its own is [`Exit::Failed`].
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        // Telemetry, the store and a gateway that cannot start fail on their own flags only.
        let usage = matches!(error.downcast_ref(), Some(process::Error::Telemetry(_)))
            || error.is::<dataflow_gateway::StartError>()
            || error.is::<dataflow_store::args::OpenError>();
        let exit = if usage { Exit::Usage } else { Exit::Failed };
        Self { exit, error }
    }
}
