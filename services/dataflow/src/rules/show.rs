//! `dataflow rules list` and `get`.

use std::fmt::Display;
use std::io::{self, Write};

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_render::grid::Grid;
use dataflow_render::text::printable;

use super::{RulesetArgs, client, weighted};
use crate::client::{FormatArgs, category, revision, time};
use crate::exit::{Exit, Failure};

/// Rules per page.
const PAGE: i32 = 1000;

/// The full name of a rule in the contract.
const RULE: &str = "dataflow.config.v1.Rule";

/// The flags of `dataflow rules list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    set: RulesetArgs,

    /// Only rules for this category.
    #[arg(long, value_name = "CATEGORY", value_parser = category(), ignore_case = true)]
    category: Option<Category>,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow rules get`.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The rule's identifier.
    #[arg(value_name = "RULE")]
    rule: String,

    #[command(flatten)]
    set: RulesetArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// Lists the rules of a set.
pub(crate) async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { set: RulesetArgs { mesh, ruleset }, category, format } = args;
    let mut client = client(&mesh)?;
    let mut all = pb::ListRulesResponse::default();
    loop {
        let request = pb::ListRulesRequest {
            ruleset: ruleset.clone(),
            category: category.unwrap_or_default().into(),
            page_size: PAGE,
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = client.list_rules(request).await.map_err(|status| mesh.failure(&status))?.into_inner();
        all.rules.extend(page.rules);
        (all.next_page_token, all.revision) = (page.next_page_token, page.revision);
        (all.overlay_revision, all.ruleset_etag) = (page.overlay_revision, page.ruleset_etag);
        if all.next_page_token.is_empty() {
            break;
        }
    }
    format.print("dataflow.config.v1.ListRulesResponse", &all, |options, out| {
        let mut grid = Grid::new(["RULE", "CATEGORY", ">PRIORITY", "STATE", "LANGUAGES", "KEYWORDS"]);
        for rule in &all.rules {
            grid.push([
                rule.rule_id.clone(),
                rule.category().as_str_name().to_owned(),
                rule.priority.to_string(),
                state(rule).to_owned(),
                rule.languages.join(","),
                rule.keywords.iter().map(|keyword| weighted(rule, keyword)).collect::<Vec<_>>().join(", "),
            ]);
        }
        let count = all.rules.len();
        let noun = if count == 1 { "rule" } else { "rules" };
        let now = revision(all.revision, all.overlay_revision);
        let etag = printable(&all.ruleset_etag);
        writeln!(out, "{}: {count} {noun} at {now}, etag {etag}", printable(&ruleset))?;
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

/// Shows one rule.
pub(crate) async fn get(args: GetArgs) -> Result<Exit, Failure> {
    let GetArgs { rule, set: RulesetArgs { mesh, ruleset }, format } = args;
    let request = pb::GetRuleRequest { rule, ruleset };
    let reply = client(&mesh)?.get_rule(request).await.map_err(|status| mesh.failure(&status))?;
    print_rule(&format, &reply.into_inner().rule.unwrap_or_default())?;
    Ok(Exit::Success)
}

/// Prints one rule.
pub(super) fn print_rule(format: &FormatArgs, rule: &pb::Rule) -> Result<(), Failure> {
    format.print(RULE, rule, |_, out| lines(rule, out))
}

/// Whether a rule is on, and whether it is the tenant's own.
fn state(rule: &pb::Rule) -> &'static str {
    match (rule.disabled, rule.owner() == pb::Owner::Tenant) {
        (false, false) => "on",
        (false, true) => "on, own",
        (true, false) => "disabled",
        (true, true) => "disabled, own",
    }
}

/// The fields of a rule, one per line, and its keywords, one per line.
fn lines(rule: &pb::Rule, out: &mut Vec<u8>) -> io::Result<()> {
    let mut line = |name: &str, value: &dyn Display| {
        let value = value.to_string();
        writeln!(out, "{name:<11}  {}", if value.is_empty() { "-".into() } else { printable(&value) })
    };
    line("rule", &rule.rule_id)?;
    line("category", &rule.category().as_str_name())?;
    line("priority", &rule.priority)?;
    line("state", &state(rule))?;
    line("languages", &if rule.languages.is_empty() { "all".to_owned() } else { rule.languages.join(", ") })?;
    line("description", &rule.description)?;
    line("changed", &time(rule.update_time))?;
    line("etag", &rule.etag)?;
    for (index, keyword) in rule.keywords.iter().enumerate() {
        line(if index == 0 { "keywords" } else { "" }, &weighted(rule, keyword))?;
    }
    Ok(())
}
