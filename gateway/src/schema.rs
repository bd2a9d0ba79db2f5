//! The schema of the gateway: a descriptor set, its services, and the REST routes of its `google.api.http` annotations.
//! It is parsed once at the start; an error in it fails the start, not a request.

use std::borrow::Cow;
use std::sync::Arc;

use dataflow_proto::google::api::HttpRule;
use dataflow_proto::google::api::http_rule::Pattern;
use http::uri::PathAndQuery;
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, MessageDescriptor,
    MethodDescriptor, Value,
};

use crate::fields::{self, FIELD_MASK, message_of};
use crate::route::{Table, Template};

/// The message whose bytes are a body of any media type.
const HTTP_BODY: &str = "google.api.HttpBody";

/// The field of a request that names the fields to change.
const UPDATE_MASK: &str = "update_mask";

/// The method option that makes a route.
const HTTP_OPTION: &str = "google.api.http";

/// A descriptor set and the data derived from it.
#[derive(Debug)]
pub struct Schema {
    descriptors: Cow<'static, [u8]>,
    pool: DescriptorPool,
    routes: Table<Arc<Binding>>,
    /// The routes, in the order of the descriptor set.
    bindings: Vec<Arc<Binding>>,
}

/// The binding of one REST route to its method, from one annotation.
#[derive(Debug)]
pub struct Binding {
    /// The method.
    pub method: MethodDescriptor,
    /// Its path in gRPC, as `/package.Service/Method`.
    pub path: PathAndQuery,
    /// The route as the annotation writes it: the label of metrics.
    pub template: String,
    /// The use of the HTTP body.
    pub body: Body,
    /// The update mask of a PATCH whose body is a field: the field that selects the parts of the body that change.
    pub mask: Option<FieldDescriptor>,
    /// What an `If-Match` of the request means.
    pub precondition: Precondition,
    /// The reply field that becomes the HTTP body; none for the whole reply.
    pub reply: Option<FieldDescriptor>,
}

/// The use of the HTTP body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// No body.
    Absent,
    /// JSON of the whole request.
    Whole,
    /// JSON of one field of the request.
    Field(FieldDescriptor),
    /// A document of any media type, as the bytes of this field, a `google.api.HttpBody`; in chunks, if the method is
    /// client-streaming.
    Document(FieldDescriptor),
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

/// Why a descriptor set cannot drive a gateway.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not a `FileDescriptorSet`, or imports are missing.
    #[error("the descriptor set cannot be read: {0}")]
    Unreadable(#[from] prost_reflect::DescriptorError),
    /// An annotation is invalid.
    #[error("{method}: {problem}")]
    Annotation {
        /// The method's full name.
        method: String,
        /// The error.
        problem: String,
    },
}

// === impl Schema ===

impl Schema {
    /// Reads a serialized `FileDescriptorSet`. Of services not `served` there are no routes.
    pub fn new(
        descriptors: impl Into<Cow<'static, [u8]>>,
        served: impl Fn(&str) -> bool,
    ) -> Result<Self, SchemaError> {
        let descriptors = descriptors.into();
        let pool = DescriptorPool::decode(&descriptors[..])?;
        let (mut routes, mut bindings) = (Table::default(), Vec::new());
        // A set whose files do not import the annotations has no routes: its methods are reached by gRPC alone.
        if let Some(option) = pool.get_extension_by_name(HTTP_OPTION) {
            for service in pool.services().filter(|service| served(service.full_name())) {
                for method in service.methods() {
                    let made = bindings_of(&method, &option).and_then(|made| {
                        for (verb, template, binding) in made {
                            bindings.push(Arc::clone(&binding));
                            routes.insert(&verb, template, binding).map_err(|error| error.to_string())?;
                        }
                        Ok(())
                    });
                    made.map_err(|problem| SchemaError::Annotation {
                        method: method.full_name().to_owned(),
                        problem,
                    })?;
                }
            }
        }
        Ok(Self { descriptors, pool, routes, bindings })
    }

    /// The descriptor set as it was given.
    pub fn descriptors(&self) -> &Cow<'static, [u8]> {
        &self.descriptors
    }

    /// Full names of all services in the set.
    pub fn services(&self) -> Vec<String> {
        self.pool.services().map(|service| service.full_name().to_owned()).collect()
    }

    /// The first route of a method.
    pub(crate) fn route_of(&self, service: &str, method: &str) -> Option<Arc<Binding>> {
        let is_it = |binding: &&Arc<Binding>| {
            binding.method.name() == method && binding.method.parent_service().full_name() == service
        };
        self.bindings.iter().find(is_it).cloned()
    }

    /// The routes.
    pub(crate) fn routes(&self) -> &Table<Arc<Binding>> {
        &self.routes
    }
}

/// The routes of one method, if it has any: HTTP method, template, binding.
fn bindings_of(
    method: &MethodDescriptor,
    option: &ExtensionDescriptor,
) -> Result<Vec<(String, Template, Arc<Binding>)>, String> {
    let options = method.options();
    if !options.has_extension(option) {
        return Ok(Vec::new());
    }
    let rule: HttpRule = match &*options.get_extension(option) {
        Value::Message(rule) => rule.transcode_to().map_err(|error| error.to_string())?,
        _ => return Err(format!("{HTTP_OPTION} is not an HttpRule")),
    };
    let further = rule.additional_bindings.clone();
    let rules = std::iter::once(rule).chain(further);
    rules
        .map(|rule| {
            let (verb, path) = pattern(&rule)?;
            let template = Template::parse(&path).map_err(|error| error.to_string())?;
            let binding = Binding::new(method, &verb, &template, &rule)?;
            Ok((verb, template, Arc::new(binding)))
        })
        .collect()
}

fn pattern(rule: &HttpRule) -> Result<(String, String), String> {
    let (verb, path) = match rule.pattern.as_ref().ok_or("a rule has no path")? {
        Pattern::Get(path) => ("GET", path),
        Pattern::Put(path) => ("PUT", path),
        Pattern::Post(path) => ("POST", path),
        Pattern::Delete(path) => ("DELETE", path),
        Pattern::Patch(path) => ("PATCH", path),
        Pattern::Custom(custom) => (custom.kind.as_str(), &custom.path),
    };
    Ok((verb.to_owned(), path.clone()))
}

// === impl Precondition ===

impl Precondition {
    fn of(verb: &str) -> Self {
        match verb {
            "PATCH" | "DELETE" => Precondition::OfExisting,
            "PUT" => Precondition::OfAny,
            "GET" => Precondition::Ignored,
            _ => Precondition::Impossible,
        }
    }
}

// === impl Binding ===

impl Binding {
    fn new(
        method: &MethodDescriptor,
        verb: &str,
        template: &Template,
        rule: &HttpRule,
    ) -> Result<Self, String> {
        let input = method.input();
        for variable in template.variables() {
            let path =
                fields::resolve(&input, variable.field_path()).map_err(|unknown| unknown.to_string())?;
            if path.last().is_none_or(|field| field.is_list() || !fields::is_scalar(field)) {
                return Err(format!("{} in the path is not one value", variable.field_path()));
            }
        }
        let body = match rule.body.as_str() {
            "" => Body::Absent,
            "*" => Body::Whole,
            name => {
                let field = field_of(&input, name)?;
                if is_document(&field) { Body::Document(field) } else { Body::Field(field) }
            }
        };
        if method.is_client_streaming() && !matches!(body, Body::Document(_)) {
            return Err(format!("it takes a stream, which over REST only a {HTTP_BODY} can be"));
        }
        let mask = match &body {
            Body::Field(field) if verb == "PATCH" && message_of(field).is_some() => {
                input.get_field_by_name(UPDATE_MASK).filter(is_mask)
            }
            _ => None,
        };
        let reply = match rule.response_body.as_str() {
            "" => None,
            name => Some(field_of(&method.output(), name)?),
        };
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        Ok(Self {
            method: method.clone(),
            path: path.parse().map_err(|_| format!("{path:?} is not a path"))?,
            template: template.to_string(),
            body,
            mask,
            precondition: Precondition::of(verb),
            reply,
        })
    }

    /// An empty request.
    pub(crate) fn request(&self) -> DynamicMessage {
        DynamicMessage::new(self.method.input())
    }

    /// The message whose JSON the reply is, unless the reply is a single field of another kind.
    pub(crate) fn reply_message(&self) -> Option<MessageDescriptor> {
        match &self.reply {
            None => Some(self.method.output()),
            Some(field) => message_of(field),
        }
    }
}

fn field_of(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    message.get_field_by_name(name).ok_or_else(|| format!("{} has no field {name:?}", message.full_name()))
}

fn is_document(field: &FieldDescriptor) -> bool {
    message_of(field).is_some_and(|message| is_http_body(&message))
}

fn is_mask(field: &FieldDescriptor) -> bool {
    message_of(field).is_some_and(|message| message.full_name() == FIELD_MASK)
}

/// Whether a message is a body of any media type.
pub(crate) fn is_http_body(message: &MessageDescriptor) -> bool {
    message.full_name() == HTTP_BODY
}
