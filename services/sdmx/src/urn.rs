//! URNs of SDMX artefacts: `urn:sdmx:org.sdmx.infomodel.<package>.<Class>=<agency>:<id>(<version>)`.

/// The parts of a URN that identify a maintained artefact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Urn<'a> {
    /// `Dataflow`, `DataStructure`, `KeyFamily`, ...
    pub(super) class: &'a str,
    pub(super) agency_id: &'a str,
    pub(super) id: &'a str,
    pub(super) version: &'a str,
}

impl<'a> Urn<'a> {
    /// Parses a URN. If the version is missing, the standard's default applies.
    pub(super) fn parse(urn: &'a str) -> Option<Self> {
        let (name, artefact) = urn.trim().split_once('=')?;
        let scheme = name.get(..9)?;
        let class = name.rsplit('.').next()?;
        let (agency_id, rest) = artefact.split_once(':')?;
        let (id, version) = match rest.split_once('(') {
            Some((id, rest)) => (id, rest.split_once(')')?.0),
            None => (rest, DEFAULT_VERSION),
        };
        let whole = scheme.eq_ignore_ascii_case("urn:sdmx:") && !agency_id.is_empty() && !id.is_empty();
        whole.then_some(Self { class, agency_id, id, version })
    }
}

/// The default version of an artefact without one.
pub(super) const DEFAULT_VERSION: &str = "1.0";
