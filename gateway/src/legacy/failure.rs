//! The predecessor's two shapes of failure: its own for what its code refused, its framework's for a body that does not
//! fit the request (422).

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Naive;
use super::selection::Category;

/// How many wrong values a 422 lists. A hostile list of categories would otherwise be answered a hundredfold.
pub const MAX_WRONGS: usize = 100;

/// Every failure but a 422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure<'a> {
    success: bool,
    message: Option<&'a str>,
    timestamp: Naive,
    error_type: &'static str,
    error_code: String,
    detail: String,
    instance: &'a str,
}

/// A 422: what is wrong with the body, value by value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unprocessable {
    /// One entry for each wrong value, fields in the order of the request; at most [`MAX_WRONGS`], at least one.
    pub detail: Vec<Wrong>,
}

/// One wrong value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Where it is, outermost first; the first is always `body`.
    pub loc: Vec<Place>,
    /// A sentence for people.
    pub msg: String,
    /// A word for programs, such as `string_type`.
    pub r#type: &'static str,
}

/// A step of the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A field, or `body`.
    Field(&'static str),
    /// An element of a list, or the byte where the body ceases to be JSON; from 0.
    Index(usize),
}

/// What can be wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// There is no body, or it is `null`.
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
    /// An integer was expected, and a text found that is none.
    NotNumeral,
    /// A boolean was expected.
    NotFlag,
    /// A boolean was expected, and a text or number found that does not stand for one.
    NotFlagWord,
    /// A list was expected.
    NotList,
    /// The word of a category was expected.
    NotCategory,
}

// === impl Failure ===

impl<'a> Failure<'a> {
    /// A request for `instance`, its full URL, that fails with an HTTP status.
    pub fn new(status: u16, detail: impl Into<String>, instance: &'a str, now: Timestamp) -> Self {
        Self {
            success: false,
            message: None,
            timestamp: Naive(now),
            error_type: "http_error",
            error_code: format!("HTTP_{status}"),
            detail: detail.into(),
            instance,
        }
    }

    /// The detail of a failure after the document was received: malformed, it is a 400.
    pub fn analysis_failed(why: &str) -> String {
        format!("Analysis failed: {why}")
    }
}

// === impl Wrong ===

impl Wrong {
    /// A mistake at a place of the body; without steps, the body itself.
    pub fn new(steps: impl IntoIterator<Item = Place>, mistake: Mistake) -> Self {
        let loc = [Place::Field("body")].into_iter().chain(steps).collect();
        let (r#type, msg) = mistake.describe();
        Self { loc, msg, r#type }
    }
}

// === impl Mistake ===

impl Mistake {
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
        };
        (word, format!("Input should be {expected}"))
    }
}

// === impl Place ===

impl Serialize for Place {
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
        let detail = Failure::analysis_failed("byte 7: \"<\" expected");
        let failure = Failure::new(400, detail, "https://x.test/api/analysis/dataflow", now);
        let expected = concat!(
            r#"{"success":false,"message":null,"timestamp":"2026-08-01T10:20:30.000000","error_type":"http_error","#,
            r#""error_code":"HTTP_400","detail":"Analysis failed: byte 7: \"<\" expected","#,
            r#""instance":"https://x.test/api/analysis/dataflow"}"#,
        );
        assert_eq!(to_string(&failure).unwrap(), expected);
        for (status, code) in [(401, "HTTP_401"), (429, "HTTP_429"), (503, "HTTP_503")] {
            assert_eq!(to_value(Failure::new(status, "", "", now)).unwrap()["error_code"], code);
        }
    }

    #[test]
    fn a_422_is_the_frameworks() {
        let wrong = Wrong::new([Place::Field("categories"), Place::Index(1)], Mistake::NotList);
        let expected = json!({"detail": [{
            "loc": ["body", "categories", 1], "msg": "Input should be a valid list", "type": "list_type",
        }]});
        assert_eq!(to_value(Unprocessable { detail: vec![wrong] }).unwrap(), expected);
    }
}
