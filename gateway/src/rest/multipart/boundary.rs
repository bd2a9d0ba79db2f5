//! The boundary between parts, as the `Content-Type` of a body states it.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use mime::Mime;

use super::error::MultipartError;
use crate::body::is_form_data;

/// The most characters of a boundary (RFC 2046, 5.1.1).
const MAX_LENGTH: usize = 70;

/// A boundary that RFC 2046 allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boundary(String);

// === impl Boundary ===

impl Boundary {
    /// The boundary in the head of a request; none if its body is not `multipart/form-data`.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, MultipartError> {
        let mut stated = headers.get_all(CONTENT_TYPE).iter();
        let Some(content_type) = stated.next().and_then(|value| value.to_str().ok()) else { return Ok(None) };
        if !is_form_data(content_type) {
            return Ok(None);
        }
        if stated.next().is_some() {
            return Err(MultipartError::BoundaryInvalid("there are several Content-Type headers"));
        }
        let parsed = content_type.parse::<Mime>();
        let parsed = parsed.map_err(|_| MultipartError::BoundaryInvalid("Content-Type cannot be parsed"))?;
        let mut boundaries = parsed.params().filter(|(name, _)| *name == mime::BOUNDARY);
        let (_, boundary) = boundaries.next().ok_or(MultipartError::BoundaryMissing)?;
        if boundaries.next().is_some() {
            return Err(MultipartError::BoundaryInvalid("there are several"));
        }
        Self::new(boundary.as_str()).map(Some)
    }

    fn new(boundary: &str) -> Result<Self, MultipartError> {
        let problem = match boundary {
            "" => "it is empty",
            text if text.len() > MAX_LENGTH => "it has more than 70 characters",
            text if !text.bytes().all(is_allowed) => "it has characters that RFC 2046 does not allow",
            text if text.ends_with(' ') => "it ends with a space",
            text => return Ok(Self(text.to_owned())),
        };
        Err(MultipartError::BoundaryInvalid(problem))
    }

    /// What separates the parts: the boundary on a line of its own. The end of that line is not included, since spaces
    /// may precede it.
    pub(super) fn delimiter(&self) -> String {
        format!("\r\n--{}", self.0)
    }
}

/// Whether a boundary may have this character.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(content_types: &[&str]) -> Result<Option<Boundary>, MultipartError> {
        let mut headers = HeaderMap::new();
        for content_type in content_types {
            headers.append(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        }
        Boundary::read(&headers)
    }

    #[test]
    fn the_head_of_a_request_states_the_boundary() {
        let check = |content_type: &str, expected: Option<&str>| {
            let found = read(&[content_type]);
            assert_eq!(found, Ok(expected.map(|text| Boundary(text.to_owned()))), "{content_type}");
        };
        check("multipart/form-data; boundary=ab", Some("ab"));
        check("Multipart/Form-Data;BOUNDARY=Ab", Some("Ab"));
        check("multipart/form-data; charset=utf-8; boundary=----x7MA4YW", Some("----x7MA4YW"));
        check(r#"multipart/form-data; boundary="a b:=?c""#, Some("a b:=?c"));
        check("multipart/mixed; boundary=ab", None);
        check("multipart/form-database; boundary=ab", None);
        check("application/xml", None);
        let longest = "x".repeat(70);
        check(&format!("multipart/form-data; boundary={longest}"), Some(&longest));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn an_invalid_boundary_is_an_error() {
        let check = |content_types: &[&str], expected: &str| {
            let error = read(content_types).unwrap_err().to_string();
            assert!(error.contains(expected), "{content_types:?}: {error}");
        };
        check(&["multipart/form-data"], "has no boundary");
        check(&["multipart/form-data; boundary=\"\""], "cannot be parsed");
        check(&["multipart/form-data; boundary="], "is empty");
        check(&[&format!("multipart/form-data; boundary={}", "x".repeat(71))], "more than 70 characters");
        check(&["multipart/form-data; boundary=\"a \""], "ends with a space");
        check(&["multipart/form-data; boundary=\"a;b\""], "does not allow");
        check(&["multipart/form-data; boundary=a*b"], "does not allow");
        check(&["multipart/form-data; boundary=a:b"], "cannot be parsed");
        check(&["multipart/form-data; boundary=\"a"], "cannot be parsed");
        check(&["multipart/form-data; boundary=a; boundary=b"], "several");
        check(
            &["multipart/form-data; boundary=a", "multipart/form-data; boundary=b"],
            "several Content-Type",
        );
    }
}
