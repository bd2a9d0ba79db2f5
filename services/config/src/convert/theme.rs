//! Conversion of themes between wire and domain types.

use dataflow_proto::config::v1 as pb;
use dataflow_rules::Overlay;
use dataflow_rules::themes::{Mapping, Theme};

use super::ruleset::{category, category_to_wire};
use super::{invalid, kind, owner_to_wire, timestamp};
use crate::Error;
use crate::change::Origin;
use crate::difference::Difference;
use crate::state::{Revision, ThemeView, ThemesView};

// === out ===

/// The wire form of the mapping, without its version.
pub fn mapping_to_wire(mapping: &Mapping) -> pb::ThemeMapping {
    let themes = mapping.themes.iter().map(to_wire).collect();
    pb::ThemeMapping { revision: mapping.revision, themes, ..pb::ThemeMapping::default() }
}

/// The wire form of a theme, without its version.
pub(crate) fn to_wire(theme: &Theme) -> pb::Theme {
    pb::Theme {
        theme_id: theme.id.clone(),
        scheme: theme.scheme.to_string(),
        path: theme.path.clone(),
        category: category_to_wire(theme.category),
        ..pb::Theme::default()
    }
}

/// The wire form of a tenant's changes.
pub(crate) fn overlay_to_wire(overlay: &Overlay<Theme>) -> pb::ThemeOverlay {
    let themes = overlay.own.iter().map(to_wire).collect();
    pb::ThemeOverlay { themes, removed: overlay.removed.iter().cloned().collect() }
}

/// The wire form of the mapping, as a caller sees it.
pub(crate) fn mapping(seen: &ThemesView<'_>) -> pb::ThemeMapping {
    let (revision, overlay_revision) = seen.revisions();
    let themes = seen.items().iter().map(theme).collect();
    pb::ThemeMapping { revision, themes, overlay_revision, etag: seen.etag() }
}

/// The wire form of a theme, as a caller sees it.
pub(crate) fn theme(seen: &ThemeView<'_>) -> pb::Theme {
    let (create_time, update_time) = seen.times().unzip();
    pb::Theme {
        etag: seen.etag(),
        create_time: create_time.and_then(timestamp),
        update_time: update_time.and_then(timestamp),
        owner: owner_to_wire(seen.owner),
        ..to_wire(seen.item)
    }
}

/// The wire form of a revision.
pub(crate) fn revision(revision: &Revision) -> pb::ThemeRevision {
    let Revision { revision, position: _, time, origin, differences } = revision;
    let Origin { author, reason, peer: _, request_id } = origin.clone();
    let difference = |Difference { id, kind: found }: &Difference| {
        let (kind, fields) = kind(found);
        pb::theme_revision::Difference { theme_id: id.clone(), kind, fields }
    };
    let (revision, time) = (*revision, timestamp(*time));
    let differences = differences.iter().map(difference).collect();
    pb::ThemeRevision { revision, time, author, reason, request_id, differences }
}

// === in ===

/// Parses the mapping.
///
/// # Errors
///
/// [`Error::ThemeInvalid`] names the theme by its index.
pub fn mapping_from_wire(mapping: pb::ThemeMapping) -> Result<Mapping, Error> {
    let revision = mapping.revision;
    Ok(Mapping { revision, themes: list_from_wire(mapping.themes)? })
}

/// Parses themes; errors name one by its index.
///
/// # Errors
///
/// [`Error::ThemeInvalid`] for a scheme that is no name of schemes, and a category that is missing or unknown.
pub(crate) fn list_from_wire(themes: Vec<pb::Theme>) -> Result<Vec<Theme>, Error> {
    let parse = |(index, theme)| {
        from_wire(theme).map_err(|error| match error {
            Error::ThemeInvalid { field, problem } => {
                Error::ThemeInvalid { field: format!("themes[{index}].{field}"), problem }
            }
            other => other,
        })
    };
    themes.into_iter().enumerate().map(parse).collect()
}

/// Parses a tenant's changes.
///
/// # Errors
///
/// As [`list_from_wire`].
pub(crate) fn overlay_from_wire(overlay: pb::ThemeOverlay) -> Result<Overlay<Theme>, Error> {
    Ok(Overlay { own: list_from_wire(overlay.themes)?, removed: overlay.removed.into_iter().collect() })
}

/// Parses a theme.
///
/// # Errors
///
/// [`Error::ThemeInvalid`] for a scheme that is no name of schemes, and a category that is missing or unknown.
pub(crate) fn from_wire(theme: pb::Theme) -> Result<Theme, Error> {
    let of_theme = |error| match error {
        Error::FieldInvalid { field, problem } => Error::ThemeInvalid { field, problem },
        other => other,
    };
    let category = category(theme.category)
        .and_then(|given| given.ok_or_else(|| invalid("category", "must be set")))
        .map_err(of_theme)?;
    let pb::Theme { theme_id, scheme, path, .. } = theme;
    let scheme = scheme.parse().map_err(|error: dataflow_rules::themes::UnknownSchemes| {
        Error::ThemeInvalid { field: "scheme".to_owned(), problem: error.to_string() }
    })?;
    Ok(Theme { id: theme_id, scheme, path, category })
}
