//! Why requests to the predecessor's API are rejected, and its two formats of failures: that of its code, and that of
//! its framework for invalid values (422).

use dataflow_mesh::status::{Describe, Kind};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::category::Category;
use super::time::NaiveDateTime;

/// Maximum number of invalid values that a 422 lists. Otherwise the response to a hostile list of categories would be a
/// hundred times larger than the request.
pub const MAX_INVALID_VALUES: usize = 100;

/// Why a request is rejected. Its display is the `detail` of a [`Failure`], except for a 422, which has another format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// The body is not JSON, not an object, or values of it or of the query are invalid.
    #[error("the request is not valid")]
    Unprocessable(Unprocessable),
    /// There is no document.
    #[error("xml_content is required")]
    DocumentMissing,
    /// The request names a file of the server.
    #[error("xml_file_path is not supported, send the document as xml_content")]
    DocumentByPath,
    /// All keywords of a rule are blank.
    #[error("a rule needs at least one keyword that is not blank")]
    KeywordsBlank,
    /// The change of a rule is empty.
    #[error("there is nothing to change: give keywords, priority, is_active or description")]
    NothingToChange,
}

/// Every failure but a 422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure<'a> {
    success: bool,
    message: Option<&'a str>,
    timestamp: NaiveDateTime,
    error_type: &'static str,
    error_code: String,
    detail: String,
    instance: &'a str,
}

/// A 422: the invalid values, one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unprocessable {
    /// One entry for each invalid value, fields in the order of the request; at most [`MAX_INVALID_VALUES`], at least
    /// one.
    pub detail: Vec<InvalidValue>,
}

/// One invalid value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidValue {
    /// The location, outermost first; the first is `body` or `query`.
    pub loc: Vec<PathStep>,
    /// A sentence for people.
    pub msg: String,
    /// A word for programs, such as `string_type`.
    pub r#type: &'static str,
}

/// A step of the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep {
    /// A field, or one of `body` and `query`.
    Field(&'static str),
    /// The index of a list element, or the byte offset of the JSON error; from 0.
    Index(usize),
}

/// Why a value is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueError {
    /// The field or the body is missing or `null`.
    Missing,
    /// The body is not JSON.
    NotJson,
    /// The body is not an object.
    NotObject,
    /// A text was expected.
    NotText,
    /// An integer was expected.
    NotInteger,
    /// An integer was expected, and a number with a fraction found.
    NotWhole,
    /// A text is not a valid integer.
    NotNumeral,
    /// A boolean was expected.
    NotFlag,
    /// A text or number is not a valid boolean.
    NotFlagWord,
    /// A list was expected.
    NotList,
    /// The word of a category was expected.
    NotCategory,
    /// A text with at least one character was expected.
    EmptyText,
    /// A list with at least one element was expected.
    EmptyList,
    /// A number of at least so much was expected.
    Below(i32),
    /// A number of at most so much was expected.
    Above(i32),
}

// === impl ValidationError ===

impl ValidationError {
    /// The HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn unprocessable(detail: Vec<InvalidValue>) -> Self {
        Self::Unprocessable(Unprocessable { detail })
    }

    /// There is no body, or it is not a JSON object.
    pub(super) fn whole(path: Option<PathStep>, error: ValueError) -> Self {
        Self::unprocessable(vec![InvalidValue::new(path, error)])
    }
}

impl Describe for ValidationError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            ValidationError::Unprocessable(_)
            | ValidationError::DocumentMissing
            | ValidationError::DocumentByPath
            | ValidationError::KeywordsBlank
            | ValidationError::NothingToChange => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            ValidationError::Unprocessable(_)
            | ValidationError::DocumentMissing
            | ValidationError::DocumentByPath
            | ValidationError::KeywordsBlank
            | ValidationError::NothingToChange => "LEGACY_REQUEST_INVALID",
        }
    }
}

// === impl Failure ===

impl<'a> Failure<'a> {
    /// A request for `instance`, its full URL, that fails with an HTTP status.
    pub fn new(status: StatusCode, detail: impl Into<String>, instance: &'a str, now: Timestamp) -> Self {
        Self {
            success: false,
            message: None,
            timestamp: NaiveDateTime(now),
            error_type: "http_error",
            error_code: format!("HTTP_{}", status.as_u16()),
            detail: detail.into(),
            instance,
        }
    }
}

// === impl InvalidValue ===

impl InvalidValue {
    /// A value of the body, by the steps that lead to it; without steps, the body itself.
    pub fn new(steps: impl IntoIterator<Item = PathStep>, error: ValueError) -> Self {
        Self::at([PathStep::Field("body")].into_iter().chain(steps).collect(), error)
    }

    /// A parameter of the query.
    pub fn in_query(name: &'static str, error: ValueError) -> Self {
        Self::at(vec![PathStep::Field("query"), PathStep::Field(name)], error)
    }

    fn at(loc: Vec<PathStep>, error: ValueError) -> Self {
        let (r#type, msg) = error.describe();
        Self { loc, msg, r#type }
    }
}

// === impl ValueError ===

impl ValueError {
    /// The framework's word for it and its sentence.
    fn describe(self) -> (&'static str, String) {
        let (word, expected) = match self {
            Self::Missing => return ("missing", "Field required".to_owned()),
            Self::NotJson => return ("json_invalid", "JSON decode error".to_owned()),
            Self::NotObject => {
                ("model_attributes_type", "a valid dictionary or object to extract fields from")
            }
            Self::NotText => ("string_type", "a valid string"),
            Self::NotInteger => ("int_type", "a valid integer"),
            Self::NotWhole => ("int_from_float", "a valid integer, got a number with a fractional part"),
            Self::NotNumeral => ("int_parsing", "a valid integer, unable to parse string as an integer"),
            Self::NotFlag => ("bool_type", "a valid boolean"),
            Self::NotFlagWord => ("bool_parsing", "a valid boolean, unable to interpret input"),
            Self::NotList => ("list_type", "a valid list"),
            Self::NotCategory => {
                let words = Category::ALL.map(|category| format!("'{}'", category.word()));
                let [firsts @ .., last] = &words;
                return ("enum", format!("Input should be {} or {last}", firsts.join(", ")));
            }
            Self::EmptyText => {
                return ("string_too_short", "String should have at least 1 character".to_owned());
            }
            Self::EmptyList => {
                return ("too_short", "List should have at least 1 item after validation, not 0".to_owned());
            }
            Self::Below(least) => {
                let sentence = format!("Input should be greater than or equal to {least}");
                return ("greater_than_equal", sentence);
            }
            Self::Above(most) => {
                return ("less_than_equal", format!("Input should be less than or equal to {most}"));
            }
        };
        (word, format!("Input should be {expected}"))
    }
}

// === impl PathStep ===

impl Serialize for PathStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Field(name) => serializer.serialize_str(name),
            Self::Index(index) => index.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_string, to_value};

    use super::*;

    #[test]
    fn a_failure_has_the_predecessors_fields_in_its_order() {
        let now = "2026-08-01T10:20:30Z".parse().unwrap();
        let detail = "Analysis failed: byte 7: \"<\" expected";
        let failure =
            Failure::new(StatusCode::BAD_REQUEST, detail, "https://x.test/api/analysis/dataflow", now);
        let expected = concat!(
            r#"{"success":false,"message":null,"timestamp":"2026-08-01T10:20:30.000000","error_type":"http_error","#,
            r#""error_code":"HTTP_400","detail":"Analysis failed: byte 7: \"<\" expected","#,
            r#""instance":"https://x.test/api/analysis/dataflow"}"#,
        );
        assert_eq!(to_string(&failure).unwrap(), expected);
        for (status, code) in [(401, "HTTP_401"), (429, "HTTP_429"), (503, "HTTP_503")] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(to_value(Failure::new(status, "", "", now)).unwrap()["error_code"], code);
        }
    }

    #[test]
    fn a_422_has_the_frameworks_format() {
        let invalid =
            InvalidValue::new([PathStep::Field("categories"), PathStep::Index(1)], ValueError::NotList);
        let expected = json!({"detail": [{
            "loc": ["body", "categories", 1], "msg": "Input should be a valid list", "type": "list_type",
        }]});
        assert_eq!(to_value(Unprocessable { detail: vec![invalid] }).unwrap(), expected);
    }
}
