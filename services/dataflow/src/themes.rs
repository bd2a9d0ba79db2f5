//! `dataflow themes`: reads and changes the mapping of themes of a running mesh, and shows who changed it.

mod change;
mod show;
mod transfer;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1::theme_service_client::ThemeServiceClient;

use crate::client::EndpointArgs;
use crate::exit::{Exit, Failure};

/// The subcommands of `dataflow themes`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Themes {
    /// List the themes, in the order in which they decide.
    List(Box<show::ListArgs>),
    /// Show one theme.
    Get(Box<show::GetArgs>),
    /// Change the given fields of a theme; create it if it does not exist.
    Set(Box<change::SetArgs>),
    /// Delete a theme.
    Delete(Box<change::DeleteArgs>),
    /// Drop what the caller's tenant has changed in a theme: it has the shared theme again, or none.
    Restore(Box<change::RestoreArgs>),
    /// Show the revisions of the mapping, newest first, with authors and reasons.
    Revisions(Box<show::RevisionsArgs>),
    /// Restore the themes of an earlier revision. Makes a new revision only if that changes a theme.
    Rollback(Box<change::RollbackArgs>),
    /// Print the mapping as a file, for a backup or a review.
    Export(Box<transfer::ExportArgs>),
    /// Replace all themes by those of a file. Makes a new revision only if that changes a theme.
    Import(Box<transfer::ImportArgs>),
}

// === impl Themes ===

impl Themes {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Themes::List(args) => show::list(*args).await,
            Themes::Get(args) => show::get(*args).await,
            Themes::Set(args) => change::set(*args).await,
            Themes::Delete(args) => change::delete(*args).await,
            Themes::Restore(args) => change::restore(*args).await,
            Themes::Revisions(args) => show::revisions(*args).await,
            Themes::Rollback(args) => change::rollback(*args).await,
            Themes::Export(args) => transfer::export(*args).await,
            Themes::Import(args) => transfer::import(*args).await,
        }
    }
}

/// A client of the theme service.
fn client(mesh: &EndpointArgs) -> Result<ThemeServiceClient<Outbound>, Failure> {
    Ok(ThemeServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX))
}
