//! Audit records on the wire.

use dataflow_proto::config::v1 as pb;

use super::timestamp;
use crate::change::{Change, JournalEntry, Origin, TenantChange};
use crate::key::KEY_SUBJECT;
use crate::state::State;

/// The wire form of an audit record, with the revision that the change made, if `state` has it.
pub(crate) fn record(entry: JournalEntry, state: &State) -> pb::AuditRecord {
    let JournalEntry { position, record } = entry;
    let tenant = record.change.tenant().to_owned();
    let made = record.change.ruleset().and_then(|name| {
        let history = match tenant.as_str() {
            "" => &state.rulesets.get(name)?.history,
            _ => &state.tenants.get(&tenant)?.overlays.get(name)?.history,
        };
        history.revision_at(position)
    });
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

/// What was done, and to which resource.
fn describe(change: &Change) -> (&'static str, String) {
    let set = |name: &str| format!("rulesets/{name}");
    let rule = |ruleset: &str, rule: &str| format!("rulesets/{ruleset}/rules/{rule}");
    let provider = |id: &str| format!("providers/{id}");
    match change {
        Change::RulesetSeeded(seeded) => ("RULESET_SEEDED", set(&seeded.name)),
        Change::RulePut { ruleset, rule: put } => ("RULE_PUT", rule(ruleset, &put.id)),
        Change::RuleRemoved { ruleset, rule_id } => ("RULE_REMOVED", rule(ruleset, rule_id)),
        Change::RulesReplaced(replaced) => ("RULES_REPLACED", set(&replaced.name)),
        Change::RolledBack(earlier) => ("RULESET_ROLLED_BACK", set(&earlier.name)),
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
            TenantChange::ProviderPut(put) => ("PROVIDER_PUT", provider(&put.provider_id)),
            TenantChange::ProviderRemoved { provider_id } => ("PROVIDER_REMOVED", provider(provider_id)),
            TenantChange::ProviderRestored { provider_id } => ("PROVIDER_RESTORED", provider(provider_id)),
        },
    }
}
