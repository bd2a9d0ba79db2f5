//! Counts the codes of a code list, or the values of a list of values.

use std::io::Read;

use super::identity::Identity;
use super::parts::{Had, Parts};
use crate::error::ParseError;
use crate::limits::Limits;
use crate::reader::codelist::keep;
use crate::structures::Structures;

/// The lists of items have other names in each kind of list; `items` in drafts.
const MEMBERS: [&str; 10] = [
    "id",
    "agencyID",
    "version",
    "urn",
    "links",
    "codes",
    "valueItems",
    "geoFeatureSetCodes",
    "geoGridCodes",
    "items",
];

/// Reads the members of the list, and keeps the number of its codes. Returns false above the limits.
pub(super) fn read<R: Read>(
    parts: &mut Parts<'_, R>,
    default_version: &str,
    structures: &mut Structures,
    limits: &Limits,
) -> Result<bool, ParseError> {
    let (mut had, mut identity, mut codes) = (Had::default(), Identity::default(), 0);
    while let Some(member) = parts.member(&MEMBERS, &mut had)? {
        match member {
            "codes" | "valueItems" | "geoFeatureSetCodes" | "geoGridCodes" | "items" => {
                parts.objects(member, |parts| {
                    codes += 1;
                    parts.pass()
                })?;
            }
            _ => identity.read(member, parts)?,
        }
    }
    Ok(keep(identity.finish(default_version), codes, structures, limits))
}
