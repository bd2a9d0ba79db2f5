//! URNs of SDMX artefacts: `urn:sdmx:org.sdmx.infomodel.<package>.<Class>=<agency>:<id>(<version>).<item>.<item>`.
//! SDMX 2.0 writes the version in square brackets.

/// The parts of a URN that identify a maintained artefact, or an item of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Urn<'a> {
    /// `Dataflow`, `DataStructure`, `KeyFamily`, ...
    pub(super) class: &'a str,
    pub(super) agency_id: &'a str,
    pub(super) id: &'a str,
    pub(super) version: &'a str,
    /// The path of an item within the artefact, dotted; empty for the artefact itself.
    pub(super) item: &'a str,
}

/// The classes of items, whose URNs continue after the artefact.
const ITEM_CLASSES: [&str; 1] = ["Category"];

impl<'a> Urn<'a> {
    /// Parses a URN. If the version is missing, the standard's default applies.
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
                (id, DEFAULT_VERSION, item)
            }
            None => (rest, DEFAULT_VERSION, ""),
        };
        let whole = scheme.eq_ignore_ascii_case("urn:sdmx:") && !agency_id.is_empty() && !id.is_empty();
        whole.then_some(Self { class, agency_id, id, version, item })
    }
}

/// The default version of an artefact without one.
pub(super) const DEFAULT_VERSION: &str = "1.0";

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
        check("datastructure.Dataflow=A.B:F", Some(["Dataflow", "A.B", "F", "1.0", ""]));
        check("categoryscheme.Category=A:S(1.0).X.Y", Some(["Category", "A", "S", "1.0", "X.Y"]));
        check("categoryscheme.Category=A:S[1.0]:X", Some(["Category", "A", "S", "1.0", "X"]));
        check("categoryscheme.Category=A:S.X.Y", Some(["Category", "A", "S", "1.0", "X.Y"]));
        check("datastructure.Dataflow=A:F(1.0", None);
        check("datastructure.Dataflow=A:(1.0)", None);
        check("datastructure.Dataflow=:F(1.0)", None);
        check("Dataflow", None);
    }
}
