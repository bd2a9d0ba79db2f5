//! The first half of transcoding: path, query and body of an HTTP request become the messages of a request in gRPC. It
//! happens inside the stack that every call passes, under its deadline and its limit of concurrent calls.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, Value};
use tonic::Status;

use super::{etag, mask};
use crate::body::{BufferedBody, StreamedBody};
use crate::dialect::{BodyMode, RequestBody};
use crate::fields;
use crate::frame::framed;
use crate::json::reader;
use crate::query::{ParameterError, decode, parameters};
use crate::schema::{Binding, Body};

/// A request that has found its route.
#[derive(Debug)]
pub(super) struct RoutedRequest {
    pub(super) binding: Arc<Binding>,
    /// Field paths of the route's variables, and their values.
    pub(super) variables: Vec<(String, String)>,
    /// As it was sent.
    pub(super) query: String,
}

// === impl RoutedRequest ===

impl RoutedRequest {
    /// How its body is read.
    pub(super) fn body_mode(&self) -> BodyMode {
        match &self.binding.body {
            Body::Absent => BodyMode::Empty,
            Body::Whole | Body::Field(_) => BodyMode::Json,
            Body::Document(_) if self.binding.method.is_client_streaming() => BodyMode::Streamed,
            Body::Document(_) => BodyMode::Document,
        }
    }

    /// Whether path and query set the fields of the request.
    pub(super) fn check_parameters(&self) -> Result<(), ParameterError> {
        self.bind(&mut self.binding.request()).map(drop)
    }

    /// The body of the request in gRPC: one message, or one for each piece of a body that is passed on as it arrives.
    pub(super) fn messages(&self, headers: &HeaderMap, body: RequestBody) -> Result<HttpBody, Status> {
        match body {
            RequestBody::Buffered(body) => {
                let message = self.message(headers, &body)?;
                Ok(body.sent_as(framed(&message)))
            }
            RequestBody::Streamed(body) => Ok(self.upload(headers, body)?),
        }
    }

    fn message(&self, headers: &HeaderMap, body: &BufferedBody) -> Result<DynamicMessage, Status> {
        let mut message = match &self.binding.body {
            Body::Whole => reader::read(self.binding.method.input(), &body.bytes, "")?,
            Body::Absent | Body::Field(_) | Body::Document(_) => self.binding.request(),
        };
        if let Body::Field(field) = &self.binding.body {
            message.set_field(field, reader::read_field(field, &body.bytes)?);
        }
        let in_path = self.bind(&mut message)?;
        match (&self.binding.body, &self.binding.mask) {
            (Body::Field(field), Some(mask)) => {
                mask::fill(mask, field, &in_path, &body.bytes, &mut message)?;
            }
            (Body::Document(field), _) => {
                message.set_field(field, document(field, content_type(headers), body.bytes.clone()));
            }
            _ => {}
        }
        etag::bind(&self.binding, headers, &mut message)?;
        Ok(message)
    }

    /// The messages of a streamed document: the first has the fields of path and query, and each has a chunk.
    fn upload(&self, headers: &HeaderMap, body: StreamedBody) -> Result<HttpBody, ParameterError> {
        let Body::Document(field) = self.binding.body.clone() else {
            unreachable!("the schema checked that a stream is a document")
        };
        let (mut first, empty) = (self.binding.request(), self.binding.request());
        self.bind(&mut first)?;
        first.set_field(&field, document(&field, content_type(headers), Bytes::new()));
        let pieces = body.pieces().map(move |piece| {
            let mut message = empty.clone();
            message.set_field(&field, document(&field, "", piece?));
            Ok::<_, axum::Error>(framed(&message))
        });
        Ok(HttpBody::from_stream(stream::once(async move { Ok(framed(&first)) }).chain(pieces)))
    }

    /// Sets the fields of path and query, and returns the fields of the path. The path takes precedence over the body,
    /// as the specification of the annotations requires.
    fn bind(&self, message: &mut DynamicMessage) -> Result<Vec<Vec<FieldDescriptor>>, ParameterError> {
        let input = self.binding.method.input();
        let mut in_path = Vec::with_capacity(self.variables.len());
        for (name, text) in &self.variables {
            let path = fields::resolve(&input, name).expect("the route was checked when it was made");
            fields::clear(message, &path);
            fields::set(message, &path, text).map_err(|error| ParameterError::invalid(name, &error))?;
            in_path.push(path);
        }
        for (name, text) in parameters(&self.query) {
            let (name, text) = (decode(name)?, decode(text)?);
            let unknown = || ParameterError::Unknown { name: name.clone() };
            let path = fields::resolve(&input, &name).map_err(|_| unknown())?;
            let taken = match &self.binding.body {
                Body::Absent => false,
                Body::Whole => true,
                Body::Field(field) | Body::Document(field) => path.first() == Some(field),
            };
            if taken || in_path.contains(&path) || path.last().is_none_or(|field| !fields::is_scalar(field)) {
                return Err(unknown());
            }
            let is_first = fields::set(message, &path, &text);
            if !is_first.map_err(|error| ParameterError::invalid(&name, &error))? {
                return Err(ParameterError::invalid(&name, &"it is given twice"));
            }
        }
        Ok(in_path)
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
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
