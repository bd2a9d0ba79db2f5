//! Conversion of themes to the wire.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::r#type::v1 as types;

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
