//! The closed set of a service's methods, read from its descriptor set. Metric labels come only from here and never
//! from a request path, which a caller can choose.

pub(crate) mod options;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::descriptor_set::{self, File, FileSet};
use crate::elements::MessageTypes;

/// A method: its two label values, and what is streamed. Cheap to clone, as each call does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Method {
    /// The service's full name, for instance `dataflow.cache.v1.CacheService`.
    pub(crate) service: Arc<str>,
    /// The method's name, for instance `GetEntry`.
    pub(crate) name: Arc<str>,
    /// Whether it is server-streaming. Such a response may be a watch, which has no natural end.
    pub(crate) streams: bool,
    /// Whether it is client-streaming too: messages of both sides may alternate.
    pub(crate) is_bidirectional: bool,
    /// Whether its calls are bulk, by its option `dataflow.mesh.v1.priority`.
    pub(crate) is_bulk: bool,
    /// Whether its request is a single message, of this type: its full name after a dot.
    pub(crate) unary_request: Option<Arc<str>>,
}

/// The methods of health and reflection, which every server has.
pub(crate) fn control_methods() -> Methods {
    let all: [(&[&str], &[u8]); 3] = [
        (&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET),
        (&["grpc.reflection.v1.ServerReflection"], tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET),
        (&["grpc.reflection.v1alpha.ServerReflection"], tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET),
    ];
    let by_path = all.into_iter().flat_map(|(services, set)| {
        let methods = Methods::of(services, set);
        Arc::unwrap_or_clone(methods.by_path)
    });
    Methods { by_path: Arc::new(by_path.collect()), types: MessageTypes::default() }
}

/// The methods of one server by their HTTP/2 paths. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Methods {
    by_path: Arc<HashMap<String, Method>>,
    /// The types of their messages.
    types: MessageTypes,
}

// === impl Method ===

impl Method {
    /// A method that streams nothing.
    pub(crate) fn unary(service: &str, name: &str) -> Self {
        let (service, name) = (service.into(), name.into());
        Self { service, name, streams: false, is_bidirectional: false, is_bulk: false, unary_request: None }
    }
}

/// As in traces: `package.Service/Method`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.name)
    }
}

// === impl Methods ===

impl Methods {
    /// All methods of the given services. The descriptor set, one for the whole workspace, describes others too.
    pub(crate) fn of(services: &[impl AsRef<str>], bytes: &[u8]) -> Self {
        let set = FileSet::read(bytes);
        let options = options::of(&set);
        let mut by_path = HashMap::new();
        for (full_name, service) in set.files.iter().flat_map(File::services) {
            if !services.iter().any(|name| name.as_ref() == full_name) {
                continue;
            }
            for method in &service.methods {
                let path = format!("/{full_name}/{}", method.name);
                let descriptor_set::Method { client_streaming, server_streaming, .. } = *method;
                let method = Method {
                    service: full_name.as_str().into(),
                    name: method.name.as_str().into(),
                    streams: server_streaming,
                    is_bidirectional: server_streaming && client_streaming,
                    is_bulk: options.get(&path).is_some_and(|options| options.is_bulk),
                    unary_request: (!client_streaming).then(|| method.input_type.as_str().into()),
                };
                by_path.insert(path, method);
            }
        }
        Self { by_path: Arc::new(by_path), types: MessageTypes::of(&set) }
    }

    /// The methods with their paths, in no order.
    pub(crate) fn by_path(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.by_path.iter().map(|(path, method)| (path.as_str(), method))
    }

    /// The types of their messages.
    pub(crate) fn types(&self) -> &MessageTypes {
        &self.types
    }

    /// The method at a path; `None` when the server has no such method.
    pub(crate) fn get(&self, path: &str) -> Option<&Method> {
        self.by_path.get(path)
    }

    /// Whether the method at a path is server-streaming.
    pub(crate) fn streams(&self, path: &str) -> bool {
        self.get(path).is_some_and(|method| method.streams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_health_and_reflection_are_known() {
        let methods = control_methods();
        assert!(methods.streams("/grpc.health.v1.Health/Watch"));
        assert!(!methods.streams("/grpc.health.v1.Health/Check"));
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            assert!(methods.get(&path).is_some_and(|method| method.is_bidirectional), "{path}");
        }
    }

    #[test]
    fn only_methods_of_the_given_services_are_known_with_their_streaming_kind() {
        let set = tonic_health::pb::FILE_DESCRIPTOR_SET;
        let methods = Methods::of(&["grpc.health.v1.Health"], set);
        assert!(methods.get("/grpc.health.v1.Health/Check").is_some_and(|method| &*method.name == "Check"));
        assert!(!methods.streams("/grpc.health.v1.Health/Check"));
        assert!(methods.streams("/grpc.health.v1.Health/Watch"));
        assert!(!methods.streams("/grpc.health.v1.Health/Unknown"));
        assert_eq!(Methods::of(&["other.v1.Service"], set).get("/grpc.health.v1.Health/Check"), None);
    }
}
