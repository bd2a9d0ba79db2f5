//! The methods of the contract, by their full names.

use std::collections::BTreeMap;

use dataflow_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;

/// Services that every process serves.
pub(crate) const MESH_SERVICE: &str = "dataflow.mesh.v1.MeshService";
const HEALTH: [&str; 2] = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];

/// Every method, as `/package.Service/Method`.
pub(crate) fn methods() -> BTreeMap<String, MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let named =
        methods.map(|method| (format!("/{}/{}", method.parent_service().full_name(), method.name()), method));
    named.collect()
}

/// The methods that a role serves.
pub(crate) fn served_by(role: &str) -> Vec<String> {
    let mut own = vec![format!("/dataflow.{role}.v1."), format!("/{MESH_SERVICE}/")];
    if role == "analysis" {
        own.push("/dataflow.catalogue.v1.".to_owned());
    }
    let served = methods().into_keys().filter(|path| own.iter().any(|own| path.starts_with(own)));
    served.chain(HEALTH.map(str::to_owned)).collect()
}

/// Whether a method is idempotent, so that it may be retried.
pub(crate) fn is_safe(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
    options.idempotency_level() != IdempotencyLevel::IdempotencyUnknown
}
