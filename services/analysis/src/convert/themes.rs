//! Conversion of themes: those of dataflows to the wire, and the mapping from it.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::config::v1 as config;
use dataflow_proto::r#type::v1 as types;
use dataflow_rules::Overlay;
use dataflow_rules::themes::{Mapping, Theme};

use super::by_language;
use super::rules::category_to_wire;
use crate::themes::{AssignedTheme, MappedTheme};

impl From<&AssignedTheme> for pb::Evidence {
    fn from(assigned: &AssignedTheme) -> Self {
        let AssignedTheme { theme, deprecated, inherited_from } = assigned;
        let MappedTheme { scheme, path, names, category } = &**theme;
        let theme = pb::ThemeEvidence {
            scheme: scheme.clone(),
            path: path.clone(),
            deprecated: *deprecated,
            inherited_from: inherited_from.as_deref().unwrap_or_default().to_owned(),
            category: category.map_or(types::Category::Unspecified, category_to_wire).into(),
            names: by_language(names.clone()),
        };
        Self { kind: Some(pb::evidence::Kind::Theme(theme)) }
    }
}

/// Converts the mapping that the config service pushes, without the themes that this release cannot read: they do not
/// decide.
pub(crate) fn mapping(mapping: config::ThemeMapping) -> Mapping {
    Mapping { revision: mapping.revision, themes: mapping.themes.into_iter().filter_map(theme).collect() }
}

/// Converts the changes of a tenant likewise.
pub(crate) fn overlay(overlay: config::ThemeOverlay) -> Overlay<Theme> {
    let own = overlay.themes.into_iter().filter_map(theme).collect();
    Overlay { own, removed: overlay.removed.into_iter().collect() }
}

fn theme(theme: config::Theme) -> Option<Theme> {
    // The contract and the domain use the same names for categories.
    let category = theme.category().as_str_name().parse().ok();
    let config::Theme { theme_id: id, scheme, path, .. } = theme;
    let known = category.zip(scheme.parse().ok());
    if known.is_none() {
        tracing::warn!(theme = id, scheme, "themes: theme of a later release, left out");
    }
    known.map(|(category, scheme)| Theme { id, scheme, path, category })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_of_a_later_release_are_left_out() {
        let theme = |id: &str, scheme: &str, category: i32| config::Theme {
            theme_id: id.to_owned(),
            scheme: scheme.to_owned(),
            path: vec!["X".to_owned()],
            category,
            ..config::Theme::default()
        };
        let themes =
            vec![theme("a", "A:*", 6), theme("b", "A:*", 99), theme("c", "A", 6), theme("d", "A:S", 3)];
        let read = mapping(config::ThemeMapping { revision: 7, themes, ..config::ThemeMapping::default() });
        let ids: Vec<_> = read.themes.iter().map(|theme| theme.id.as_str()).collect();
        assert_eq!((read.revision, ids), (7, vec!["a", "d"]));
    }
}
