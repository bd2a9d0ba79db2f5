//! The structure that a message names: by a URN, by a URL of the REST interface, or as CSV writes it.

use super::{NamedStructure, NamedStructureKind};
use crate::dataflow::StructureReference;
use crate::urn::{DATAFLOW_CLASSES, STRUCTURE_CLASSES, Urn};

/// The classes of provision agreements; the standard's own schema once had it with one `e`.
const AGREEMENT_CLASSES: [&str; 2] = ["ProvisionAgreement", "ProvisionAgrement"];

/// Longer than any reference to a structure.
const REFERENCE_BYTES: usize = 1 << 10;

// === impl NamedStructureKind ===

impl NamedStructureKind {
    /// The kind of a class, as URNs and `Ref` have it.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        if STRUCTURE_CLASSES.contains(&class) {
            Some(Self::DataStructure)
        } else if DATAFLOW_CLASSES.contains(&class) {
            Some(Self::Dataflow)
        } else {
            AGREEMENT_CLASSES.contains(&class).then_some(Self::ProvisionAgreement)
        }
    }

    /// The kind by a word of a URL or of CSV, in any case.
    fn of_word(word: &str) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("datastructure") || is("keyfamily") {
            Some(Self::DataStructure)
        } else if is("dataflow") {
            Some(Self::Dataflow)
        } else {
            (is("provisionagreement") || is("dataprovision")).then_some(Self::ProvisionAgreement)
        }
    }
}

// === impl NamedStructure ===

impl NamedStructure {
    /// By a URN; the namespaces of data are URNs that continue after the structure.
    pub(super) fn of_urn(urn: &str) -> Option<Self> {
        let Urn { class, agency_id, id, version, .. } = Urn::parse(short(urn)?)?;
        let kind = NamedStructureKind::of_class(class)?;
        // `KeyFamily=A:D:compact` has no version to end the id.
        let id = id.split(':').next()?;
        (!id.is_empty()).then(|| Self::new(kind, agency_id, id, version))
    }

    /// By the first URN of a structure in a start tag: namespaces name it, if nothing else does.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        tag.match_indices("urn:sdmx:").find_map(|(at, _)| {
            let urn = &tag[at..];
            let end =
                urn.find(|character: char| matches!(character, '"' | '\'') || character.is_whitespace());
            Self::of_urn(&urn[..end.unwrap_or(urn.len())])
        })
    }

    /// By a URL of the REST interface: `.../dataflow/AGENCY/ID/VERSION`.
    pub(super) fn of_url(url: &str) -> Option<Self> {
        let path = short(url)?.split(['?', '#']).next()?;
        let mut parts = path.split('/').skip_while(|part| NamedStructureKind::of_word(part).is_none());
        let kind = NamedStructureKind::of_word(parts.next()?)?;
        let (agency_id, id) = (parts.next()?, parts.next()?);
        let version = parts.next().unwrap_or_default();
        let is_whole = !agency_id.is_empty() && !id.is_empty();
        is_whole.then(|| Self::new(kind, agency_id, id, version))
    }

    /// By the fields of a row: the kind, where there is one, and `AGENCY:ID(VERSION)` with or without a name after it.
    pub(super) fn of_fields(kind: Option<&str>, reference: &str) -> Option<Self> {
        let kind = kind.map_or(Some(NamedStructureKind::Dataflow), NamedStructureKind::of_word)?;
        let (agency_id, rest) = short(reference)?.trim().split_once(':')?;
        let (id, version) = match rest.split_once('(') {
            Some((id, rest)) => (id, rest.split_once(')')?.0),
            None => (rest.split(": ").next()?, ""),
        };
        let is_whole = !agency_id.is_empty() && !id.is_empty();
        is_whole.then(|| Self::new(kind, agency_id, id, version))
    }

    pub(super) fn new(kind: NamedStructureKind, agency_id: &str, id: &str, version: &str) -> Self {
        let [agency_id, id, version] = [agency_id, id, version].map(str::to_owned);
        Self { kind, reference: StructureReference { agency_id, id, version } }
    }
}

/// A text, unless it is longer than any reference.
fn short(text: &str) -> Option<&str> {
    (text.len() <= REFERENCE_BYTES).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(named: Option<NamedStructure>) -> String {
        named.map_or_else(String::new, |NamedStructure { kind, reference }| {
            let StructureReference { agency_id, id, version } = reference;
            format!("{kind:?} {agency_id}:{id}({version})")
        })
    }

    #[test]
    fn structures_by_their_urns() {
        let check = |urn: &str, expected: &str| {
            let urn = format!("urn:sdmx:org.sdmx.infomodel.{urn}");
            assert_eq!(shown(NamedStructure::of_urn(&urn)), expected, "{urn}");
            let tag = format!("a:DataSet xmlns:x='urn:sdmx:x' xmlns:a=\"{urn}\" b='{urn} c'");
            assert_eq!(shown(NamedStructure::of_tag(&tag)), expected, "{tag}");
        };
        check("datastructure.DataStructure=A:D(1.0)", "DataStructure A:D(1.0)");
        check("datastructure.DataStructure=A:D(1.0):ObsLevelDim:TIME_PERIOD", "DataStructure A:D(1.0)");
        check("keyfamily.KeyFamily=A:D:compact", "DataStructure A:D()");
        check("datastructure.Dataflow=A.B:F(1.0.0)", "Dataflow A.B:F(1.0.0)");
        check("registry.ProvisionAgreement=A:P(1.0)", "ProvisionAgreement A:P(1.0)");
        check("registry.ProvisionAgrement=A:P(1.0)", "ProvisionAgreement A:P(1.0)");
        check("codelist.Codelist=A:C(1.0)", "");
        check("keyfamily.KeyFamily=A::compact", "");
        check(&format!("datastructure.Dataflow=A:{}", "x".repeat(REFERENCE_BYTES)), "");
    }

    #[test]
    fn structures_by_urls() {
        let check = |url: &str, expected: &str| {
            assert_eq!(shown(NamedStructure::of_url(url)), expected, "{url}");
        };
        check("https://a/rest/dataflow/ECB/EXR/1.0?references=all", "Dataflow ECB:EXR(1.0)");
        check("https://a/structure/datastructure/A/D", "DataStructure A:D()");
        check("https://a/rest/dataflow/ECB", "");
        check("https://a/rest/codelist/A/B/1.0", "");
        check("https://a/rest/dataflow//B/1.0", "");
    }

    #[test]
    fn structures_by_the_fields_of_a_row() {
        let check = |kind: Option<&str>, reference: &str, expected: &str| {
            assert_eq!(shown(NamedStructure::of_fields(kind, reference)), expected, "{reference}");
        };
        check(None, "A:F(1.0)", "Dataflow A:F(1.0)");
        check(None, "A:F(1.0): A name: of (two) parts", "Dataflow A:F(1.0)");
        check(None, " A:F ", "Dataflow A:F()");
        check(None, "A:F: A name", "Dataflow A:F()");
        check(Some("DataStructure"), "A.B:F(1.0.0)", "DataStructure A.B:F(1.0.0)");
        check(Some("dataprovision"), "A:P(1+.0)", "ProvisionAgreement A:P(1+.0)");
        check(Some("codelist"), "A:C(1.0)", "");
        check(None, "F", "");
        check(None, "A:F(1.0", "");
    }
}
