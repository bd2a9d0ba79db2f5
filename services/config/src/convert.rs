//! Conversion between wire and domain types.

use std::time::{Duration, SystemTime};

use dataflow_proto::config::v1 as pb;
use dataflow_rules::Rule;

use crate::Error;
use crate::change::{Change, JournalEntry, Origin};
use crate::difference::{Difference, DifferenceKind};
use crate::provider::{Dialect, Provider, Quota};
use crate::state::{ResourceVersion, Revision, State, VersionedProvider};

pub(crate) mod key;
pub(crate) mod refusal;
pub(crate) mod ruleset;

// === rule sets ===

/// The wire form of a rule, with its version.
pub(crate) fn rule(rule: &Rule, version: ResourceVersion) -> pb::Rule {
    let (create_time, update_time) = (timestamp(version.created), timestamp(version.updated));
    pb::Rule { etag: version.etag(), create_time, update_time, ..ruleset::rule_to_wire(rule) }
}

/// The wire form of a revision.
pub(crate) fn revision(ruleset: &str, revision: &Revision) -> pb::Revision {
    let Revision { revision, position: _, time, origin, differences } = revision;
    let Origin { author, reason, request_id } = origin.clone();
    pb::Revision {
        ruleset: ruleset.to_owned(),
        revision: *revision,
        time: timestamp(*time),
        author,
        reason,
        request_id,
        differences: differences.iter().map(Into::into).collect(),
    }
}

impl From<&Difference> for pb::revision::Difference {
    fn from(difference: &Difference) -> Self {
        let (kind, fields) = match &difference.kind {
            DifferenceKind::Added => (pb::revision::Kind::Added, &[][..]),
            DifferenceKind::Changed(fields) => (pb::revision::Kind::Changed, fields.as_slice()),
            DifferenceKind::Removed => (pb::revision::Kind::Removed, &[][..]),
        };
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        Self { rule_id: difference.rule_id.clone(), kind: kind.into(), fields }
    }
}

// === providers ===

impl From<&Provider> for pb::Provider {
    fn from(provider: &Provider) -> Self {
        let dialect = match provider.dialect {
            Dialect::SdmxRest21 => pb::provider::Dialect::SdmxRest21,
            Dialect::SdmxRest30 => pb::provider::Dialect::SdmxRest30,
        };
        Self {
            provider_id: provider.provider_id.clone(),
            display_name: provider.display_name.clone(),
            base_url: provider.base_url.clone(),
            dialect: dialect.into(),
            agency: provider.agency.clone(),
            data_quota: provider.data_quota.map(Into::into),
            structure_quota: provider.structure_quota.map(Into::into),
            allow_plain_http: provider.allow_plain_http,
            allow_private_address: provider.allow_private_address,
            disabled: provider.disabled,
            ..Self::default()
        }
    }
}

impl From<Quota> for pb::provider::Quota {
    fn from(quota: Quota) -> Self {
        let calls = i32::try_from(quota.calls).unwrap_or(i32::MAX);
        Self { calls, period: prost_types::Duration::try_from(quota.period).ok() }
    }
}

impl TryFrom<pb::Provider> for Provider {
    type Error = Error;

    fn try_from(provider: pb::Provider) -> Result<Self, Error> {
        let dialect = match provider.dialect() {
            pb::provider::Dialect::SdmxRest21 => Dialect::SdmxRest21,
            pb::provider::Dialect::SdmxRest30 => Dialect::SdmxRest30,
            pb::provider::Dialect::Unspecified => return Err(invalid("dialect", "must be set")),
        };
        let quota = |quota: Option<pb::provider::Quota>, field: &str| {
            quota.map(|given| read_quota(&given, field)).transpose()
        };
        Ok(Self {
            dialect,
            data_quota: quota(provider.data_quota, "data_quota")?,
            structure_quota: quota(provider.structure_quota, "structure_quota")?,
            provider_id: provider.provider_id,
            display_name: provider.display_name,
            base_url: provider.base_url,
            agency: provider.agency,
            allow_plain_http: provider.allow_plain_http,
            allow_private_address: provider.allow_private_address,
            disabled: provider.disabled,
        })
    }
}

fn read_quota(quota: &pb::provider::Quota, field: &str) -> Result<Quota, Error> {
    let invalid_quota = || invalid(field, "calls and period must not be negative");
    let calls = u32::try_from(quota.calls).map_err(|_| invalid_quota())?;
    let period = quota.period.unwrap_or_default();
    let seconds = u64::try_from(period.seconds).map_err(|_| invalid_quota())?;
    let nanos =
        u32::try_from(period.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(invalid_quota)?;
    Ok(Quota { calls, period: Duration::new(seconds, nanos) })
}

/// The wire form of a provider, with its version.
pub(crate) fn provider(registered: &VersionedProvider) -> pb::Provider {
    let VersionedProvider { provider, version } = registered;
    pb::Provider { etag: version.etag(), update_time: timestamp(version.updated), ..provider.into() }
}

// === audit ===

/// The wire form of an audit record, with the revision that the change made of its rule set, if `state` has it.
pub(crate) fn audit_record(entry: JournalEntry, state: &State) -> pb::AuditRecord {
    let JournalEntry { position, record } = entry;
    let made = record.change.ruleset().and_then(|name| state.rulesets.get(name)?.revision_at(position));
    let after = made.unwrap_or_default();
    let (action, resource) = match &record.change {
        Change::RulesetSeeded(set) => ("RULESET_SEEDED", format!("rulesets/{}", set.name)),
        Change::RulePut { ruleset, rule } => ("RULE_PUT", format!("rulesets/{ruleset}/rules/{}", rule.id)),
        Change::RuleRemoved { ruleset, rule_id } => {
            ("RULE_REMOVED", format!("rulesets/{ruleset}/rules/{rule_id}"))
        }
        Change::RulesReplaced(set) => ("RULES_REPLACED", format!("rulesets/{}", set.name)),
        Change::RolledBack(set) => ("RULESET_ROLLED_BACK", format!("rulesets/{}", set.name)),
        Change::ProviderSeeded(provider) => {
            ("PROVIDER_SEEDED", format!("providers/{}", provider.provider_id))
        }
        Change::ProviderPut(provider) => ("PROVIDER_PUT", format!("providers/{}", provider.provider_id)),
        Change::ProviderRemoved { provider_id } => ("PROVIDER_REMOVED", format!("providers/{provider_id}")),
        Change::KeyCreated(key) => ("KEY_CREATED", format!("keys/{}", key.key_id)),
        Change::KeyRevoked { key_id } => ("KEY_REVOKED", format!("keys/{key_id}")),
    };
    let Origin { author, reason, request_id } = record.origin;
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
    }
}

fn timestamp(time: SystemTime) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp::from(time))
}

fn invalid(field: &str, problem: &str) -> Error {
    Error::FieldInvalid { field: field.to_owned(), problem: problem.to_owned() }
}
