//! The first half of transcoding: path, query and body of an HTTP request become a request in gRPC. It happens inside
//! the stack that every call passes, under its deadline and its limit of concurrent calls.

use std::sync::{Arc, OnceLock};

use axum::body::Body as HttpBody;
use bytes::Bytes;
use dataflow_mesh::propagation;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};

use super::stream::Form;
use crate::body::{Held, Limits, collect};
use crate::error::Error;
use crate::fields::{self, message_of};
use crate::frame::framed;
use crate::json::reader;
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

/// The digest of a document, sent before it (RFC 9530).
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The field of a resource that names the version which a change is meant for.
const ETAG: &str = "etag";

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
            let held = if exchange.has_body() { collect(body, limits).await? } else { Held::default() };
            let frame = exchange.request(&held.bytes)?;
            held.sent_as(frame)
        }
    };
    // It speaks of a document, which passes as it is; any other body becomes another one.
    let digest = head.headers.remove(REPR_DIGEST).filter(|_| matches!(call.binding.body, Body::Document(_)));
    head.headers = HeaderMap::new();
    propagation::apply(&mut head.headers);
    if let Some(digest) = digest {
        head.headers.insert(REPR_DIGEST, digest);
    }
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
    let mut held = Held::default();
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
            message = reader::read(method.input(), &held.bytes, "")?;
        }
        Body::Field(field) => {
            held = collect(body, limits).await?;
            message.set_field(field, reader::read_field(field, &held.bytes)?);
            let in_path = bind(call, &mut message)?;
            if let Some(mask) = &call.binding.mask {
                fill(mask, field, &in_path, &held.bytes, &mut message)?;
            }
            return Ok(held.sent_as(framed(&message)));
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

/// Fills in what path and query say, and returns which fields the path says. The path wins over the body, as the
/// annotations' own specification has it.
fn bind(call: &Call, message: &mut DynamicMessage) -> Result<Vec<Vec<FieldDescriptor>>, Error> {
    let input = call.binding.method.input();
    let mut in_path = Vec::with_capacity(call.variables.len());
    for (name, text) in &call.variables {
        let path = fields::resolve(&input, name).expect("the route was checked when it was made");
        fields::clear(message, &path);
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
    Ok(in_path)
}

/// Fills a mask that the query leaves empty: what the body has is what changes. What says which resource is meant, and
/// which version of it, is no change.
fn fill(
    mask: &FieldDescriptor,
    body: &FieldDescriptor,
    in_path: &[Vec<FieldDescriptor>],
    json: &[u8],
    message: &mut DynamicMessage,
) -> Result<(), Error> {
    let (Some(kind), Some(resource)) = (message_of(mask), message_of(body)) else { return Ok(()) };
    let is_empty = |mask: &Value| mask.as_message().is_none_or(|mask| mask.fields().next().is_none());
    if !is_empty(&message.get_field(mask)) {
        return Ok(());
    }
    let names_it =
        |field: &FieldDescriptor| in_path.iter().any(|path| path[..] == [body.clone(), field.clone()]);
    let changed = reader::given(&resource, json).into_iter();
    let changed = changed.filter(|field| field.name() != ETAG && !names_it(field));
    let paths: Vec<String> = changed.map(|field| field.name().to_owned()).collect();
    if paths.is_empty() {
        return Err(Error::NothingToChange { field: body.name().to_owned() });
    }
    message.set_field(mask, Value::Message(fields::mask(&kind, paths)));
    Ok(())
}

fn parameter(name: &str, problem: &impl ToString) -> Error {
    Error::ParameterInvalid { name: name.to_owned(), problem: problem.to_string() }
}

/// Names and values of a query, still encoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// A name or a value as forms write it (`application/x-www-form-urlencoded`).
fn decode(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(Into::into).map_err(|_| parameter(text, &"it is not UTF-8 once decoded"))
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
