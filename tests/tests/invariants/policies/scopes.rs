//! Each method of the contract states what its callers must be allowed to do.

use dataflow_mesh::access::{Access, AccessTable, Scope};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{MethodDescriptor, Value};
use prost_types::method_options::IdempotencyLevel;

use super::contract::methods;

/// An option of a method, if it has it.
fn option(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name).unwrap();
    let options = method.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

#[test]
fn every_method_states_its_scope() {
    for (path, method) in methods() {
        let scope = option(&method, "dataflow.mesh.v1.scope").and_then(|scope| scope.as_enum_number());
        assert!(scope.is_some_and(|scope| scope > 0), "{path} states no dataflow.mesh.v1.scope");
    }
}

#[test]
fn scopes_are_those_of_what_a_method_does() {
    let table = AccessTable::of(FILE_DESCRIPTOR_SET);
    for (path, method) in methods() {
        let access = table.get(&path).unwrap();
        let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
        let only_reads = options.idempotency_level() == IdempotencyLevel::NoSideEffects;
        let has_route = option(&method, "google.api.http").is_some();
        match access {
            Access::Scope(Scope::Read) => assert!(only_reads, "{path} changes something"),
            Access::Scope(Scope::Write) | Access::TenantWrite => {
                assert!(!only_reads, "{path} changes nothing")
            }
            Access::Scope(Scope::Admin) | Access::OfMesh => {}
            Access::Internal => assert!(!has_route, "{path} can be called over REST"),
        }
    }
}
