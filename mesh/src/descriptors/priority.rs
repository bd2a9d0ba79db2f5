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
    #[prost(message, repeated, tag = "7")]
    extensions: Vec<Extension>,
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
struct Extension {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    /// Not decoded with the method: those of others may use the same numbers.
    #[prost(bytes = "vec", tag = "4")]
    options: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(int32, tag = "50801")]
    priority: i32,
}

/// The paths of the bulk methods of a descriptor set. None if it does not define the option: its number may mean
/// something else there.
pub(super) fn bulk_methods(descriptor_set: &[u8]) -> HashSet<String> {
    let set = FileSet::decode(descriptor_set).expect("the descriptor set of a server is well-formed");
    let defines = |file: &File| {
        file.package == "dataflow.mesh.v1"
            && file.extensions.iter().any(|extension| extension.name == "priority")
    };
    if !set.files.iter().any(defines) {
        return HashSet::new();
    }
    let paths = set.files.iter().flat_map(|file| {
        let dot = if file.package.is_empty() { "" } else { "." };
        file.services.iter().flat_map(move |service| {
            let bulk = service.methods.iter().filter(|method| method.is_bulk());
            bulk.map(move |method| format!("/{}{dot}{}/{}", file.package, service.name, method.name))
        })
    });
    paths.collect()
}

// === impl Method ===

impl Method {
    fn is_bulk(&self) -> bool {
        Options::decode(&*self.options).is_ok_and(|options| options.priority == BULK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set with one method that has these options.
    fn set(options: &[u8], defines: bool) -> Vec<u8> {
        let method = Method { name: "M".to_owned(), options: options.to_vec() };
        let service = Service { name: "S".to_owned(), methods: vec![method] };
        let file = File { package: "p.v1".to_owned(), services: vec![service], ..File::default() };
        let extensions = vec![Extension { name: "priority".to_owned() }];
        let ours = File { package: "dataflow.mesh.v1".to_owned(), extensions, ..File::default() };
        let files = if defines { vec![ours, file] } else { vec![file] };
        FileSet { files }.encode_to_vec()
    }

    #[test]
    fn the_option_counts_where_it_is_defined() {
        let bulk = Options { priority: BULK }.encode_to_vec();
        // The same number with a text.
        let key = bulk[..bulk.len() - 1]
            .iter()
            .enumerate()
            .map(|(index, byte)| if index == 0 { byte | 2 } else { *byte });
        let text: Vec<u8> = key.chain([1, b'x']).collect();
        let check = |options: &[u8], defines, expected: &[&str]| {
            let found = bulk_methods(&set(options, defines));
            assert!(found.iter().map(String::as_str).eq(expected.iter().copied()), "{options:?} {found:?}");
        };
        check(&bulk, true, &["/p.v1.S/M"]);
        check(&bulk, false, &[]);
        check(&text, true, &[]);
        check(&[], true, &[]);
    }
}
