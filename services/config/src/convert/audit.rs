//! Audit records on the wire.

use dataflow_proto::config::v1 as pb;

use super::timestamp;
use crate::change::{Change, JournalEntry, Origin, TenantChange, TenantThemeChange, ThemeChange};
use crate::key::KEY_SUBJECT;
use crate::state::{History, State};

/// The wire form of an audit record, with the revision that the change made, if `state` has it.
pub(crate) fn record(entry: JournalEntry, state: &State) -> pb::AuditRecord {
    let JournalEntry { position, record } = entry;
    let tenant = record.change.tenant().to_owned();
    let made = history(&record.change, state).and_then(|history| history.revision_at(position));
    let after = made.unwrap_or_default();
    let (action, resource) = describe(&record.change);
    let Origin { author, reason, peer, request_id } = record.origin;
    let key_id = author.strip_prefix(KEY_SUBJECT).unwrap_or_default().to_owned();
    pb::AuditRecord {
        position: i64::try_from(position).unwrap_or(i64::MAX),
        time: timestamp(record.time),
        author,
        reason,
        request_id,
        action: action.to_owned(),
        resource,
        before: (after - 1).max(0),
        after,
        tenant,
        key_id,
        peer,
    }
}

/// The past of the set in which a change makes a revision, if it does.
fn history<'a>(change: &Change, state: &'a State) -> Option<&'a History> {
    let tenant = change.tenant();
    if change.is_of_themes() {
        return match tenant {
            "" => Some(&state.themes.history),
            _ => Some(&state.tenants.get(tenant)?.themes.as_ref()?.history),
        };
    }
    let name = change.ruleset()?;
    match tenant {
        "" => Some(&state.rulesets.get(name)?.history),
        _ => Some(&state.tenants.get(tenant)?.overlays.get(name)?.history),
    }
}

/// What was done, and to which resource.
fn describe(change: &Change) -> (&'static str, String) {
    let set = |name: &str| format!("rulesets/{name}");
    let rule = |ruleset: &str, rule: &str| format!("rulesets/{ruleset}/rules/{rule}");
    let theme = |id: &str| format!("themes/{id}");
    let themes = || "themes".to_owned();
    let provider = |id: &str| format!("providers/{id}");
    match change {
        Change::RulesetSeeded(seeded) => ("RULESET_SEEDED", set(&seeded.name)),
        Change::RulePut { ruleset, rule: put } => ("RULE_PUT", rule(ruleset, &put.id)),
        Change::RuleRemoved { ruleset, rule_id } => ("RULE_REMOVED", rule(ruleset, rule_id)),
        Change::RulesReplaced(replaced) => ("RULES_REPLACED", set(&replaced.name)),
        Change::RolledBack(earlier) => ("RULESET_ROLLED_BACK", set(&earlier.name)),
        Change::Themes(change) => match change {
            ThemeChange::Seeded(_) => ("THEMES_SEEDED", themes()),
            ThemeChange::Put(put) => ("THEME_PUT", theme(&put.id)),
            ThemeChange::Removed { theme_id } => ("THEME_REMOVED", theme(theme_id)),
            ThemeChange::Replaced(_) => ("THEMES_REPLACED", themes()),
            ThemeChange::RolledBack(_) => ("THEMES_ROLLED_BACK", themes()),
        },
        Change::ProviderSeeded(seeded) => ("PROVIDER_SEEDED", provider(&seeded.provider_id)),
        Change::ProviderPut(put) => ("PROVIDER_PUT", provider(&put.provider_id)),
        Change::ProviderRemoved { provider_id } => ("PROVIDER_REMOVED", provider(provider_id)),
        Change::KeyCreated(key) => ("KEY_CREATED", format!("keys/{}", key.key_id)),
        Change::KeyRevoked { key_id, .. } => ("KEY_REVOKED", format!("keys/{key_id}")),
        Change::FlagPut(flag) => ("FLAG_PUT", format!("flags/{}", flag.flag_id)),
        Change::Tenant { change, .. } => match change {
            TenantChange::RulePut { ruleset, rule: put } => ("RULE_PUT", rule(ruleset, &put.id)),
            TenantChange::RuleRemoved { ruleset, rule_id } => ("RULE_REMOVED", rule(ruleset, rule_id)),
            TenantChange::RuleRestored { ruleset, rule_id } => ("RULE_RESTORED", rule(ruleset, rule_id)),
            TenantChange::Replaced { ruleset, .. } => ("RULES_REPLACED", set(ruleset)),
            TenantChange::RolledBack { ruleset, .. } => ("RULESET_ROLLED_BACK", set(ruleset)),
            TenantChange::Themes(change) => match change {
                TenantThemeChange::Put(put) => ("THEME_PUT", theme(&put.id)),
                TenantThemeChange::Removed { theme_id } => ("THEME_REMOVED", theme(theme_id)),
                TenantThemeChange::Restored { theme_id } => ("THEME_RESTORED", theme(theme_id)),
                TenantThemeChange::Replaced(_) => ("THEMES_REPLACED", themes()),
                TenantThemeChange::RolledBack(_) => ("THEMES_ROLLED_BACK", themes()),
            },
            TenantChange::ProviderPut(put) => ("PROVIDER_PUT", provider(&put.provider_id)),
            TenantChange::ProviderRemoved { provider_id } => ("PROVIDER_REMOVED", provider(provider_id)),
            TenantChange::ProviderRestored { provider_id } => ("PROVIDER_RESTORED", provider(provider_id)),
        },
    }
}
