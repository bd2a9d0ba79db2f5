//! `dataflow rules diff`: the changes that each revision of a rule set made, with authors and reasons.

use dataflow_proto::config::v1 as pb;
use dataflow_render::text::printable;

use super::{RulesetArgs, client};
use crate::client::FormatArgs;
use crate::exit::{Exit, Failure};
use crate::revisions::{self, Changed, Made};

/// Revisions per page.
const PAGE: i32 = 1000;

/// The flags of `dataflow rules diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The earlier revision. Default: the one before TO. 0 is the state before the first revision.
    #[arg(value_name = "FROM", value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<i64>,

    /// The later revision. Default: the newest.
    #[arg(value_name = "TO", value_parser = clap::value_parser!(i64).range(1..))]
    to: Option<i64>,

    #[command(flatten)]
    set: RulesetArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Shows the revisions after `from` up to `to`, oldest first.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { from, to, set: RulesetArgs { mesh, ruleset }, format } = args;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let why = "the earlier revision comes first";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!("{from} {to}: {why}")));
    }
    let mut client = client(&mesh)?;
    let (mut revisions, mut page_token) = (Vec::new(), String::new());
    let (from, to) = loop {
        let request = pb::ListRevisionsRequest { ruleset: ruleset.clone(), page_size: PAGE, page_token };
        let page = client.list_revisions(request).await.map_err(|status| mesh.failure(&status))?.into_inner();
        page_token = page.next_page_token;
        revisions.extend(page.revisions);
        // Newest first: the first page has the newest of all.
        let newest = revisions.first().map_or(0, |revision: &pb::Revision| revision.revision);
        let to = to.unwrap_or(newest);
        let from = from.unwrap_or(to - 1);
        if from.max(to) > newest {
            let name = printable(&ruleset);
            return Err(
                anyhow::anyhow!("{name} is at revision {newest}: there is no {}", from.max(to)).into()
            );
        }
        let seen_all = revisions.last().is_none_or(|oldest| oldest.revision <= from + 1);
        if page_token.is_empty() || seen_all {
            break (from, to);
        }
    };
    revisions.retain(|revision| from < revision.revision && revision.revision <= to);
    revisions.reverse();

    let all = pb::ListRevisionsResponse { revisions, next_page_token: String::new() };
    format.print("dataflow.config.v1.ListRevisionsResponse", &all, |options, out| {
        revisions::write("RULE", all.revisions.iter().flat_map(changes), options, out)
    })?;
    Ok(Exit::Success)
}

/// What a revision changed.
fn changes(revision: &pb::Revision) -> impl Iterator<Item = (Made<'_>, Changed<'_>)> {
    let changed = revision.differences.iter();
    changed.map(move |rule| (revision.into(), (rule.rule_id.as_str(), rule.kind(), rule.fields.as_slice())))
}
