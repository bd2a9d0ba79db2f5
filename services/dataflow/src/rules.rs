//! `dataflow rules`: reads and changes the rules of a running mesh, shows who changed them, and evaluates other rules
//! before they are used.

mod change;
mod diff;
mod evaluate;
mod show;
mod transfer;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;

use crate::client::EndpointArgs;
use crate::exit::{Exit, Failure};

/// The subcommands of `dataflow rules`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Rules {
    /// List the rules of a rule set, in evaluation order.
    List(Box<show::ListArgs>),
    /// Show one rule.
    Get(Box<show::GetArgs>),
    /// Change the given fields of a rule; create it if it does not exist.
    Set(Box<change::SetArgs>),
    /// Delete a rule.
    Delete(Box<change::DeleteArgs>),
    /// Drop what the caller's tenant has changed in a rule: it has the shared rule again, or none.
    Restore(Box<change::RestoreArgs>),
    /// Show the changes between two revisions of a rule set, with authors and reasons.
    Diff(Box<diff::Args>),
    /// Restore the rules of an earlier revision. Makes a new revision only if that changes a rule.
    Rollback(Box<change::RollbackArgs>),
    /// Print a rule set as a file, for a backup or a review.
    Export(Box<transfer::ExportArgs>),
    /// Replace all rules of a rule set by those of a file. Makes a new revision only if that changes a rule.
    Import(Box<transfer::ImportArgs>),
    /// Show which dataflows of a catalogue other rules would categorize differently. Changes nothing.
    Evaluate(Box<evaluate::Args>),
}

/// The mesh and the rule set.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RulesetArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    /// The rule set.
    #[arg(long, default_value = "default", value_name = "RULESET")]
    ruleset: String,
}

// === impl Rules ===

impl Rules {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Rules::List(args) => show::list(*args).await,
            Rules::Get(args) => show::get(*args).await,
            Rules::Set(args) => change::set(*args).await,
            Rules::Delete(args) => change::delete(*args).await,
            Rules::Restore(args) => change::restore(*args).await,
            Rules::Diff(args) => diff::run(*args).await,
            Rules::Rollback(args) => change::rollback(*args).await,
            Rules::Export(args) => transfer::export(*args).await,
            Rules::Import(args) => transfer::import(*args).await,
            Rules::Evaluate(args) => evaluate::run(*args).await,
        }
    }
}

/// A client of the rule service.
fn client(mesh: &EndpointArgs) -> Result<RuleServiceClient<Outbound>, Failure> {
    Ok(RuleServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX))
}

/// A keyword, with its weight if it has one.
fn weighted(rule: &pb::Rule, keyword: &str) -> String {
    match rule.weights.get(keyword) {
        Some(weight) => format!("{keyword} x{weight}"),
        None => keyword.to_owned(),
    }
}
