//! `dataflow rules set`, `delete`, `restore` and `rollback`: the commands that make a new revision.

use dataflow_proto::config::v1 as pb;
use dataflow_proto::r#type::v1::Category;
use dataflow_render::text::printable;

use super::show::print_rule;
use super::{RulesetArgs, client};
use crate::client::{self, ChangeArgs, ChangeParts, EndpointArgs, FormatArgs, category, revision};
use crate::exit::{Exit, Failure};

/// The flags of `dataflow rules set`.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// The rule's identifier.
    #[arg(value_name = "RULE")]
    rule: String,

    #[command(flatten)]
    set: RulesetArgs,

    #[command(flatten)]
    fields: Fields,

    #[command(flatten)]
    change: ChangeArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The fields of a rule that can be set.
#[derive(Debug, clap::Args)]
struct Fields {
    /// The category that a match adds points to. Required for a new rule.
    #[arg(long, value_name = "CATEGORY", value_parser = category(), ignore_case = true)]
    category: Option<Category>,

    /// A keyword to search for; repeatable. Replaces the rule's whole list. A new rule needs at least one.
    #[arg(long = "keyword", value_name = "KEYWORD")]
    keywords: Option<Vec<String>>,

    /// Points for one match, from 1 to 1000. Default of a new rule: 5.
    #[arg(long, value_name = "N")]
    priority: Option<i32>,

    /// A weight from 1 to 1000 for one keyword; repeatable. Replaces all weights of the rule; an empty value removes
    /// them.
    #[arg(long = "weight", value_name = "KEYWORD=N", value_parser = weight)]
    weights: Option<Vec<Option<(String, i32)>>>,

    /// A language whose texts the rule searches; repeatable. Replaces the rule's whole list; an empty value means all
    /// languages.
    #[arg(long = "language", value_name = "LANG")]
    languages: Option<Vec<String>>,

    /// Disable the rule; `--disabled=false` enables it again.
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    disabled: Option<bool>,

    /// A description of the rule, for people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// The flags of `dataflow rules delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The rule's identifier.
    #[arg(value_name = "RULE")]
    rule: String,

    #[command(flatten)]
    set: RulesetArgs,

    #[command(flatten)]
    change: ChangeArgs,
}

/// The flags of `dataflow rules restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The rule's identifier.
    #[arg(value_name = "RULE")]
    rule: String,

    #[command(flatten)]
    set: RulesetArgs,

    #[command(flatten)]
    change: ChangeArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow rules rollback`.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The revision to restore; for a caller of a tenant, of its tenant's changes, and 0 for none of them.
    #[arg(value_name = "REVISION")]
    revision: i64,

    #[command(flatten)]
    mesh: EndpointArgs,

    /// The rule set. It has no default, because the whole set may change.
    #[arg(long, value_name = "RULESET")]
    ruleset: String,

    #[command(flatten)]
    change: ChangeArgs,
}

/// Changes a rule, or creates it if it does not exist.
pub(crate) async fn set(args: SetArgs) -> Result<Exit, Failure> {
    let SetArgs { rule: rule_id, set: RulesetArgs { mesh, ruleset }, fields, change, format } = args;
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let (mut rule, paths) = fields.into_rule();
    if paths.is_empty() {
        let why = "nothing to set: give a field, for instance --priority";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(why)));
    }
    rule.rule_id = rule_id;
    let mut client = client(&mesh)?;
    let paths = paths.into_iter().map(str::to_owned).collect();
    let request = pb::UpdateRuleRequest {
        rule: Some(pb::Rule { etag: etag.clone(), ..rule.clone() }),
        update_mask: Some(prost_types::FieldMask { paths }),
        ruleset: ruleset.clone(),
        reason: reason.clone(),
        validate_only,
    };
    let rule = match client.update_rule(request).await {
        Ok(reply) => reply.into_inner().rule,
        // With an etag the caller expects an existing rule, so none is created.
        Err(status) if etag.is_empty() && client::is_for(&status, "RULE_NOT_FOUND") => {
            if rule.category() == Category::Unspecified || rule.keywords.is_empty() {
                let why = "to create it, give --category and --keyword";
                return Err(Failure::new(Exit::Usage, anyhow::anyhow!("{}; {why}", status.message())));
            }
            let reply = client
                .create_rule(pb::CreateRuleRequest { validate_only, ..creation(rule, ruleset, reason) })
                .await;
            reply.map_err(|status| mesh.failure(&status))?.into_inner().rule
        }
        Err(status) => return Err(mesh.failure(&status)),
    };
    print_rule(&format, &rule.unwrap_or_default())?;
    Ok(Exit::Success)
}

fn creation(rule: pb::Rule, ruleset: String, reason: String) -> pb::CreateRuleRequest {
    let pb::Rule { rule_id, category, keywords, priority, weights, languages, disabled, description, .. } =
        rule;
    pb::CreateRuleRequest {
        ruleset,
        rule_id,
        category,
        keywords,
        priority,
        weights,
        languages,
        disabled,
        description,
        reason,
        ..Default::default()
    }
}

/// Deletes a rule.
pub(crate) async fn delete(args: DeleteArgs) -> Result<Exit, Failure> {
    let DeleteArgs { rule, set: RulesetArgs { mesh, ruleset }, change } = args;
    let done = format!("{} is removed: {} is at ", printable(&rule), printable(&ruleset));
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::DeleteRuleRequest { rule, ruleset, etag, reason, validate_only };
    let reply = client(&mesh)?.delete_rule(request).await.map_err(|status| mesh.failure(&status))?;
    let pb::DeleteRuleResponse { revision: shared, overlay_revision } = reply.into_inner();
    client::print_change(validate_only, &format!("{done}{}", revision(shared, overlay_revision)))?;
    Ok(Exit::Success)
}

/// Drops what the caller's tenant has changed in a rule.
pub(crate) async fn restore(args: RestoreArgs) -> Result<Exit, Failure> {
    let RestoreArgs { rule, set: RulesetArgs { mesh, ruleset }, change, format } = args;
    let gone = format!("{} is removed: there is no shared rule", printable(&rule));
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::RestoreRuleRequest { rule, ruleset, etag, reason, validate_only };
    let reply = client(&mesh)?.restore_rule(request).await.map_err(|status| mesh.failure(&status))?;
    match reply.into_inner().rule {
        Some(rule) => print_rule(&format, &rule)?,
        None => client::print_change(validate_only, &gone)?,
    }
    Ok(Exit::Success)
}

/// Restores an earlier revision.
pub(crate) async fn rollback(args: RollbackArgs) -> Result<Exit, Failure> {
    let RollbackArgs { revision: earlier, mesh, ruleset, change } = args;
    let ChangeParts { etag, reason, validate_only } = change.into_parts();
    let request = pb::RollbackRulesetRequest { ruleset, revision: earlier, reason, etag, validate_only };
    let reply = client(&mesh)?.rollback_ruleset(request).await.map_err(|status| mesh.failure(&status))?;
    let set = reply.into_inner().ruleset.unwrap_or_default();
    let (name, now) = (printable(&set.ruleset), revision(set.revision, set.overlay_revision));
    client::print_change(
        validate_only,
        &format!("{name} is at {now}, with the rules of revision {earlier}"),
    )?;
    Ok(Exit::Success)
}

// === impl Fields ===

impl Fields {
    /// A rule with the given fields, and their names for the update mask.
    fn into_rule(self) -> (pb::Rule, Vec<&'static str>) {
        let Self { category, keywords, priority, weights, languages, disabled, description } = self;
        let given = [
            ("category", category.is_some()),
            ("keywords", keywords.is_some()),
            ("priority", priority.is_some()),
            ("weights", weights.is_some()),
            ("languages", languages.is_some()),
            ("disabled", disabled.is_some()),
            ("description", description.is_some()),
        ];
        let languages = languages.unwrap_or_default().into_iter().filter(|language| !language.is_empty());
        let rule = pb::Rule {
            category: category.unwrap_or_default().into(),
            keywords: keywords.unwrap_or_default(),
            priority: priority.unwrap_or_default(),
            weights: weights.unwrap_or_default().into_iter().flatten().collect(),
            languages: languages.collect(),
            disabled: disabled.unwrap_or_default(),
            description: description.unwrap_or_default(),
            ..Default::default()
        };
        (rule, given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect())
    }
}

/// Parses `KEYWORD=N`; `None` for an empty text.
fn weight(given: &str) -> Result<Option<(String, i32)>, String> {
    if given.is_empty() {
        return Ok(None);
    }
    let parts = given.rsplit_once('=').and_then(|(keyword, factor)| Some((keyword, factor.parse().ok()?)));
    let (keyword, factor) = parts.ok_or("expected a keyword, `=`, and a whole number")?;
    Ok(Some((keyword.to_owned(), factor)))
}
