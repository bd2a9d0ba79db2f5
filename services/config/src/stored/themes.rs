//! The stored form of the mapping of themes, of its changes, and of what tenants change in it.

use std::sync::Arc;

use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::stored_change::Change as Stored;
use dataflow_rules::Overlay;
use dataflow_rules::themes::{Mapping, Theme};

use super::Unreadable;
use super::versioned::{history_from_wire, history_to_wire};
use crate::Error;
use crate::change::{TenantThemeChange, ThemeChange};
use crate::convert::theme;
use crate::state::{Tenant, VersionedMapping, VersionedOverlay};

// === changes ===

/// Encodes a change of the shared mapping.
pub(super) fn encode(change: ThemeChange) -> Stored {
    let replaced = |mapping: &Mapping, replaced| {
        Stored::ThemesReplaced(pb::StoredThemes { mapping: Some(theme::mapping_to_wire(mapping)), replaced })
    };
    match change {
        ThemeChange::Seeded(mapping) => Stored::ThemesSeeded(theme::mapping_to_wire(&mapping)),
        ThemeChange::Put(put) => Stored::ThemePut(theme::to_wire(&put)),
        ThemeChange::Removed { theme_id } => Stored::ThemeRemoved(theme_id),
        ThemeChange::RolledBack(mapping) => replaced(&mapping, false),
        ThemeChange::Replaced(mapping) => replaced(&mapping, true),
    }
}

/// Decodes a change of the shared mapping.
pub(super) fn decode(change: Stored) -> Result<ThemeChange, Unreadable> {
    let mapping = |stored| theme::mapping_from_wire(stored).map_err(malformed);
    Ok(match change {
        Stored::ThemesSeeded(stored) => ThemeChange::Seeded(mapping(stored)?),
        Stored::ThemePut(stored) => ThemeChange::Put(theme::from_wire(stored).map_err(malformed)?),
        Stored::ThemeRemoved(theme_id) => ThemeChange::Removed { theme_id },
        Stored::ThemesReplaced(pb::StoredThemes { mapping: stored, replaced }) => {
            let mapping = mapping(stored.unwrap_or_default())?;
            if replaced { ThemeChange::Replaced(mapping) } else { ThemeChange::RolledBack(mapping) }
        }
        _ => return Err(Unreadable::Malformed("not a change of themes".to_owned())),
    })
}

/// Encodes what a tenant changed for itself.
pub(super) fn encode_of_tenant(change: TenantThemeChange) -> Stored {
    let replaced = |overlay: &Overlay<Theme>, replaced| {
        let overlay = Some(theme::overlay_to_wire(overlay));
        Stored::ThemeOverlayReplaced(pb::StoredThemeOverlay { overlay, replaced })
    };
    match change {
        TenantThemeChange::Put(put) => Stored::ThemePut(theme::to_wire(&put)),
        TenantThemeChange::Removed { theme_id } => Stored::ThemeRemoved(theme_id),
        TenantThemeChange::Restored { theme_id } => Stored::ThemeRestored(theme_id),
        TenantThemeChange::RolledBack(overlay) => replaced(&overlay, false),
        TenantThemeChange::Replaced(overlay) => replaced(&overlay, true),
    }
}

/// Decodes what a tenant changed for itself.
pub(super) fn decode_of_tenant(change: Stored) -> Result<TenantThemeChange, Unreadable> {
    Ok(match change {
        Stored::ThemePut(stored) => TenantThemeChange::Put(theme::from_wire(stored).map_err(malformed)?),
        Stored::ThemeRemoved(theme_id) => TenantThemeChange::Removed { theme_id },
        Stored::ThemeRestored(theme_id) => TenantThemeChange::Restored { theme_id },
        Stored::ThemeOverlayReplaced(pb::StoredThemeOverlay { overlay, replaced }) => {
            let overlay = theme::overlay_from_wire(overlay.unwrap_or_default()).map_err(malformed)?;
            let overlay = Arc::new(overlay);
            match replaced {
                true => TenantThemeChange::Replaced(overlay),
                false => TenantThemeChange::RolledBack(overlay),
            }
        }
        _ => return Err(Unreadable::Malformed("not a change of themes by a tenant".to_owned())),
    })
}

fn malformed(error: Error) -> Unreadable {
    Unreadable::Malformed(error.to_string())
}

// === snapshots ===

/// The shared mapping; none if it is that of this release, which another release does not have.
pub(super) fn state_to_wire(versioned: &VersionedMapping) -> Option<pb::StoredThemesState> {
    let mapping = Some(theme::mapping_to_wire(&versioned.set));
    let history = Some(history_to_wire(&versioned.history));
    (!versioned.is_built_in()).then_some(pb::StoredThemesState { mapping, history })
}

pub(super) fn state_from_wire(stored: Option<pb::StoredThemesState>) -> Result<VersionedMapping, Error> {
    let Some(pb::StoredThemesState { mapping, history }) = stored else {
        return Ok(VersionedMapping::default());
    };
    let set = Arc::new(theme::mapping_from_wire(mapping.unwrap_or_default())?);
    Ok(VersionedMapping { set, history: history_from_wire(history.unwrap_or_default()) })
}

/// The changes of a tenant to the mapping.
pub(super) fn overlay_to_wire(name: &str, tenant: &Tenant) -> Option<pb::StoredThemeOverlayState> {
    let VersionedOverlay { overlay, history, .. } = tenant.themes.as_deref()?;
    let (overlay, history) = (Some(theme::overlay_to_wire(overlay)), Some(history_to_wire(history)));
    Some(pb::StoredThemeOverlayState { tenant: name.to_owned(), overlay, history })
}

/// Reads the changes of a tenant to the mapping into its state.
pub(super) fn overlay_from_wire(
    stored: pb::StoredThemeOverlayState,
    tenant: &mut Tenant,
) -> Result<(), Error> {
    let pb::StoredThemeOverlayState { tenant: _, overlay, history } = stored;
    let overlay = theme::overlay_from_wire(overlay.unwrap_or_default())?;
    let history = history_from_wire(history.unwrap_or_default());
    tenant.themes = Some(Arc::new(VersionedOverlay::new(overlay, history)));
    Ok(())
}
