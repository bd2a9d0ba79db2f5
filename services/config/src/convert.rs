//! Conversion between wire and domain types.

use std::time::{Duration, SystemTime};

use dataflow_proto::config::v1 as pb;
use dataflow_rules::RuleSet;

use crate::Error;
use crate::change::Origin;
use crate::difference::{Difference, DifferenceKind};
use crate::provider::{Dialect, Provider, Quota, Terms};
use crate::state::{Owner, ProviderView, Revision, RuleView, RulesetView, VersionedProvider};

pub(crate) mod audit;
pub(crate) mod audited_read;
pub(crate) mod flag;
pub(crate) mod key;
pub(crate) mod refusal;
pub(crate) mod ruleset;
pub(crate) mod theme;

// === rule sets ===

/// The wire form of a rule set, as a caller sees it.
pub(crate) fn ruleset(seen: &RulesetView<'_>) -> pb::Ruleset {
    let (_, overlay_revision) = seen.revisions();
    let rules = seen.items().iter().map(rule).collect();
    let RuleSet { name, mode, revision, .. } = seen.shared();
    let (name, mode, revision) = (name.clone(), *mode, *revision);
    let shared = ruleset::to_wire(&RuleSet { name, mode, revision, rules: Vec::new() });
    pb::Ruleset { rules, overlay_revision, etag: seen.etag(), ..shared }
}

/// The wire form of a rule, as a caller sees it.
pub(crate) fn rule(seen: &RuleView<'_>) -> pb::Rule {
    let (create_time, update_time) = seen.times().unzip();
    pb::Rule {
        etag: seen.etag(),
        create_time: create_time.and_then(timestamp),
        update_time: update_time.and_then(timestamp),
        owner: owner_to_wire(seen.owner),
        ..ruleset::rule_to_wire(seen.item)
    }
}

fn owner_to_wire(owner: Option<Owner>) -> i32 {
    let owner = match owner {
        None => pb::Owner::Unspecified,
        Some(Owner::Shared) => pb::Owner::Shared,
        Some(Owner::Tenant) => pb::Owner::Tenant,
    };
    owner.into()
}

/// The wire form of a revision.
pub(crate) fn revision(ruleset: &str, revision: &Revision) -> pb::Revision {
    let Revision { revision, position: _, time, origin, differences } = revision;
    let Origin { author, reason, peer: _, request_id } = origin.clone();
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
        let (kind, fields) = kind(&difference.kind);
        Self { rule_id: difference.id.clone(), kind, fields }
    }
}

/// The number of a kind of difference, and the fields that differ.
fn kind(kind: &DifferenceKind) -> (i32, Vec<String>) {
    let (kind, fields) = match kind {
        DifferenceKind::Added => (pb::revision::Kind::Added, &[][..]),
        DifferenceKind::Changed(fields) => (pb::revision::Kind::Changed, fields.as_slice()),
        DifferenceKind::Removed => (pb::revision::Kind::Removed, &[][..]),
    };
    (kind.into(), fields.iter().map(|field| (*field).to_owned()).collect())
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
            license: provider.terms.license.clone(),
            terms_url: provider.terms.url.clone(),
            attribution: provider.terms.attribution.clone(),
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
            terms: Terms {
                license: provider.license,
                url: provider.terms_url,
                attribution: provider.attribution,
            },
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

/// The wire form of a provider, as a caller sees it.
pub(crate) fn provider(seen: &ProviderView<'_>) -> pb::Provider {
    let ProviderView { provider: VersionedProvider { provider, version }, owner } = seen;
    let (etag, update_time) = (version.etag(), timestamp(version.updated));
    pb::Provider { etag, update_time, owner: owner_to_wire(*owner), ..provider.into() }
}

fn timestamp(time: SystemTime) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp::from(time))
}

fn invalid(field: &str, problem: &str) -> Error {
    Error::FieldInvalid { field: field.to_owned(), problem: problem.to_owned() }
}
