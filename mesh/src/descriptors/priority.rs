//! The method option `dataflow.mesh.v1.priority`. Read with types of its own, because the general ones drop options that
//! they do not know.

use std::collections::HashSet;

use prost::Message;

/// `BULK` of `dataflow.mesh.v1.Priority`.
const BULK: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<Options>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(int32, tag = "50801")]
    priority: i32,
}

/// The paths of the bulk methods of a descriptor set.
pub(super) fn bulk_methods(descriptor_set: &[u8]) -> HashSet<String> {
    let set = FileSet::decode(descriptor_set).expect("the descriptor set of a server is well-formed");
    let paths = set.files.iter().flat_map(|file| {
        let dot = if file.package.is_empty() { "" } else { "." };
        file.services.iter().flat_map(move |service| {
            let bulk = service
                .methods
                .iter()
                .filter(|method| method.options.as_ref().is_some_and(|options| options.priority == BULK));
            bulk.map(move |method| format!("/{}{dot}{}/{}", file.package, service.name, method.name))
        })
    });
    paths.collect()
}
