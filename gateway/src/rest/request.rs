//! The first half of transcoding: path, query and body of an HTTP request become the messages of a request in gRPC. It
//! happens inside the stack that every call passes, under its deadline and its limit of concurrent calls.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body as HttpBody;
use dataflow_transcode::{
    FieldId, JsonProblem, Preset, PresetError, Root, Source, json_to_wire, put_bytes, put_message,
};
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderMap;
use tonic::Status;

use super::document::{self, Piece};
use super::etag;
use super::mask::MaskError;
use super::multipart::{Multipart, PartLimits};
use crate::body::{BufferedBody, StreamedBody};
use crate::dialect::{BodyMode, RequestBody};
use crate::frame;
use crate::json::JsonError;
use crate::query::{ParameterError, decode, parameters};
use crate::schema::{Binding, Body};

/// The most query parameters that an error lists.
const MAX_NAMES: usize = 12;

/// The field of `google.protobuf.FieldMask`.
const PATHS_FIELD: u32 = 1;

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
            Body::Document(_) if self.binding.client_streaming => BodyMode::Streamed,
            Body::Document(_) => BodyMode::Document,
        }
    }

    /// Whether path and query set the fields of the request.
    pub(super) fn check_parameters(&self) -> Result<(), ParameterError> {
        self.preset().map(drop)
    }

    /// The body of the request in gRPC: one message, or one for each piece of a body that is passed on as it arrives.
    pub(super) fn messages(
        &self,
        headers: &HeaderMap,
        body: RequestBody,
        limits: PartLimits,
    ) -> Result<HttpBody, Status> {
        match body {
            RequestBody::Buffered(body) => {
                // Mostly a message has fewer bytes than its JSON.
                let message = frame::frame(body.bytes.len(), |out| self.message(headers, &body, out))?;
                Ok(body.sent_as(message))
            }
            RequestBody::Streamed(body) => self.upload(headers, body, limits),
        }
    }

    /// Writes the fields of path and query: the message of a request without a body.
    pub(super) fn put_parameters(&self, out: &mut Vec<u8>) -> Result<(), ParameterError> {
        self.preset()?.write(out);
        Ok(())
    }

    fn message(&self, headers: &HeaderMap, body: &BufferedBody, out: &mut Vec<u8>) -> Result<(), Status> {
        let binding = &*self.binding;
        let mut preset = self.preset()?;
        etag::bind(binding, headers, &mut preset)?;
        let json = &body.bytes;
        // Its memory is counted by what its values can become at most.
        let read = |root: Root, out: &mut Vec<u8>| {
            let read = json_to_wire(&preset, root, json, usize::MAX, out);
            read.map_err(|error| match error.problem() {
                JsonProblem::DiffersFromHeader => Status::from(etag::differs()),
                _ => JsonError::new(&error, json).into(),
            })
        };
        match (binding.body, binding.mask) {
            (Body::Absent, _) => preset.write(out),
            (Body::Whole, _) => _ = read(Root::Message, out)?,
            (Body::Field(field), Some(mask)) if !preset.has(&[mask]) => {
                let changes = read(Root::Changes(field), out)?;
                self.put_mask(field, mask, changes, out)?;
            }
            (Body::Field(field), _) => _ = read(Root::Field(field), out)?,
            (Body::Document(field), _) => {
                preset.write(out);
                document::put(binding, field, document::content_type(headers), json, out);
            }
        }
        Ok(())
    }

    /// The fields that a PATCH changes, without those that identify the resource and its version.
    fn put_mask(
        &self,
        body: FieldId,
        mask: FieldId,
        mut changes: Vec<String>,
        out: &mut Vec<u8>,
    ) -> Result<(), MaskError> {
        let Binding { schema, identity, .. } = &*self.binding;
        changes.retain(|path| !identity.contains(path));
        if changes.is_empty() {
            return Err(MaskError::NothingToChange { field: schema[body].name().to_owned() });
        }
        put_message(&schema[mask], out, |out| {
            changes.iter().for_each(|path| put_bytes(PATHS_FIELD, path.as_bytes(), out));
        });
        Ok(())
    }

    /// The messages of documents that are passed on as they arrive: the first has the fields of path and query, and each a
    /// piece of a document.
    fn upload(
        &self,
        headers: &HeaderMap,
        body: StreamedBody,
        limits: PartLimits,
    ) -> Result<HttpBody, Status> {
        let mut parameters = Vec::new();
        self.put_parameters(&mut parameters)?;
        let Body::Document(field) = self.binding.body else {
            unreachable!("the schema checked that a stream is a document")
        };
        let pieces = match Multipart::read(headers, limits)? {
            Some(multipart) => multipart.pieces(body).boxed(),
            None => document::pieces(headers, body).boxed(),
        };
        let binding = Arc::clone(&self.binding);
        Ok(HttpBody::from_stream(pieces.map_ok(move |Piece { content_type, data }| {
            let Ok(message) = frame::frame(parameters.len() + content_type.len() + data.len(), |out| {
                out.append(&mut parameters);
                document::put(&binding, field, &content_type, &data, out);
                Ok::<_, Infallible>(())
            });
            message
        })))
    }

    /// The error for a query parameter that there is not: it lists those that there are.
    fn unknown(&self, name: &str) -> ParameterError {
        let Binding { schema, input, body, .. } = &*self.binding;
        let in_body = match body {
            Body::Field(field) | Body::Document(Some(field)) => Some(schema[*field].name()),
            Body::Absent | Body::Whole | Body::Document(None) => None,
        };
        let is_in_query = |name: &&str| {
            Some(*name) != in_body && self.variables.iter().all(|(variable, _)| variable != name)
        };
        let names = schema[*input].fields().iter().map(|field| field.name()).filter(is_in_query);
        let mut names: Vec<_> = if matches!(body, Body::Whole | Body::Document(None)) {
            Vec::new()
        } else {
            names.take(MAX_NAMES + 1).collect()
        };
        if let Some(last) = names.get_mut(MAX_NAMES) {
            *last = "others";
        }
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        ParameterError::Unknown { name: name.to_owned(), known }
    }

    /// The fields of path and query.
    fn preset(&self) -> Result<Preset<'_>, ParameterError> {
        let binding = &*self.binding;
        let mut preset = Preset::new(&binding.schema, binding.input);
        let invalid = |name: &str, error: PresetError| match error {
            PresetError::Unknown => self.unknown(name),
            problem => ParameterError::invalid(name, &problem),
        };
        for (name, text) in &self.variables {
            preset.set(name, text, Source::Path).map_err(|error| invalid(name, error))?;
        }
        for (name, text) in parameters(&self.query) {
            let (name, text) = (decode(name)?, decode(text)?);
            let first = name.split('.').next().unwrap_or_default();
            let is_in_body = match binding.body {
                Body::Absent => false,
                Body::Whole | Body::Document(None) => true,
                Body::Field(field) | Body::Document(Some(field)) => {
                    binding.schema.field_named(binding.input, first) == Some(field)
                }
            };
            if is_in_body {
                return Err(self.unknown(&name));
            }
            let is_mask =
                binding.mask.is_some() && binding.schema.field_named(binding.input, &name) == binding.mask;
            // An empty mask is none.
            if is_mask && text.is_empty() {
                continue;
            }
            preset.set(&name, &text, Source::Query).map_err(|error| invalid(&name, error))?;
        }
        Ok(preset)
    }
}
