//! JSON bodies over HTTP: the response with a JSON body, the JSON media types, and the JSON of a message. Separate from
//! the dialects, because all of them use it.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::{Map, Serializer, Value};

pub(crate) mod reader;

/// How JSON is written: fields without presence always, also when they have their default.
const OPTIONS: SerializeOptions = SerializeOptions::new().skip_default_fields(false);

/// A response whose body is JSON.
pub(crate) fn response(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether a `Content-Type` announces JSON: `application/json` or a type with the suffix `+json`.
pub(crate) fn is_json(content_type: &str) -> bool {
    let Ok(mime) = content_type.parse::<mime::Mime>() else { return false };
    mime.type_() == mime::APPLICATION && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
}

/// The JSON of a message. Some messages have none, such as a time beyond the year 9999.
pub(crate) fn write(message: &DynamicMessage) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::new();
    message.serialize_with_options(&mut Serializer::new(&mut out), &OPTIONS)?;
    Ok(out)
}

/// The members of a message's JSON.
pub(crate) fn members(message: &DynamicMessage) -> serde_json::Result<Map<String, Value>> {
    Ok(match message.serialize_with_options(serde_json::value::Serializer, &OPTIONS)? {
        Value::Object(members) => members,
        _ => Map::new(),
    })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn values_without_a_json_form_are_errors() {
        let timestamp = DescriptorPool::global().get_message_by_name("google.protobuf.Timestamp").unwrap();
        let check = |seconds: i64, expected: Option<&str>| {
            let mut time = DynamicMessage::new(timestamp.clone());
            time.set_field_by_name("seconds", prost_reflect::Value::I64(seconds));
            let written = write(&time).ok().map(|json| String::from_utf8(json).unwrap());
            assert_eq!(written.as_deref(), expected);
        };
        check(0, Some("\"1970-01-01T00:00:00Z\""));
        check(i64::MAX, None);
    }
}
