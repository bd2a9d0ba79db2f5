//! References to artefacts, as categories and categorisations write them: attributes, or a URN.

use crate::error::Fault;
use crate::themes::Reference;
use crate::urn::Urn;
use crate::xml::Start;

/// The longest id of a category; longer than any identifier in use. Ids are repeated in the paths of all categories
/// inside it.
pub(super) const ID_BYTES: usize = 256;

/// The value of an attribute, trimmed; empty if there is none.
pub(super) fn attribute(start: &Start<'_>, name: &str) -> Result<String, Fault> {
    let value = start.attribute(name)?.unwrap_or_default();
    Ok(value.trim_ascii().to_owned())
}

/// The identity of a maintained artefact by its start tag.
pub(super) fn identity(start: &Start<'_>) -> Result<Reference, Fault> {
    let [agency_id, id, version] = ["agencyID", "id", "version"].map(|name| attribute(start, name));
    let mut identity = Reference { agency_id: agency_id?, id: id?, version: version? };
    if identity.id.is_empty() {
        complete(&mut identity, &attribute(start, "urn")?);
    }
    Ok(identity)
}

/// Fills the empty parts of an identity from a URN, if it is one.
pub(super) fn complete(identity: &mut Reference, urn: &str) {
    let Some(Urn { agency_id, id, version, .. }) = Urn::parse(urn) else { return };
    let Reference { agency_id: own_agency, id: own_id, version: own_version } = identity;
    let parts = [(own_agency, agency_id), (own_id, id), (own_version, version)];
    parts.into_iter().filter(|(own, _)| own.is_empty()).for_each(|(own, part)| own.push_str(part));
}
