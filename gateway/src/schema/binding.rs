//! The binding of one REST route to its method: what path, query, body and headers of a request set, and what of the
//! reply is the response.

use std::sync::Arc;

use dataflow_proto::google::api::HttpRule;
use dataflow_transcode::{Cardinality, FieldId, Kind, MessageId, Method, Schema};
use http::uri::PathAndQuery;

use crate::route::Template;

/// The message whose bytes are a body of any media type.
const HTTP_BODY: &str = "google.api.HttpBody";

/// The message that names fields.
const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// The field of a request that names the fields to change.
const UPDATE_MASK: &str = "update_mask";

/// The field of a resource, or of a request, that names a version.
const ETAG: &str = "etag";

/// The binding of one REST route to its method, from one annotation.
#[derive(Debug)]
pub struct Binding {
    /// The messages of the descriptor set.
    pub schema: Arc<Schema>,
    /// The request.
    pub input: MessageId,
    /// The reply.
    pub output: MessageId,
    /// Whether the method takes a stream of requests.
    pub client_streaming: bool,
    /// Whether the method replies with a stream.
    pub server_streaming: bool,
    /// Its path in gRPC, as `/package.Service/Method`.
    pub path: PathAndQuery,
    /// The route as the annotation writes it: the label of metrics.
    pub template: String,
    /// The use of the HTTP body.
    pub body: Body,
    /// The update mask of a PATCH whose body is a field: the field that selects the parts of the body that change.
    pub mask: Option<FieldId>,
    /// The parts of such a body that are no changes, as paths within it: they identify the resource and its version.
    pub identity: Vec<String>,
    /// What an `If-Match` of the request means.
    pub precondition: Precondition,
    /// The field of the request that names the version to change, as a path.
    pub etag: Option<String>,
    /// The reply field that becomes the HTTP body; none for the whole reply.
    pub reply: Option<FieldId>,
}

/// The use of the HTTP body of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// No body.
    Absent,
    /// JSON of the whole request.
    Whole,
    /// JSON of one field of the request.
    Field(FieldId),
    /// A document of any media type, as a `google.api.HttpBody`: this field of the request, or the request itself. In
    /// chunks, if the method is client-streaming.
    Document(Option<FieldId>),
}

/// The meaning of an `If-Match`, by the HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// The etag of the request. `*` is met whenever the call succeeds: the resource must exist.
    OfExisting,
    /// The etag of the request, of a resource that may not exist.
    OfAny,
    /// Nothing: the method only reads.
    Ignored,
    /// The method changes something, and has no place for an etag.
    Impossible,
}

// === impl Precondition ===

impl Precondition {
    /// The meaning for a method with this verb, whose request may have an etag at this path. A POST with an etag of its own
    /// changes a resource; that of a resource in its body would be of one that it creates.
    fn of(verb: &str, etag: Option<&str>) -> Self {
        match verb {
            "PATCH" | "DELETE" => Precondition::OfExisting,
            "POST" if etag == Some(ETAG) => Precondition::OfExisting,
            "PUT" => Precondition::OfAny,
            "GET" => Precondition::Ignored,
            _ => Precondition::Impossible,
        }
    }
}

// === impl Binding ===

impl Binding {
    pub(super) fn new(
        schema: &Arc<Schema>,
        service: &str,
        method: &Method,
        verb: &str,
        template: &Template,
        rule: &HttpRule,
    ) -> Result<Self, String> {
        let mut in_path = Vec::new();
        for variable in template.variables() {
            let path = schema.resolve(method.input, variable.field_path());
            let path = path.ok_or_else(|| {
                format!("{} has no field {:?}", schema[method.input].full_name(), variable.field_path())
            })?;
            if !path.last().is_some_and(|field| is_one_text(schema, *field)) {
                return Err(format!("{} in the path is not one value", variable.field_path()));
            }
            in_path.push(path);
        }
        let body = match rule.body.as_str() {
            "" => Body::Absent,
            "*" if is_http_body(schema, method.input) => Body::Document(None),
            "*" => Body::Whole,
            name => {
                let field = field_of(schema, method.input, name)?;
                let message = schema[field].message();
                let is_document = message.is_some_and(|message| is_http_body(schema, message));
                if is_document { Body::Document(Some(field)) } else { Body::Field(field) }
            }
        };
        let etag_of = |message: MessageId| {
            let field = schema.field_named(message, ETAG)?;
            let is_text =
                schema[field].kind() == Kind::String && schema[field].cardinality() == Cardinality::Singular;
            is_text.then_some(ETAG)
        };
        let (mut mask, mut identity, mut etag) = (None, Vec::new(), None);
        match body {
            Body::Field(field) => {
                if let Some(resource) = schema[field].message() {
                    etag = etag_of(resource).map(|etag| format!("{}.{etag}", schema[field].name()));
                    mask = schema
                        .field_named(method.input, UPDATE_MASK)
                        .filter(|mask| verb == "PATCH" && is_mask(schema, *mask));
                }
                let inside = in_path.iter().filter(|path| path.first() == Some(&field));
                let names = |path: &Vec<FieldId>| {
                    path[1..].iter().map(|field| schema[*field].name()).collect::<Vec<_>>()
                };
                identity.extend(inside.map(|path| names(path).join(".")));
                identity.push(ETAG.to_owned());
            }
            _ => etag = etag_of(method.input).map(str::to_owned),
        }
        let reply = match rule.response_body.as_str() {
            "" => None,
            name => Some(field_of(schema, method.output, name)?),
        };
        let path = format!("/{service}/{}", method.name);
        Ok(Self {
            schema: Arc::clone(schema),
            input: method.input,
            output: method.output,
            client_streaming: method.client_streaming,
            server_streaming: method.server_streaming,
            path: path.parse().map_err(|_| format!("{path:?} is not a path"))?,
            template: template.to_string(),
            body,
            mask,
            identity,
            precondition: Precondition::of(verb, etag.as_deref()),
            etag,
            reply,
        })
    }

    /// Whether each part of a body of `multipart/form-data` is a document of the request.
    pub(crate) fn takes_parts(&self) -> bool {
        self.client_streaming && matches!(self.body, Body::Document(_))
    }

    /// Why the route cannot exist, if it cannot: over REST, a stream of requests is the chunks of a document.
    pub(super) fn inexpressible(&self) -> Option<String> {
        let is_stream = self.client_streaming && !matches!(self.body, Body::Document(_));
        is_stream.then(|| format!("it takes a stream, which over REST only a {HTTP_BODY} can be"))
    }

    /// The message whose JSON the response is, unless that is a single field of another kind.
    pub(crate) fn reply_message(&self) -> Option<MessageId> {
        match self.reply {
            None => Some(self.output),
            Some(field) => self.schema[field].message(),
        }
    }
}

/// Whether a message is a body of any media type.
pub(crate) fn is_http_body(schema: &Schema, message: MessageId) -> bool {
    schema[message].full_name() == HTTP_BODY
}

fn field_of(schema: &Schema, message: MessageId, name: &str) -> Result<FieldId, String> {
    let field = schema.field_named(message, name);
    field.ok_or_else(|| format!("{} has no field {name:?}", schema[message].full_name()))
}

fn is_mask(schema: &Schema, field: FieldId) -> bool {
    schema[field].message().is_some_and(|message| schema[message].full_name() == FIELD_MASK)
}

/// Whether a field has one value, which can be written as one text.
fn is_one_text(schema: &Schema, field: FieldId) -> bool {
    let field = &schema[field];
    let is_scalar = field.kind().message().is_none_or(|message| schema[message].is_scalar());
    field.cardinality() == Cardinality::Singular && is_scalar
}
