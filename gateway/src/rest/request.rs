//! The first half of transcoding: path, query and body of an HTTP request become a request in gRPC. It happens inside
//! the stack that every call passes, under its deadline and its limit of concurrent calls.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

use crate::error::Error;
use crate::fields;
use crate::frame::framed;
use crate::legacy::exchange::Exchange;
use crate::schema::{Binding, Body};

/// A REST request that has found its route, on its way through the stack.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) binding: Arc<Binding>,
    /// Field paths of the route's variables, and their values.
    pub(crate) variables: Vec<(String, String)>,
    /// As it was sent.
    pub(crate) query: String,
    pub(crate) dialect: Dialect,
}

/// Who wrote the contract that the body follows.
#[derive(Debug)]
pub(crate) enum Dialect {
    /// The annotations.
    Transcoded,
    /// The predecessor.
    Legacy(Exchange),
}

/// The request in gRPC. Its path is the method's already. A body that is held as a whole has `most` bytes at most.
pub(crate) async fn to_grpc(
    call: &Call,
    request: Request<HttpBody>,
    most: usize,
) -> Result<Request<HttpBody>, Error> {
    let (mut head, body) = request.into_parts();
    let messages = match &call.dialect {
        Dialect::Transcoded => transcode(call, &head.headers, body, most).await?,
        Dialect::Legacy(exchange) => {
            let body = collect(body, most).await?;
            HttpBody::from(framed(&exchange.request(&body)?))
        }
    };
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(Request::from_parts(head, messages))
}

async fn transcode(call: &Call, headers: &HeaderMap, body: HttpBody, most: usize) -> Result<HttpBody, Error> {
    let Binding { body: rule, method, .. } = &*call.binding;
    let mut message = call.binding.request();
    match rule {
        Body::Absent => {
            if !collect(body, 0).await.map_err(|_| Error::BodyUnexpected)?.is_empty() {
                return Err(Error::BodyUnexpected);
            }
        }
        Body::Whole => message = read_json(message.descriptor_of(), &collect(body, most).await?, "")?,
        Body::Field(field) => {
            let body = collect(body, most).await?;
            let value = read_field(field, &body)?;
            message.set_field(field, value);
        }
        Body::Document(field) => {
            bind(call, &mut message)?;
            let content_type =
                headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            return if method.is_client_streaming() {
                Ok(upload(message, field.clone(), content_type, body))
            } else {
                let data = collect(body, most).await?;
                message.set_field(field, document(field, content_type, data));
                Ok(HttpBody::from(framed(&message)))
            };
        }
    }
    bind(call, &mut message)?;
    Ok(HttpBody::from(framed(&message)))
}

/// Fills in what path and query say. The path wins over the body, as the annotations' own specification has it.
fn bind(call: &Call, message: &mut DynamicMessage) -> Result<(), Error> {
    let input = call.binding.method.input();
    for (name, text) in &call.variables {
        let path = fields::resolve(&input, name).expect("the route was checked when it was made");
        message.clear_at(&path);
        fields::set(message, &path, text).map_err(|invalid| parameter(name, &invalid))?;
    }
    for (name, text) in parameters(&call.query) {
        let (name, text) = (decode(name)?, decode(text)?);
        let unknown = || Error::ParameterUnknown { name: name.clone() };
        let path = fields::resolve(&input, &name).map_err(|_| unknown())?;
        let taken = match &call.binding.body {
            Body::Absent => false,
            Body::Whole => true,
            Body::Field(field) | Body::Document(field) => path.first() == Some(field),
        };
        let in_path = call.variables.iter().any(|(variable, _)| *variable == name);
        if taken || in_path || path.last().is_none_or(|field| !fields::is_scalar(field)) {
            return Err(unknown());
        }
        if !fields::set(message, &path, &text).map_err(|invalid| parameter(&name, &invalid))? {
            return Err(parameter(&name, &"it is given twice"));
        }
    }
    Ok(())
}

fn parameter(name: &str, problem: &impl ToString) -> Error {
    Error::ParameterInvalid { name: name.to_owned(), problem: problem.to_string() }
}

/// Names and values of a query, still encoded.
fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// A name or a value as forms write it (`application/x-www-form-urlencoded`).
fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| parameter(text, &"it is not UTF-8 once decoded"))
}

/// A body as a whole.
async fn collect(body: HttpBody, limit: usize) -> Result<Bytes, Error> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge { limit }),
        Err(error) => Err(Error::BodyBroken(error.to_string())),
    }
}

/// Reads the JSON of a message that stands at `at` in the request.
fn read_json(message: MessageDescriptor, json: &[u8], at: &str) -> Result<DynamicMessage, Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(message, tracked, &options);
    let read = read.and_then(|message| reader.end().map(|()| message));
    read.map_err(|error| {
        let path = track.path().to_string();
        let inside = if path == "." { "" } else { &path };
        let dot = if at.is_empty() || inside.is_empty() { "" } else { "." };
        let (line, column) = (error.line(), error.column());
        let said = error.to_string();
        let problem = said.split(" at line ").next().unwrap_or_default().to_owned();
        Error::JsonInvalid { field: format!("{at}{dot}{inside}"), problem, line, column }
    })
}

/// Reads the JSON of one field. One that is no message is read as the only field of its message, since only messages
/// can be read.
fn read_field(field: &FieldDescriptor, json: &[u8]) -> Result<Value, Error> {
    if let Kind::Message(message) = field.kind()
        && !field.is_list()
        && !field.is_map()
    {
        return read_json(message, json, field.name()).map(Value::Message);
    }
    let wrapped = [b"{\"", field.json_name().as_bytes(), b"\":", json, b"}"].concat();
    let message = read_json(field.parent_message().clone(), &wrapped, "")?;
    Ok(message.get_field(field).into_owned())
}

fn document(field: &FieldDescriptor, content_type: &str, data: Bytes) -> Value {
    let Kind::Message(message) = field.kind() else {
        unreachable!("the schema checked that it is an HttpBody")
    };
    let mut document = DynamicMessage::new(message);
    document.set_field_by_name("content_type", Value::String(content_type.to_owned()));
    document.set_field_by_name("data", Value::Bytes(data));
    Value::Message(document)
}

/// The messages of a document that is sent on as it comes: what path and query say in the first, a piece in each.
fn upload(options: DynamicMessage, field: FieldDescriptor, content_type: &str, body: HttpBody) -> HttpBody {
    let mut first = options.clone();
    first.set_field(&field, document(&field, content_type, Bytes::new()));
    let empty = DynamicMessage::new(options.descriptor_of());
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece?;
        let mut message = empty.clone();
        message.set_field(&field, document(&field, "", piece));
        Ok::<_, axum::Error>(framed(&message))
    });
    HttpBody::from_stream(stream::once(async move { Ok(framed(&first)) }).chain(pieces))
}

/// What prost-reflect keeps in a trait, and what it lacks.
trait Dynamic {
    fn descriptor_of(&self) -> MessageDescriptor;
    fn clear_at(&mut self, path: &[FieldDescriptor]);
}

impl Dynamic for DynamicMessage {
    fn descriptor_of(&self) -> MessageDescriptor {
        prost_reflect::ReflectMessage::descriptor(self)
    }

    fn clear_at(&mut self, path: &[FieldDescriptor]) {
        let Some((field, outer)) = path.split_last() else { return };
        let mut inside = self;
        for field in outer {
            if !inside.has_field(field) {
                return;
            }
            inside =
                inside.get_field_mut(field).as_message_mut().expect("resolve goes through messages only");
        }
        inside.clear_field(field);
    }
}
