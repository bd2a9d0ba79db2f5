//! `dataflow rules export` and `import`: a rule set as a file, for a backup, a review or another mesh.

use std::path::PathBuf;

use anyhow::Context;
use dataflow_proto::config::v1 as pb;
use dataflow_render::text::printable;
use dataflow_rules::file;

use super::{RulesetArgs, client};
use crate::client::{self, ChangeArgs, ChangeParts, EndpointArgs};
use crate::exit::{Exit, Failure};

/// The flags of `dataflow rules export`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    set: RulesetArgs,
}

/// The flags of `dataflow rules import`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The rule file, as `rules export` prints it; YAML or JSON. It names the rule set.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    change: ChangeArgs,
}

/// Prints a rule set as a file.
pub(crate) async fn export(args: ExportArgs) -> Result<Exit, Failure> {
    let ExportArgs { set: RulesetArgs { mesh, ruleset } } = args;
    let reply = client(&mesh)?.list_rulesets(pb::ListRulesetsRequest {}).await;
    let rulesets = reply.map_err(|status| mesh.failure(&status))?.into_inner().rulesets;
    let names: Vec<_> = rulesets.iter().map(|known| printable(&known.ruleset).into_owned()).collect();
    let found = rulesets.into_iter().find(|known| known.ruleset == ruleset).ok_or_else(|| {
        let (wanted, known) = (printable(&ruleset), names.join(", "));
        Failure::new(Exit::Usage, anyhow::anyhow!("there is no rule set {wanted}, only {known}"))
    })?;
    let found = dataflow_config::ruleset_from_wire(found).context("the mesh sent an unusable rule set")?;
    client::print(file::to_yaml(&found).as_bytes())?;
    Ok(Exit::Success)
}

/// Replaces the rules of a rule set by those of a file.
pub(crate) async fn import(args: ImportArgs) -> Result<Exit, Failure> {
    let ImportArgs { file, mesh, change } = args;
    let set = client::read(&file, "the rule file", file::parse).await?;
    let pb::Ruleset { ruleset, mode, rules, .. } = dataflow_config::ruleset_to_wire(&set);
    let count = rules.len();
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::ReplaceRulesRequest { ruleset, mode, rules, reason, etag, validate_only };
    let reply = client(&mesh)?.replace_rules(request).await.map_err(|status| mesh.failure(&status))?;
    let set = reply.into_inner().ruleset.unwrap_or_default();
    let (name, now) = (printable(&set.ruleset), set.revision);
    client::print_change(validate_only, &format!("{name} is at revision {now}, with {count} rules"))?;
    Ok(Exit::Success)
}
