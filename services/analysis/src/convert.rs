//! Conversion between the wire and the domain.

use std::collections::{BTreeMap, HashSet};

use dataflow_mesh::inbound::Claimant;
use dataflow_proto::analysis::v1 as pb;
use dataflow_sdmx::{
    Dataflow, Diagnostic, ExternalReference, Facts, LegacyFields, Localized, Severity, StructureReference,
};

use crate::Error;
use crate::catalogue::{AnalyzedDataflow, Catalogue, DecidedBy, Evidence, Filing};
use crate::mappings::Mapping;
use crate::options::Options;
use crate::profile::Profile;
use crate::results::Key;
use crate::rulesets::Ruleset;
use dataflow_uploads::document::Fingerprint;

pub(crate) mod evaluation;
mod profile;
pub(crate) mod rules;
pub(crate) mod themes;

/// The language of a text that states none (BCP 47, "undetermined").
const UNDETERMINED: &str = "und";

/// Maximum length of the name of a provider or a rule set, in bytes.
const MAX_NAME: usize = 64;
/// Maximum length of a language tag, in bytes: BCP 47 requires implementations to support this (RFC 5646, 4.4.1).
const MAX_LANGUAGE: usize = 35;
/// Maximum length of a text of a dataflow in a request, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Maximum number of names, and of descriptions, of a dataflow in a request.
const MAX_TEXTS: usize = 100;

// === in ===

/// Validates the fields of the first message except the document.
pub(crate) fn options(
    first: &pb::AnalyzeCatalogueRequest,
    claimant: Claimant,
    digest: Option<Fingerprint>,
) -> Result<Options, Error> {
    Ok(Options {
        ruleset: name(&first.ruleset, "ruleset")?,
        provider: name(&first.provider, "provider")?,
        digest,
        claimant,
    })
}

/// Validates a name in a request. Error messages quote it, so it must be short.
pub(crate) fn name(given: &str, field: &str) -> Result<String, Error> {
    if given.len() > MAX_NAME {
        let problem = format!("must be at most {MAX_NAME} bytes, is {}", given.len());
        return Err(Error::FieldInvalid { field: field.to_owned(), problem });
    }
    Ok(given.to_owned())
}

/// A dataflow to categorize, as the rules search it.
pub(crate) struct InputDataflow {
    pub(crate) id: String,
    pub(crate) agency: String,
    pub(crate) names: Vec<Localized>,
    pub(crate) descriptions: Vec<Localized>,
}

impl TryFrom<Option<pb::Dataflow>> for InputDataflow {
    type Error = Error;

    fn try_from(given: Option<pb::Dataflow>) -> Result<Self, Error> {
        let invalid = |field: &str, problem: &str| Error::FieldInvalid {
            field: field.to_owned(),
            problem: problem.to_owned(),
        };
        let given = given.ok_or_else(|| invalid("dataflow", "must be set"))?;
        if given.id.is_empty() {
            return Err(invalid("dataflow.id", "must not be empty"));
        }
        if given.id.len() > MAX_TEXT {
            return Err(invalid("dataflow.id", "must be at most 65,536 bytes"));
        }
        if given.agency_id.len() > MAX_TEXT {
            return Err(invalid("dataflow.agency_id", "must be at most 65,536 bytes"));
        }
        Ok(Self {
            id: given.id,
            agency: given.agency_id,
            names: texts(given.names, "dataflow.names")?,
            descriptions: texts(given.descriptions, "dataflow.descriptions")?,
        })
    }
}

fn texts(given: BTreeMap<String, String>, field: &str) -> Result<Vec<Localized>, Error> {
    let bounded =
        |(language, text): (&String, &String)| language.len() <= MAX_LANGUAGE && text.len() <= MAX_TEXT;
    if given.len() > MAX_TEXTS || !given.iter().all(bounded) {
        let problem = format!(
            "must be at most {MAX_TEXTS} texts of at most {MAX_TEXT} bytes each, by languages of at most {MAX_LANGUAGE}"
        );
        return Err(Error::FieldInvalid { field: field.to_owned(), problem });
    }
    let tag = |language: String| {
        let is_undetermined = language.trim().eq_ignore_ascii_case(UNDETERMINED);
        if is_undetermined { String::new() } else { language.trim().to_owned() }
    };
    let texts: Vec<_> = given.into_iter().map(|(language, text)| (tag(language), text)).collect();
    // As of a dataflow of a catalogue, of which only the first would count.
    let mut languages = HashSet::new();
    match texts.iter().find(|(language, _)| !languages.insert(language.to_ascii_lowercase())) {
        Some((language, _)) => {
            let language = if language.is_empty() { UNDETERMINED } else { language };
            let problem = format!("must have one text in each language, has several in {language:?}");
            Err(Error::FieldInvalid { field: field.to_owned(), problem })
        }
        None => Ok(texts),
    }
}

// === out ===

/// Builds the response, except `degraded`. Consumes the catalogue dataflow by dataflow, so that the two forms of a
/// large result are never in memory together.
pub(crate) fn analysis(
    catalogue: Catalogue,
    key: &Key,
    (ruleset, mapping): (&Ruleset, &Mapping),
    options: &Options,
) -> pb::Analysis {
    let provider = match options.provider.as_str() {
        "" => catalogue.provider(),
        named => named.to_owned(),
    };
    let counts = catalogue.counts().map(|(category, count)| (category.name().to_owned(), to_i32(count)));
    let coverage =
        catalogue.coverage().map(|(decided_by, count)| (decided_by.name().to_owned(), to_i32(count)));
    pb::Analysis {
        analysis: key.analysis(),
        provider,
        total: to_i32(catalogue.dataflows.len()),
        counts: counts.collect(),
        coverage: coverage.collect(),
        rules_revision: ruleset.revision,
        ruleset: ruleset.name.clone(),
        overlay_revision: ruleset.overlay_revision,
        themes_revision: mapping.source.revision,
        themes_overlay_revision: mapping.overlay_revision,
        cached: false,
        degraded: Vec::new(),
        diagnostics_omitted: i32::try_from(catalogue.diagnostics.omitted()).unwrap_or(i32::MAX),
        diagnostics: catalogue.diagnostics.kept().iter().map(diagnostic).collect(),
        prepare_time: catalogue.prepared.map(profile::timestamp),
        flag_counts: profile::flag_counts(&catalogue),
        data_structures: catalogue.data_structures.into_iter().map(Into::into).collect(),
        dataflows: catalogue.dataflows.into_iter().map(Into::into).collect(),
    }
}

impl From<AnalyzedDataflow> for pb::Dataflow {
    fn from(analyzed: AnalyzedDataflow) -> Self {
        let AnalyzedDataflow { dataflow, filing, themes, profile } = analyzed;
        let Dataflow {
            id,
            agency_id,
            version,
            names,
            descriptions,
            structure,
            is_final,
            external,
            facts,
            legacy,
            ..
        } = *dataflow;
        let Facts { flags, last_update, .. } = facts;
        let Profile { observation_count, contents, size, freshness, quality } = profile;
        let Filing { category, score, confidence, evidence, decided_by } = filing;
        Self {
            id,
            agency_id,
            version,
            names: by_language(names),
            descriptions: by_language(descriptions),
            structure: structure.map(self::structure),
            category: rules::category_to_wire(category).into(),
            score,
            confidence,
            evidence: themes.iter().map(Into::into).chain(evidence.into_iter().map(Into::into)).collect(),
            decided_by: self::decided_by(decided_by).into(),
            flags: flags.into_iter().map(|flag| profile::flag(flag).into()).collect(),
            last_update: last_update.map(profile::timestamp),
            observation_count,
            legacy: legacy.map(|legacy| self::legacy(*legacy)),
            is_final,
            external_reference: external.map(self::external),
            quality_flags: quality.into_iter().map(|flag| profile::quality_flag(flag).into()).collect(),
            contents: profile::contents(contents),
            size: size.map(Into::into),
            freshness: freshness.map(Into::into),
        }
    }
}

/// If two texts have the same language, as those of a category may, the first one is kept.
fn by_language(texts: Vec<Localized>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (language, text) in texts {
        let language = if language.is_empty() { UNDETERMINED.to_owned() } else { language };
        map.entry(language).or_insert(text);
    }
    map
}

impl From<Evidence> for pb::Evidence {
    fn from(evidence: Evidence) -> Self {
        let kind = match evidence {
            Evidence::Rule { keyword, field, offset } => pb::evidence::Kind::Rule(pb::RuleEvidence {
                id: keyword.rule_id.as_ref().to_owned(),
                keyword: keyword.written.as_ref().to_owned(),
                field: field.as_ref().to_owned(),
                offset: i32::try_from(offset).unwrap_or(i32::MAX),
            }),
            Evidence::Family { key, members } => {
                let members = i32::try_from(members).unwrap_or(i32::MAX);
                pb::evidence::Kind::Family(pb::FamilyEvidence { key, members })
            }
        };
        Self { kind: Some(kind) }
    }
}

fn structure(structure: StructureReference) -> pb::StructureReference {
    let StructureReference { agency_id, id, version } = structure;
    pb::StructureReference { agency_id, id, version }
}

fn external(external: ExternalReference) -> pb::ExternalReference {
    pb::ExternalReference {
        structure_url: external.structure_url.unwrap_or_default(),
        service_url: external.service_url.unwrap_or_default(),
    }
}

fn legacy(legacy: LegacyFields) -> pb::LegacyFields {
    let LegacyFields { name_it, name_en, display_name, description } = legacy;
    pb::LegacyFields { name_it, name_en, display_name, description }
}

pub(crate) fn decided_by(decided_by: DecidedBy) -> pb::dataflow::DecidedBy {
    match decided_by {
        DecidedBy::Theme => pb::dataflow::DecidedBy::Theme,
        DecidedBy::Rules => pb::dataflow::DecidedBy::Rules,
        DecidedBy::Family => pb::dataflow::DecidedBy::Family,
        DecidedBy::Nothing => pb::dataflow::DecidedBy::Nothing,
    }
}

fn diagnostic(diagnostic: &Diagnostic) -> pb::Diagnostic {
    let severity = match diagnostic.severity() {
        Severity::Info => pb::diagnostic::Severity::Info,
        Severity::Warning => pb::diagnostic::Severity::Warning,
    };
    pb::Diagnostic {
        severity: severity.into(),
        reason: diagnostic.reason.as_str().to_owned(),
        offset: i64::try_from(diagnostic.position.offset).unwrap_or(i64::MAX),
        line: i32::try_from(diagnostic.position.line).unwrap_or(i32::MAX),
        message: diagnostic.message.clone(),
        document: i32::try_from(diagnostic.position.document).unwrap_or(i32::MAX),
    }
}

fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
