//! The closed set of method names that a service has, read from its descriptor set: labels of metrics may only come
//! from here, never from what a caller typed.

use std::collections::HashMap;

use prost::Message;
use prost_types::FileDescriptorSet;

/// A method by its two label values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Method {
    /// The service's full name, for instance `dataflow.cache.v1.CacheService`.
    pub(crate) service: String,
    /// The method's name, for instance `GetEntry`.
    pub(crate) method: String,
}

/// Every method of the descriptor set by its HTTP/2 path.
pub(crate) fn methods(descriptor_set: &[u8]) -> HashMap<String, Method> {
    let set =
        FileDescriptorSet::decode(descriptor_set).expect("the descriptor set was written by our own build");
    let mut methods = HashMap::new();
    for file in &set.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                let path = format!("/{name}/{}", method.name());
                methods.insert(path, Method { service: name.clone(), method: method.name().to_owned() });
            }
        }
    }
    methods
}
