//! The kind of a JSON document. Structure messages are told by their lists, because no member is required; other kinds
//! as soon as a member tells, so that a large one is not read to its end.

use std::io::Read;

use crate::error::{Fault, ParseError};
use crate::excerpt::excerpt;
use crate::json::{Json, Value};
use crate::urn::DEFAULT_VERSION;

/// What the members so far tell about the kind of the document.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// It is a structure message.
    pub(super) is_structure: bool,
    /// The names of the first members of the root.
    members: Vec<String>,
    /// The text of an error message.
    error: String,
    /// Whether artefacts need no version: since SDMX 3.0, whose messages are SDMX-JSON 2.
    is_since_3: bool,
}

/// Bytes of an error message that are read.
const WORDS_BYTES: usize = 200;

/// Names of members of the root that are quoted if the kind is unknown.
const MEMBERS: usize = 5;

/// The lists of artefacts in `data`, beside those that are read.
const LISTS: [&str; 37] = [
    "agencySchemes",
    "attachmentConstraints",
    "categorySchemeMaps",
    "conceptSchemeMaps",
    "conceptSchemes",
    "customTypeSchemes",
    "customTypes",
    "dataConsumerSchemes",
    "dataProviderSchemes",
    "hierarchicalCodelists",
    "hierarchies",
    "hierarchyAssociations",
    "metadataConstraints",
    "metadataProviderSchemes",
    "metadataProvisionAgreements",
    "metadataStructures",
    "metadataflows",
    "namePersonalisationSchemes",
    "namePersonalisations",
    "organisationSchemeMaps",
    "organisationUnitSchemes",
    "processes",
    "provisionAgreements",
    "reportingCategories",
    "reportingTaxonomies",
    "reportingTaxonomyMaps",
    "representationMaps",
    "rulesetSchemes",
    "rulesets",
    "structureMaps",
    "structureSets",
    "transformationSchemes",
    "transformations",
    "userDefinedOperatorSchemes",
    "userDefinedOperators",
    "vtlMappingSchemes",
    "vtlMappings",
];

const DATA: &str = "an SDMX data message in JSON";
const METADATA: &str = "an SDMX metadata message in JSON";

/// Reads a member of `data` other than the lists that are read.
pub(super) fn data_member<R: Read>(json: &mut Json<R>, evidence: &mut Evidence) -> Result<(), ParseError> {
    match json.text() {
        "dataSets" => return Err(other(json, DATA)),
        "metadataSets" => return Err(other(json, METADATA)),
        name => evidence.is_structure |= LISTS.contains(&name),
    }
    json.skip()
}

/// Reads a member of the root that structure messages do not have.
pub(super) fn other_member<R: Read>(json: &mut Json<R>, evidence: &mut Evidence) -> Result<(), ParseError> {
    match json.text() {
        "dataSets" | "structure" => Err(other(json, DATA)),
        "features" | "geometry" => Err(other(json, "GeoJSON")),
        "class" => match json.value()? {
            Value::String if matches!(json.text(), "dataset" | "collection" | "dimension") => {
                Err(other(json, "JSON-stat"))
            }
            value => json.skip_content(value),
        },
        "type" => match json.value()? {
            Value::String if matches!(json.text(), "Feature" | "FeatureCollection" | "Topology") => {
                Err(other(json, "GeoJSON"))
            }
            value => json.skip_content(value),
        },
        "error" | "errorMessage" | "warning" | "message" | "detail" => {
            let mut words = String::new();
            json.words(&mut words, WORDS_BYTES)?;
            evidence.add_error(&words);
            Ok(())
        }
        _ => json.skip(),
    }
}

/// Checks the schema that the message names, which was read last.
pub(super) fn check_schema<R: Read>(json: &mut Json<R>, evidence: &mut Evidence) -> Result<(), ParseError> {
    let schema = json.text();
    if schema.contains("json-data-schema") {
        return Err(other(json, DATA));
    }
    if schema.contains("json-metadata-schema") {
        return Err(other(json, METADATA));
    }
    evidence.is_structure |= schema.contains("json-structure-schema");
    evidence.is_since_3 |= schema.contains("/2.");
    Ok(())
}

fn other<R: Read>(json: &mut Json<R>, found: &str) -> ParseError {
    json.error(Fault::NotStructure { found: found.to_owned() })
}

// === impl Evidence ===

impl Evidence {
    /// The root has a member with this name.
    pub(super) fn add_root_member(&mut self, name: &str) {
        if self.members.len() < MEMBERS {
            self.members.push(excerpt(name));
        }
    }

    /// The root has a member with this text of an error.
    pub(super) fn add_error(&mut self, words: &str) {
        let joined = format!("{} {words}", self.error);
        self.error = excerpt(&joined);
    }

    /// The version of an artefact that states none, as far as the message has told.
    pub(super) fn default_version(&self) -> &'static str {
        if self.is_since_3 { "" } else { DEFAULT_VERSION }
    }

    /// At the end of the document, its kind if it is no structure message.
    pub(super) fn other_kind(&self) -> Option<String> {
        if self.is_structure {
            return None;
        }
        Some(match self.members.as_slice() {
            _ if !self.error.is_empty() => format!("an error message in JSON: {:?}", self.error),
            [] => "an empty JSON object".to_owned(),
            members => format!("JSON of another kind, with the members {members:?}"),
        })
    }
}
