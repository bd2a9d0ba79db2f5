//! The schema of the gateway: a descriptor set, its services, and the REST routes of its `google.api.http` annotations.
//! It is compiled once at the start; an error in it fails the start, not a request.

mod binding;
mod details;

use std::borrow::Cow;
use std::sync::Arc;

use dataflow_proto::google::api::HttpRule;
use dataflow_proto::google::api::http_rule::Pattern;
use dataflow_transcode::{self as transcode, Method};
use prost::Message as _;

use crate::route::{Table, Template};

pub(crate) use binding::is_http_body;
pub use binding::{Binding, Body, Precondition};

/// A descriptor set and the data derived from it.
#[derive(Debug)]
pub struct Schema {
    descriptors: Cow<'static, [u8]>,
    messages: Arc<transcode::Schema>,
    routes: Table<Arc<Binding>>,
    /// The routes, in the order of the descriptor set.
    bindings: Vec<Arc<Binding>>,
    /// Those that take `multipart/form-data`, as people write them.
    parts_routes: Vec<String>,
    /// The methods that have an annotation and no route, with the reason.
    left_out: Vec<(String, String)>,
}

/// Why a descriptor set cannot drive a gateway.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not a `FileDescriptorSet`, or imports are missing.
    #[error("the descriptor set cannot be used: {0}")]
    Unusable(#[from] transcode::SchemaError),
    /// An annotation is invalid.
    #[error("{method}: {problem}")]
    Annotation {
        /// The method's full name.
        method: String,
        /// The error.
        problem: String,
    },
}

/// `google.protobuf.MethodOptions`, with the extension that makes routes.
#[derive(Clone, PartialEq, prost::Message)]
struct MethodOptions {
    #[prost(message, optional, tag = "72295728")]
    http: Option<HttpRule>,
}

// === impl Schema ===

impl Schema {
    /// Reads a serialized `FileDescriptorSet`. Of services not `served` there are no routes. A method that REST cannot
    /// express is left out.
    ///
    /// # Errors
    ///
    /// If the set is incomplete, or an annotation in it is malformed.
    pub fn new(
        descriptors: impl Into<Cow<'static, [u8]>>,
        served: impl Fn(&str) -> bool,
    ) -> Result<Self, SchemaError> {
        let descriptors = descriptors.into();
        let given = transcode::Schema::new(&descriptors)?;
        let (descriptors, messages) = details::with_details(descriptors, given);
        let messages = Arc::new(messages);
        let (mut routes, mut bindings) = (Table::default(), Vec::new());
        let (mut parts_routes, mut left_out) = (Vec::new(), Vec::new());
        for service in messages.services().iter().filter(|service| served(&service.full_name)) {
            for method in &service.methods {
                let full_name = format!("{}.{}", service.full_name, method.name);
                let made = bindings_of(&messages, &service.full_name, method).and_then(|made| {
                    for (verb, template, binding) in made {
                        if let Some(problem) = binding.inexpressible() {
                            left_out.push((full_name.clone(), problem));
                            continue;
                        }
                        if binding.takes_parts() {
                            parts_routes.push(format!("{verb} {template}"));
                        }
                        bindings.push(Arc::clone(&binding));
                        routes.insert(&verb, template, binding).map_err(|error| error.to_string())?;
                    }
                    Ok(())
                });
                made.map_err(|problem| SchemaError::Annotation { method: full_name, problem })?;
            }
        }
        Ok(Self { descriptors, messages, routes, bindings, parts_routes, left_out })
    }

    /// The descriptor set as it was given, with the messages of errors.
    pub fn descriptors(&self) -> &Cow<'static, [u8]> {
        &self.descriptors
    }

    /// The messages of the set.
    pub(crate) fn messages(&self) -> &Arc<transcode::Schema> {
        &self.messages
    }

    /// Full names of all services in the set.
    pub fn services(&self) -> Vec<String> {
        self.messages.services().iter().map(|service| service.full_name.clone()).collect()
    }

    /// The first route of a method.
    pub(crate) fn route_of(&self, service: &str, method: &str) -> Option<Arc<Binding>> {
        let path = format!("/{service}/{method}");
        self.bindings.iter().find(|binding| binding.path.path() == path).cloned()
    }

    /// The methods that have an annotation and no route, since REST cannot express them: full name, and reason.
    pub(crate) fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    /// The routes that take `multipart/form-data`, as `POST /v1/documents`.
    pub(crate) fn parts_routes(&self) -> &[String] {
        &self.parts_routes
    }

    /// The routes.
    pub(crate) fn routes(&self) -> &Table<Arc<Binding>> {
        &self.routes
    }
}

/// The routes of one method, if it has any: HTTP method, template, binding.
fn bindings_of(
    messages: &Arc<transcode::Schema>,
    service: &str,
    method: &Method,
) -> Result<Vec<(String, Template, Arc<Binding>)>, String> {
    let options = MethodOptions::decode(method.options.clone()).map_err(|error| error.to_string())?;
    let Some(rule) = options.http else { return Ok(Vec::new()) };
    let further = rule.additional_bindings.clone();
    if further.iter().any(|rule| !rule.additional_bindings.is_empty()) {
        return Err("additional_bindings stand within additional_bindings".to_owned());
    }
    let rules = std::iter::once(rule).chain(further);
    rules
        .map(|rule| {
            let (verb, path) = pattern(&rule)?;
            let template = Template::parse(&path).map_err(|error| error.to_string())?;
            let binding = Binding::new(messages, service, method, &verb, &template, &rule)?;
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
