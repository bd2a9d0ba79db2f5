//! Etags of REST, as RFC 9110 (sections 8.8.3 and 13.1.1) defines them, from the fields of messages: the `etag` of a
//! resource is the `ETag` of its response, and `If-Match` of PATCH, PUT and DELETE is the `etag` of the request, which the
//! service compares with the current one.

use dataflow_mesh::status::{Describe, Kind, Violation, to_status};
use http::header::IF_MATCH;
use http::{HeaderMap, HeaderValue};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind as FieldKind, MessageDescriptor, ReflectMessage};
use tonic::Status;

use crate::fields::{self, message_of};
use crate::schema::{Binding, Body, Precondition};

/// The field of a resource, or of a request, that names a version.
pub(super) const ETAG: &str = "etag";

/// Why a precondition cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PreconditionError {
    /// It is not what RFC 9110 allows, or more than the service can compare.
    #[error("If-Match: {problem}")]
    Invalid {
        /// The error.
        problem: &'static str,
    },
}

/// The `ETag` of a response whose body is the JSON of this message.
pub(super) fn of(resource: &DynamicMessage) -> Option<HeaderValue> {
    let field = etag_of(&resource.descriptor())?;
    let etag = resource.get_field(&field);
    let etag = etag.as_str().filter(|etag| !etag.is_empty() && etag.chars().all(is_etag_char))?;
    HeaderValue::try_from(format!("\"{etag}\"")).ok()
}

/// Sets the etag of a request by its `If-Match`.
pub(super) fn bind(
    binding: &Binding,
    headers: &HeaderMap,
    message: &mut DynamicMessage,
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
        Precondition::OfAny if value == "*" => {
            return Err(invalid("this method cannot require that it exists"));
        }
        Precondition::Impossible => return Err(invalid("this method has no precondition")),
        _ => {}
    }
    let path = target(binding).ok_or_else(|| invalid("this resource has no etag"))?;
    let opaque = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let etag = match opaque {
        Some(etag) if !etag.is_empty() && etag.chars().all(is_etag_char) => etag,
        // Never equal to the current one: a weak etag does not match strongly, and no resource has an empty one.
        Some("") => value,
        None if value.starts_with("W/\"") && value.ends_with('"') && !value.contains(',') => value,
        Some(_) => return Err(invalid("only one etag can be given")),
        None => return Err(invalid("an etag is in double quotes, as in the ETag of the response")),
    };
    let is_first = fields::set(message, &path, etag).map_err(|_| invalid("an etag is a text"))?;
    if !is_first && text(message, &path).as_deref() != Some(etag) {
        return Err(invalid("differs from the etag of the request"));
    }
    Ok(())
}

/// The text at the end of a path.
fn text(message: &DynamicMessage, path: &[FieldDescriptor]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let value = message.get_field(first);
    if rest.is_empty() { value.as_str().map(str::to_owned) } else { text(value.as_message()?, rest) }
}

/// The path of the field that takes the etag: of the resource in the body, or of the request.
fn target(binding: &Binding) -> Option<Vec<FieldDescriptor>> {
    if let Body::Field(field) = &binding.body {
        return Some(vec![field.clone(), etag_of(&message_of(field)?)?]);
    }
    Some(vec![etag_of(&binding.method.input())?])
}

fn etag_of(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let field = message.get_field_by_name(ETAG)?;
    (field.kind() == FieldKind::String && !field.is_list()).then_some(field)
}

/// `etagc` of RFC 9110, as far as it is ASCII; without the comma, which would read as a list.
fn is_etag_char(each: char) -> bool {
    each.is_ascii_graphic() && each != '"' && each != ','
}

fn invalid(problem: &'static str) -> PreconditionError {
    PreconditionError::Invalid { problem }
}

// === impl PreconditionError ===

impl Describe for PreconditionError {
    fn domain(&self) -> &'static str {
        "dataflow.gateway.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            PreconditionError::Invalid { .. } => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            PreconditionError::Invalid { .. } => "PRECONDITION_INVALID",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        vec![Violation { field: "If-Match".to_owned(), description: self.to_string() }]
    }
}

impl From<PreconditionError> for Status {
    fn from(error: PreconditionError) -> Self {
        to_status(&error)
    }
}
