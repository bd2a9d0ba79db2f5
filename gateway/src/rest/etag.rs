//! Etags of REST, as RFC 9110 (sections 8.8.3 and 13.1.1) defines them, from the fields of messages: the `etag` of a
//! resource is the `ETag` of its response, and a single etag in `If-Match` of PATCH, PUT and DELETE is the `etag` of
//! the request, which the service compares with the current one.

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use dataflow_transcode::{
    Cardinality, FieldId, Kind as FieldKind, Preset, PresetError, Source, last_delimited,
};
use http::header::IF_MATCH;
use http::{HeaderMap, HeaderValue};
use tonic::Status;

use super::conditions::{in_header, is_etag, without_coding};
use crate::schema::{Binding, Precondition};

/// The field of a resource, or of a request, that names a version.
const ETAG: &str = "etag";

const DIFFERS: &str = "differs from the etag of the request";

/// Why a precondition is not met, or cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PreconditionError {
    /// It is not what RFC 9110 allows, or more than the service can compare.
    #[error("{header}: {problem}")]
    Invalid {
        /// The condition.
        header: &'static str,
        /// The error.
        problem: &'static str,
    },
    /// The resource is not the one that the request is for.
    #[error("{header}: {problem}")]
    Mismatch {
        /// The condition.
        header: &'static str,
        /// What the resource is instead.
        problem: &'static str,
    },
}

/// The field of a reply's resource that is its etag, if the resource has one.
pub(super) fn field(binding: &Binding) -> Option<FieldId> {
    let schema = &binding.schema;
    let field = schema.field_named(binding.reply_message()?, ETAG)?;
    let is_etag =
        schema[field].kind() == FieldKind::String && schema[field].cardinality() == Cardinality::Singular;
    is_etag.then_some(field)
}

/// The etag of the resource that a message of a reply is, or has as its field.
pub(super) fn of<'a>(binding: &Binding, message: &'a [u8]) -> Option<&'a str> {
    let (schema, field) = (&binding.schema, field(binding)?);
    let resource = match binding.reply {
        None => message,
        Some(field) => &message[last_delimited(message, schema[field].number())?],
    };
    let etag = str::from_utf8(&resource[last_delimited(resource, schema[field].number())?]).ok()?;
    is_etag(etag).then_some(etag)
}

/// The value of `ETag`.
pub(super) fn header(etag: &str) -> HeaderValue {
    HeaderValue::try_from(in_header(etag)).expect("it has visible ASCII characters only")
}

/// Sets the etag of a request by its `If-Match`.
pub(super) fn bind(
    binding: &Binding,
    headers: &HeaderMap,
    preset: &mut Preset<'_>,
) -> Result<(), PreconditionError> {
    if !headers.contains_key(IF_MATCH) || binding.precondition == Precondition::Ignored {
        return Ok(());
    }
    let mut given = headers.get_all(IF_MATCH).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(invalid("only one etag can be given"));
    };
    let value = value.to_str().map_err(|_| invalid("an etag has only visible ASCII characters"))?.trim();
    match binding.precondition {
        Precondition::OfExisting if value == "*" => return Ok(()),
        Precondition::Impossible => return Err(invalid("this method has no precondition")),
        _ => {}
    }
    let path = binding.etag.as_ref().ok_or_else(|| invalid("this resource has no etag"))?;
    let opaque = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let etag = match opaque {
        Some(etag) if is_etag(etag) => without_coding(etag),
        // Never equal to the current one: a weak etag does not match strongly, and no resource has an empty one.
        Some("") => value,
        None if value.starts_with("W/\"") && value.ends_with('"') && !value.contains(',') => value,
        Some(_) => return Err(invalid("only one etag can be given")),
        None => return Err(invalid("an etag is in double quotes, as in the ETag of the response")),
    };
    preset.set(path, etag, Source::Header).map_err(|error| match error {
        PresetError::Differs => invalid(DIFFERS),
        _ => invalid("the request cannot have an etag"),
    })
}

/// The error of JSON whose etag is another one than that of the header.
pub(super) fn differs() -> PreconditionError {
    invalid(DIFFERS)
}

/// The condition that an error is about.
fn condition(has_none_match: bool) -> &'static str {
    if has_none_match { "If-None-Match" } else { "If-Match" }
}

fn invalid(problem: &'static str) -> PreconditionError {
    PreconditionError::Invalid { header: "If-Match", problem }
}

// === impl PreconditionError ===

impl PreconditionError {
    /// `If-Match` does not name the etag of the resource.
    pub(super) fn is_another() -> Self {
        Self::Mismatch { header: "If-Match", problem: "the etag of the resource is another one" }
    }

    /// `If-None-Match` names the etag of the resource, or any.
    pub(super) fn is_excluded() -> Self {
        Self::Mismatch { header: "If-None-Match", problem: "the resource exists, with this etag" }
    }

    /// The resource cannot be read, so that these conditions cannot be decided.
    pub(super) fn undecidable(has_none_match: bool) -> Self {
        let problem = "only one etag in If-Match can be decided, since nothing can be read at this path";
        Self::Invalid { header: condition(has_none_match), problem }
    }

    /// The method makes no change of a resource.
    pub(super) fn impossible(has_none_match: bool) -> Self {
        Self::Invalid { header: condition(has_none_match), problem: "this method has no precondition" }
    }
}

impl Describe for PreconditionError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            PreconditionError::Invalid { .. } => Kind::Invalid,
            PreconditionError::Mismatch { .. } => Kind::Conflict,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            PreconditionError::Invalid { .. } => "PRECONDITION_INVALID",
            PreconditionError::Mismatch { .. } => "ETAG_MISMATCH",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let (Self::Invalid { header, problem } | Self::Mismatch { header, problem }) = self;
        vec![Violation { field: (*header).to_owned(), description: (*problem).to_owned() }]
    }
}

impl From<PreconditionError> for Status {
    fn from(error: PreconditionError) -> Self {
        to_status(&error)
    }
}
