//! URNs of SDMX artefacts: `urn:sdmx:org.sdmx.infomodel.<package>.<Class>=<agency>:<id>(<version>).<item>.<item>`.
//! SDMX 2.0 writes the version in square brackets.

use super::namespace::{Namespace, Version};

/// The parts of a URN that identify a maintained artefact, or an item of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Urn<'a> {
    /// `Dataflow`, `DataStructure`, `KeyFamily`, ...
    pub(super) class: &'a str,
    pub(super) agency_id: &'a str,
    pub(super) id: &'a str,
    /// Empty if it is not stated.
    pub(super) version: &'a str,
    /// The path of an item within the artefact, dotted; empty for the artefact itself.
    pub(super) item: &'a str,
}

/// The classes of dataflows, as URNs of the standard and of its information model name them.
pub(super) const DATAFLOW_CLASSES: [&str; 2] = ["Dataflow", "DataflowDefinition"];

/// The same of data structures, which SDMX 2.0 calls key families.
pub(super) const STRUCTURE_CLASSES: [&str; 3] = ["DataStructure", "DataStructureDefinition", "KeyFamily"];

/// The classes of items, whose URNs continue after the artefact.
const ITEM_CLASSES: [&str; 1] = ["Category"];

/// The version of an artefact that states none, before SDMX 3.0.
pub(super) const DEFAULT_VERSION: &str = "1.0";

impl<'a> Urn<'a> {
    /// Parses a URN.
    pub(super) fn parse(urn: &'a str) -> Option<Self> {
        let (name, artefact) = urn.trim().split_once('=')?;
        let scheme = name.get(..9)?;
        let class = name.rsplit('.').next()?;
        let (agency_id, rest) = artefact.split_once(':')?;
        let (id, version, item) = match rest.split_once(['(', '[']) {
            Some((id, rest)) => {
                let (version, item) = rest.split_once([')', ']'])?;
                (id, version, item.trim_start_matches(['.', ':']))
            }
            // Ids of artefacts have no dots, unlike paths of items.
            None if ITEM_CLASSES.contains(&class) => {
                let (id, item) = rest.split_once(['.', ':']).unwrap_or((rest, ""));
                (id, "", item)
            }
            None => (rest, "", ""),
        };
        let whole = scheme.eq_ignore_ascii_case("urn:sdmx:") && !agency_id.is_empty() && !id.is_empty();
        whole.then_some(Self { class, agency_id, id, version, item })
    }
}

/// The beginning of the URN of a dataflow, as the standard has it.
const OF_DATAFLOW: &str = "urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow=";

/// Whether a URN is that of a dataflow with exactly these parts. A URN that is written otherwise may be too.
pub(super) fn is_of_dataflow(urn: &str, agency_id: &str, id: &str, version: &str) -> bool {
    /// What follows a part and its end. A part with a separator in it would be read as two.
    fn after<'a>(rest: &'a str, part: &str, end: char) -> Option<&'a str> {
        let is_one =
            !part.is_empty() && !part.bytes().any(|byte| matches!(byte, b':' | b'(' | b')' | b'[' | b']'));
        rest.strip_prefix(part).filter(|_| is_one)?.strip_prefix(end)
    }
    let rest = urn.strip_prefix(OF_DATAFLOW).and_then(|rest| after(rest, agency_id, ':'));
    let rest = rest.and_then(|rest| after(rest, id, '('));
    rest.and_then(|rest| after(rest, version, ')')) == Some("")
}

/// The version of an artefact in this namespace that states none: since SDMX 3.0 it has none.
pub(super) fn default_version(namespace: Namespace) -> &'static str {
    match namespace {
        Namespace::Sdmx(Some(Version::V3_0 | Version::V3_1), _) => "",
        _ => DEFAULT_VERSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urn_has_the_same_parts_in_every_version_of_the_standard() {
        let check = |urn: &str, expected: Option<[&str; 5]>| {
            let urn = format!("urn:sdmx:org.sdmx.infomodel.{urn}");
            let found = Urn::parse(&urn);
            let parts = found
                .map(|Urn { class, agency_id, id, version, item }| [class, agency_id, id, version, item]);
            assert_eq!(parts, expected, "{urn}");
        };
        check("datastructure.Dataflow=A:F(1.0)", Some(["Dataflow", "A", "F", "1.0", ""]));
        check("datastructure.Dataflow=A:F[3.2]", Some(["Dataflow", "A", "F", "3.2", ""]));
        check("datastructure.Dataflow=A.B:F", Some(["Dataflow", "A.B", "F", "", ""]));
        check("categoryscheme.Category=A:S(1.0).X.Y", Some(["Category", "A", "S", "1.0", "X.Y"]));
        check("categoryscheme.Category=A:S[1.0]:X", Some(["Category", "A", "S", "1.0", "X"]));
        check("categoryscheme.Category=A:S.X.Y", Some(["Category", "A", "S", "", "X.Y"]));
        check("datastructure.Dataflow=A:F(1.0", None);
        check("datastructure.Dataflow=A:(1.0)", None);
        check("datastructure.Dataflow=:F(1.0)", None);
        check("Dataflow", None);
    }

    #[test]
    fn a_urn_that_is_recognized_at_once_has_these_parts() {
        let check = |urn: &str, [agency_id, id, version]: [&str; 3], expected: bool| {
            let urn = format!("urn:sdmx:org.sdmx.infomodel.{urn}");
            assert_eq!(is_of_dataflow(&urn, agency_id, id, version), expected, "{urn}");
            let parsed =
                Urn::parse(&urn).map(|found| (found.class, [found.agency_id, found.id, found.version]));
            assert!(!expected || parsed == Some(("Dataflow", [agency_id, id, version])), "{urn}");
        };
        check("datastructure.Dataflow=A.B:F_1(1.0)", ["A.B", "F_1", "1.0"], true);
        check("datastructure.Dataflow=A:F(1.0)", ["A", "F", "1.1"], false);
        check("datastructure.Dataflow=A:F(1.0)", ["A", "F", "1"], false);
        check("datastructure.Dataflow=A:F(1.0).X", ["A", "F", "1.0"], false);
        check("datastructure.Dataflow=A:F[1.0]", ["A", "F", "1.0"], false);
        check("datastructure.Dataflow=A:F()", ["A", "F", ""], false);
        check("datastructure.Dataflow=A:B:F(1.0)", ["A:B", "F", "1.0"], false);
        check("datastructure.Dataflow=A:F(G(1.0)", ["A", "F(G", "1.0"], false);
        check("datastructure.DataStructure=A:F(1.0)", ["A", "F", "1.0"], false);
    }
}
