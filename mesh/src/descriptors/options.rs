//! The options of methods: `dataflow.mesh.v1.priority` and `scope`, and the idempotency. Read with types of their own,
//! because the general ones drop options that they do not know.

use std::collections::HashMap;

use prost::Message;

use crate::descriptor_set::{File, FileSet, Method};

/// `BULK` of `dataflow.mesh.v1.Priority`.
const BULK: i32 = 1;

/// `NO_SIDE_EFFECTS` of the idempotency of a method.
const NO_SIDE_EFFECTS: i32 = 1;

/// The package that defines our options.
const PACKAGE: &str = "dataflow.mesh.v1";

/// What a method states of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MethodOptions {
    pub(crate) is_bulk: bool,
    /// A number of `dataflow.mesh.v1.Scope`; 0 if none is stated.
    pub(crate) scope: i32,
    pub(crate) has_side_effects: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Standard {
    #[prost(int32, tag = "34")]
    idempotency: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Priority {
    #[prost(int32, tag = "50801")]
    priority: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(int32, tag = "50802")]
    scope: i32,
}

/// The options of all methods of a descriptor set, by their paths. Those of ours count only where the set defines them:
/// their numbers may mean something else elsewhere.
pub(crate) fn of(set: &FileSet) -> HashMap<String, MethodOptions> {
    let defines = |name: &str| {
        let ours = set.files.iter().filter(|file| file.package == PACKAGE);
        ours.flat_map(|file| &file.extensions).any(|extension| extension.name == name)
    };
    let (has_priority, has_scope) = (defines("priority"), defines("scope"));
    let options = |method: &Method| {
        let bytes = &*method.options;
        let priority = has_priority.then(|| Priority::decode(bytes).ok()).flatten();
        let scope = has_scope.then(|| Scope::decode(bytes).ok()).flatten();
        let standard = Standard::decode(bytes).unwrap_or_default();
        MethodOptions {
            is_bulk: priority.is_some_and(|options| options.priority == BULK),
            scope: scope.map_or(0, |options| options.scope),
            has_side_effects: standard.idempotency != NO_SIDE_EFFECTS,
        }
    };
    let mut by_path = HashMap::new();
    for (name, service) in set.files.iter().flat_map(File::services) {
        for method in &service.methods {
            by_path.insert(format!("/{name}/{}", method.name), options(method));
        }
    }
    by_path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor_set::{Extension, Service};

    /// The options of a method that has these bytes as its options, in a set that may define ours.
    fn read(options: &[u8], defines: bool) -> MethodOptions {
        let method = Method { name: "M".to_owned(), options: options.to_vec(), ..Method::default() };
        let service = Service { name: "S".to_owned(), methods: vec![method] };
        let file = File { package: "p.v1".to_owned(), services: vec![service], ..File::default() };
        let extensions = ["priority", "scope"].map(|name| Extension { name: name.to_owned() }).to_vec();
        let ours = File { package: PACKAGE.to_owned(), extensions, ..File::default() };
        let files = if defines { vec![ours, file] } else { vec![file] };
        of(&FileSet { files })["/p.v1.S/M"]
    }

    #[test]
    fn our_options_count_where_they_are_defined() {
        let bulk = Priority { priority: BULK }.encode_to_vec();
        let admin = Scope { scope: 3 }.encode_to_vec();
        let reads = Standard { idempotency: NO_SIDE_EFFECTS }.encode_to_vec();
        // The same number with a text.
        let key = bulk[..bulk.len() - 1]
            .iter()
            .enumerate()
            .map(|(index, byte)| if index == 0 { byte | 2 } else { *byte });
        let text: Vec<u8> = key.chain([1, b'x']).collect();
        let check = |options: &[u8], defines, is_bulk, scope, has_side_effects| {
            let expected = MethodOptions { is_bulk, scope, has_side_effects };
            assert_eq!(read(options, defines), expected, "{options:?}");
        };
        check(&[], true, false, 0, true);
        check(&bulk, true, true, 0, true);
        check(&bulk, false, false, 0, true);
        check(&text, true, false, 0, true);
        check(&[&text[..], &admin].concat(), true, false, 3, true);
        check(&admin, false, false, 0, true);
        check(&[&bulk[..], &admin, &reads].concat(), true, true, 3, false);
        check(&reads, false, false, 0, false);
    }
}
