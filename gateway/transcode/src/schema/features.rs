//! The features of editions: what `syntax` decided up to proto3, each feature now decides for itself, with defaults by
//! edition, inherited from the file down to the field (protobuf.dev/editions/features).

use super::SchemaError;
use super::descriptors::{FeatureSet, File};

/// `google.protobuf.Edition`: 2023.
const EDITION_2023: i32 = 1000;

/// `google.protobuf.Edition`: 2024, the newest whose defaults are known here.
const EDITION_2024: i32 = 1001;

/// The resolved features of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) presence: Presence,
    /// Whether an enum takes no numbers but those of its values.
    pub(crate) closed_enum: bool,
    /// Whether repeated numbers are packed.
    pub(crate) packed: bool,
    /// Whether messages stand between the tags of a group instead of after a length.
    pub(crate) delimited: bool,
}

/// Whether an absent field differs from one with its default value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Explicit,
    Implicit,
}

// === impl Features ===

impl Features {
    /// The features of a file.
    pub(crate) fn of_file(file: &File) -> Result<Self, SchemaError> {
        let proto2 =
            Self { presence: Presence::Explicit, closed_enum: true, packed: false, delimited: false };
        let editions = Self { closed_enum: false, packed: true, ..proto2 };
        let defaults = match (file.syntax.as_str(), file.edition) {
            ("" | "proto2", _) => proto2,
            ("proto3", _) => Self { presence: Presence::Implicit, ..editions },
            ("editions", EDITION_2023 | EDITION_2024) => editions,
            (syntax, edition) => {
                let edition = if syntax == "editions" { edition_name(edition) } else { syntax.to_owned() };
                return Err(SchemaError::Edition { file: file.name.clone(), edition });
            }
        };
        let set = file.options.as_ref().and_then(|options| options.features.as_ref());
        Ok(defaults.with(set))
    }

    /// These features, with those that an element sets itself.
    pub(crate) fn with(self, set: Option<&FeatureSet>) -> Self {
        let Some(set) = set else { return self };
        Self {
            presence: match set.field_presence {
                Some(2) => Presence::Implicit,
                // LEGACY_REQUIRED is explicit too: what is missing is for the service to reject.
                Some(1 | 3) => Presence::Explicit,
                _ => self.presence,
            },
            closed_enum: set.enum_type.map_or(self.closed_enum, |value| value == 2),
            packed: set.repeated_field_encoding.map_or(self.packed, |value| value == 1),
            delimited: set.message_encoding.map_or(self.delimited, |value| value == 2),
        }
    }
}

/// The name of an edition that came after this release, as far as it is known: the numbers of
/// `google.protobuf.Edition` have no rule.
fn edition_name(edition: i32) -> String {
    match edition {
        1002 => "edition 2026".to_owned(),
        _ => format!("edition number {edition}"),
    }
}
