//! The header `Repr-Digest` (RFC 9530), with which a caller announces the digest of a document before sending it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::Fingerprint;

/// The header's name.
pub const HEADER: &str = "repr-digest";

/// The only supported algorithm of those that the standard registers.
const ALGORITHM: &str = "sha-256";

/// The error for a malformed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sha-256=:BASE64: of 32 bytes, as RFC 9530 specifies")]
pub struct NotADigest;

/// The SHA-256 digest of a header; `None` if it has only other algorithms.
///
/// # Errors
///
/// [`NotADigest`] if the header has a digest of this algorithm, but in an invalid form.
pub fn parse(header: &str) -> Result<Option<Fingerprint>, NotADigest> {
    let members = header.split(',').filter_map(|member| member.trim().split_once('='));
    // The last of several members counts, as in every structured field.
    let mut ours = members.filter(|(name, _)| *name == ALGORITHM);
    let Some((_, value)) = ours.next_back() else { return Ok(None) };
    let text = value.strip_prefix(':').and_then(|value| value.strip_suffix(':')).ok_or(NotADigest)?;
    let bytes = STANDARD.decode(text).map_err(|_| NotADigest)?;
    bytes.try_into().map(Some).map_err(|_| NotADigest)
}

/// The digest in the form of the header.
pub fn format(fingerprint: &Fingerprint) -> String {
    format!("{ALGORITHM}=:{}:", STANDARD.encode(fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Part, fingerprint};

    #[test]
    fn digests_are_parsed_and_formatted_as_in_the_standard() {
        // From RFC 9530, section 2: the digest of `{"hello": "world"}` and a line feed.
        let example = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let document = fingerprint(&[Part::Bytes("{\"hello\": \"world\"}\n".into())]);
        let check = |header: &str, expected: Result<Option<Fingerprint>, NotADigest>| {
            assert_eq!(parse(header), expected, "{header:?}");
        };
        check(example, Ok(Some(document)));
        assert_eq!(format(&document), example);
        check(&format!("sha-512=:AA==:, {example}"), Ok(Some(document)));
        check("sha-512=:AA==:", Ok(None));
        check("", Ok(None));
        check("sha-256=RK/0qy18", Err(NotADigest));
        check("sha-256=:RK/0qy18:", Err(NotADigest));
        check("sha-256=:?:", Err(NotADigest));
    }
}
