//! `dataflow rules`: read and change the rules of a running mesh, see who changed them, and try out others before anybody
//! is served by them.

mod change;
mod diff;
mod evaluate;
mod show;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_proto::r#type::v1::Category;
use prost_types::Timestamp;

use crate::client::EndpointArgs;
use crate::exit::{Exit, Failure};

/// What can be done about rules.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Rules {
    /// List the rules of a set, in evaluation order.
    List(Box<show::ListArgs>),
    /// Show one rule.
    Get(Box<show::GetArgs>),
    /// Make a rule, or change those of its fields that are given.
    Set(Box<change::SetArgs>),
    /// Remove a rule.
    Delete(Box<change::DeleteArgs>),
    /// Show what was changed between two revisions of a set, by whom and why.
    Diff(Box<diff::Args>),
    /// Make a set what it was at an earlier revision, as a new revision.
    Rollback(Box<change::RollbackArgs>),
    /// Show which dataflows of a catalogue other rules would file otherwise. Nothing is changed.
    Evaluate(Box<evaluate::Args>),
}

/// Which mesh, and which of its rule sets.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SetOfRules {
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
            Rules::Diff(args) => diff::run(*args).await,
            Rules::Rollback(args) => change::rollback(*args).await,
            Rules::Evaluate(args) => evaluate::run(*args).await,
        }
    }
}

/// A client of the service that owns the rules.
fn client(mesh: &EndpointArgs) -> RuleServiceClient<Outbound> {
    RuleServiceClient::new(mesh.channel()).max_decoding_message_size(usize::MAX)
}

/// Reads the name of a category, in either case.
fn category() -> impl clap::builder::TypedValueParser<Value = Category> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};

    let names = (1..=7).filter_map(|number| Category::try_from(number).ok()).map(|one| one.as_str_name());
    PossibleValuesParser::new(names).try_map(|name| {
        Category::from_str_name(&name.to_uppercase()).ok_or_else(|| format!("{name} is no category"))
    })
}

/// A moment to the second; empty where it is not known.
fn time(time: Option<Timestamp>) -> String {
    time.map(|time| Timestamp { nanos: 0, ..time }.to_string()).unwrap_or_default()
}

/// A keyword, with its factor where it has one.
fn weighed(rule: &pb::Rule, keyword: &str) -> String {
    match rule.weights.get(keyword) {
        Some(weight) => format!("{keyword} x{weight}"),
        None => keyword.to_owned(),
    }
}
