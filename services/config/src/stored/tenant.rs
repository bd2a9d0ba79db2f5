//! The stored form of what tenants change for themselves.

use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use dataflow_rules::Overlay;

use super::Unreadable;
use super::themes;
use super::versioned::{ruleset_from_wire, ruleset_to_wire, version_from_wire, version_to_wire};
use crate::Error;
use crate::change::TenantChange;
use crate::convert::ruleset;
use crate::state::{OwnProvider, Tenant, VersionedOverlay, VersionedProvider, VersionedRuleset};

/// Encodes a change.
pub(super) fn encode(change: TenantChange) -> Stored {
    let replaced = |ruleset, overlay: &Overlay, replaced| {
        let overlay = Some(ruleset::overlay_to_wire(overlay));
        Stored::OverlayReplaced(pb::StoredOverlay { ruleset, overlay, replaced })
    };
    match change {
        TenantChange::RulePut { ruleset, rule } => {
            Stored::RulePut(pb::StoredRule { ruleset, rule: Some(ruleset::rule_to_wire(&rule)) })
        }
        TenantChange::RuleRemoved { ruleset, rule_id } => {
            Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id })
        }
        TenantChange::RuleRestored { ruleset, rule_id } => {
            Stored::RuleRestored(pb::StoredRuleName { ruleset, rule_id })
        }
        TenantChange::RolledBack { ruleset, overlay } => replaced(ruleset, &overlay, false),
        TenantChange::Replaced { ruleset, overlay } => replaced(ruleset, &overlay, true),
        TenantChange::Themes(change) => themes::encode_of_tenant(change),
        TenantChange::ProviderPut(provider) => Stored::ProviderPut((&provider).into()),
        TenantChange::ProviderRemoved { provider_id } => Stored::ProviderRemoved(provider_id),
        TenantChange::ProviderRestored { provider_id } => Stored::ProviderRestored(provider_id),
    }
}

/// Decodes a change.
pub(super) fn decode(change: Stored) -> Result<TenantChange, Unreadable> {
    let invalid = |error: Error| Unreadable::Malformed(error.to_string());
    Ok(match change {
        Stored::RulePut(pb::StoredRule { ruleset, rule }) => {
            let rule = ruleset::rule_from_wire(rule.unwrap_or_default()).map_err(invalid)?;
            TenantChange::RulePut { ruleset, rule }
        }
        Stored::RuleRemoved(pb::StoredRuleName { ruleset, rule_id }) => {
            TenantChange::RuleRemoved { ruleset, rule_id }
        }
        Stored::RuleRestored(pb::StoredRuleName { ruleset, rule_id }) => {
            TenantChange::RuleRestored { ruleset, rule_id }
        }
        Stored::OverlayReplaced(pb::StoredOverlay { ruleset, overlay, replaced }) => {
            let overlay = ruleset::overlay_from_wire(overlay.unwrap_or_default()).map_err(invalid)?;
            let overlay = Arc::new(overlay);
            match replaced {
                true => TenantChange::Replaced { ruleset, overlay },
                false => TenantChange::RolledBack { ruleset, overlay },
            }
        }
        Stored::ProviderPut(provider) => TenantChange::ProviderPut(provider.try_into().map_err(invalid)?),
        Stored::ProviderRemoved(provider_id) => TenantChange::ProviderRemoved { provider_id },
        Stored::ProviderRestored(provider_id) => TenantChange::ProviderRestored { provider_id },
        change @ (Stored::ThemePut(_)
        | Stored::ThemeRemoved(_)
        | Stored::ThemeRestored(_)
        | Stored::ThemeOverlayReplaced(_)) => TenantChange::Themes(themes::decode_of_tenant(change)?),
        Stored::RulesetSeeded(_)
        | Stored::RolledBack(_)
        | Stored::ThemesSeeded(_)
        | Stored::ThemesReplaced(_)
        | Stored::ProviderSeeded(_)
        | Stored::KeyCreated(_)
        | Stored::KeyRevoked(_)
        | Stored::FlagPut(_)
        | Stored::Snapshot(_) => return Err(Unreadable::Malformed("not a change of a tenant".to_owned())),
    })
}

/// The changes of a tenant to rule sets, for a snapshot.
pub(super) fn overlays_to_wire(name: &str, tenant: &Tenant) -> Vec<pb::StoredOverlayState> {
    let state = |(ruleset, changes): (&String, &Arc<VersionedOverlay>)| {
        let VersionedOverlay { overlay, history, .. } = &**changes;
        // As a set, whose mode means nothing.
        let set = dataflow_rules::RuleSet {
            name: ruleset.clone(),
            mode: dataflow_rules::Mode::Words,
            revision: history.latest(),
            rules: overlay.own.clone(),
        };
        let own = VersionedRuleset { set: Arc::new(set), history: history.clone() };
        let removed = overlay.removed.iter().cloned().collect();
        pb::StoredOverlayState { tenant: name.to_owned(), removed, own: Some(ruleset_to_wire(&own)) }
    };
    tenant.overlays.iter().map(state).collect()
}

/// Reads the changes of a tenant to a rule set into its state.
pub(super) fn overlay_from_wire(stored: pb::StoredOverlayState, tenant: &mut Tenant) -> Result<(), Error> {
    let pb::StoredOverlayState { tenant: _, removed, own } = stored;
    let VersionedRuleset { set, history } = ruleset_from_wire(own.unwrap_or_default())?;
    let overlay = Overlay { own: set.rules.clone(), removed: removed.into_iter().collect() };
    tenant.overlays.insert(set.name.clone(), Arc::new(VersionedOverlay::new(overlay, history)));
    Ok(())
}

/// The changes of a tenant to providers, for a snapshot.
pub(super) fn providers_to_wire(name: &str, tenant: &Tenant) -> Vec<pb::StoredOwnProvider> {
    let state = |(id, own): (&String, &OwnProvider)| {
        let (provider, version) = match own {
            OwnProvider::Put(own) => (Some((&own.provider).into()), own.version),
            OwnProvider::Removed(version) => (None, *version),
        };
        let version = Some(version_to_wire(id, version));
        pb::StoredOwnProvider { tenant: name.to_owned(), provider, version }
    };
    tenant.providers.iter().map(state).collect()
}

/// Reads the change of a tenant to a provider into its state.
pub(super) fn provider_from_wire(stored: pb::StoredOwnProvider, tenant: &mut Tenant) -> Result<(), Error> {
    let pb::StoredOwnProvider { tenant: _, provider, version } = stored;
    let (id, version) = version_from_wire(version.unwrap_or_default());
    let own = match provider {
        Some(provider) => {
            OwnProvider::Put(Arc::new(VersionedProvider { provider: provider.try_into()?, version }))
        }
        None => OwnProvider::Removed(version),
    };
    tenant.providers.insert(id, own);
    Ok(())
}
