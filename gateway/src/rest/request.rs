//! The first half of transcoding: path, query and body of an HTTP request become a request in gRPC. It happens inside
//! the stack that every call passes, under its deadline and its limit of concurrent calls.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body as HttpBody;
use bytes::{Bytes, BytesMut};
use dataflow_mesh::propagation;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use serde::de::IgnoredAny;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::stream::Form;
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
    /// What the client wants of an answer that is a stream.
    pub(crate) form: Form,
    /// How the body broke off while it was passed on, which its upstream hears as a broken connection only.
    pub(crate) broken: OnceLock<String>,
}

/// Who wrote the contract that the body follows.
#[derive(Debug)]
pub(crate) enum Dialect {
    /// The annotations.
    Transcoded,
    /// The predecessor.
    Legacy(Exchange),
}

/// What bodies that are held as a whole may be.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// The most bytes of one.
    pub(crate) bytes: usize,
    /// The longest time from one piece to the next.
    pub(crate) idle: Duration,
    /// Room for all of them together, in units of [`ROOM`].
    pub(crate) room: Arc<Semaphore>,
}

/// Bytes of a unit of room: fewer would make permits of millions, more would round small bodies up to much.
pub(crate) const ROOM: usize = 1024;

/// A body as a whole, with the room that it takes.
struct Held {
    bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// The request in gRPC. Its path is the method's already. Of the headers only those go on that travel through the mesh:
/// what a client says to a server over HTTP means nothing, or something else, in gRPC.
pub(crate) async fn to_grpc(
    call: &Arc<Call>,
    request: Request<HttpBody>,
    limits: &Limits,
) -> Result<Request<HttpBody>, Error> {
    let (mut head, body) = request.into_parts();
    let messages = match &call.dialect {
        Dialect::Transcoded => transcode(call, &head.headers, body, limits).await?,
        Dialect::Legacy(exchange) => {
            let held = collect(body, limits).await?;
            let frame = framed(&exchange.request(&held.bytes)?);
            held.sent_as(frame)
        }
    };
    head.headers = HeaderMap::new();
    propagation::apply(&mut head.headers);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(Request::from_parts(head, messages))
}

async fn transcode(
    call: &Arc<Call>,
    headers: &HeaderMap,
    body: HttpBody,
    limits: &Limits,
) -> Result<HttpBody, Error> {
    let Binding { body: rule, method, .. } = &*call.binding;
    let mut message = call.binding.request();
    let mut held = Held { bytes: Bytes::new(), room: None };
    match rule {
        Body::Absent => {
            let none = Limits { bytes: 0, ..limits.clone() };
            match collect(body, &none).await {
                Ok(_) => {}
                Err(Error::BodyTooLarge { .. }) => return Err(Error::BodyUnexpected),
                Err(error) => return Err(error),
            }
        }
        Body::Whole => {
            held = collect(body, limits).await?;
            message = read_json(method.input(), &held.bytes, "")?;
        }
        Body::Field(field) => {
            held = collect(body, limits).await?;
            message.set_field(field, read_field(field, &held.bytes)?);
        }
        Body::Document(field) => {
            bind(call, &mut message)?;
            let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let content_type = content_type.unwrap_or_default();
            if method.is_client_streaming() {
                return Ok(upload(Arc::clone(call), message, field.clone(), content_type, body));
            }
            held = collect(body, limits).await?;
            message.set_field(field, document(field, content_type, held.bytes.clone()));
            return Ok(held.sent_as(framed(&message)));
        }
    }
    bind(call, &mut message)?;
    Ok(held.sent_as(framed(&message)))
}

/// Fills in what path and query say. The path wins over the body, as the annotations' own specification has it.
fn bind(call: &Call, message: &mut DynamicMessage) -> Result<(), Error> {
    let input = call.binding.method.input();
    let mut in_path = Vec::with_capacity(call.variables.len());
    for (name, text) in &call.variables {
        let path = fields::resolve(&input, name).expect("the route was checked when it was made");
        clear(message, &path);
        fields::set(message, &path, text).map_err(|invalid| parameter(name, &invalid))?;
        in_path.push(path);
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
        if taken || in_path.contains(&path) || path.last().is_none_or(|field| !fields::is_scalar(field)) {
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

/// Reads a body as a whole. There must be room for it beside all others.
async fn collect(mut body: HttpBody, limits: &Limits) -> Result<Held, Error> {
    let (mut whole, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
    loop {
        let frame = tokio::time::timeout(limits.idle, body.frame()).await;
        let frame = match frame.map_err(|_| Error::BodyStalled { idle: limits.idle })? {
            Some(frame) => frame.map_err(|error| Error::BodyBroken(error.to_string()))?,
            None => return Ok(Held { bytes: whole.freeze(), room }),
        };
        let data = frame.into_data().unwrap_or_default();
        let length = whole.len() + data.len();
        if length > limits.bytes {
            return Err(Error::BodyTooLarge { limit: limits.bytes });
        }
        let has = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if let Ok(lacks @ 1..) = u32::try_from(length.div_ceil(ROOM) - has) {
            let more = Arc::clone(&limits.room).try_acquire_many_owned(lacks).map_err(|_| Error::NoRoom)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
        }
        whole.extend_from_slice(&data);
    }
}

impl Held {
    /// The frame that was made of it as a body, which keeps the room until it is sent.
    fn sent_as(self, frame: Bytes) -> HttpBody {
        let room = self.room;
        HttpBody::from_stream(stream::once(async move {
            drop(room);
            Ok::<_, Infallible>(frame)
        }))
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
        // The path ends at the message whose field it is not.
        let said = error.to_string();
        let unknown = said.strip_prefix(UNKNOWN_FIELD).and_then(|rest| rest.split('\'').next());
        let steps = [at, inside, unknown.unwrap_or_default()];
        let steps: Vec<&str> = steps.into_iter().filter(|step| !step.is_empty()).collect();
        json_invalid(&error, steps.join("."))
    })
}

/// How prost-reflect begins to say that a message lacks a field; its name follows in quotes.
const UNKNOWN_FIELD: &str = "unrecognized field name '";

fn json_invalid(error: &serde_json::Error, field: String) -> Error {
    let said = error.to_string();
    let problem = said.split(" at line ").next().unwrap_or_default().to_owned();
    Error::JsonInvalid { field, problem, line: error.line(), column: error.column() }
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
    // One value and no more, or what follows it would pass for further fields.
    serde_json::from_slice::<IgnoredAny>(json)
        .map_err(|error| json_invalid(&error, field.name().to_owned()))?;
    let wrapped = [b"{\"", field.json_name().as_bytes(), b"\":\n", json, b"}"].concat();
    let message = read_json(field.parent_message().clone(), &wrapped, "").map_err(|error| match error {
        Error::JsonInvalid { field, problem, line, column } => {
            Error::JsonInvalid { field, problem, line: line - 1, column }
        }
        other => other,
    })?;
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
fn upload(
    call: Arc<Call>,
    options: DynamicMessage,
    field: FieldDescriptor,
    content_type: &str,
    body: HttpBody,
) -> HttpBody {
    let empty = DynamicMessage::new(call.binding.method.input());
    let mut first = options;
    first.set_field(&field, document(&field, content_type, Bytes::new()));
    let pieces = body.into_data_stream().map(move |piece| {
        let piece = piece.inspect_err(|error| drop(call.broken.set(error.to_string())))?;
        let mut message = empty.clone();
        message.set_field(&field, document(&field, "", piece));
        Ok::<_, axum::Error>(framed(&message))
    });
    HttpBody::from_stream(stream::once(async move { Ok(framed(&first)) }).chain(pieces))
}

/// Empties the field at the end of a path, if it is there.
fn clear(message: &mut DynamicMessage, path: &[FieldDescriptor]) {
    let Some((field, outer)) = path.split_last() else { return };
    let mut inside = message;
    for field in outer {
        if !inside.has_field(field) {
            return;
        }
        inside = inside.get_field_mut(field).as_message_mut().expect("resolve goes through messages only");
    }
    inside.clear_field(field);
}
