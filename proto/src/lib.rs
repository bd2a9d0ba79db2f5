//! The contract of the mesh: every message and service, generated from the `.proto` files beside this crate, and the
//! descriptor set that reflection serves and the gateway is driven by. No logic lives here.
//!
//! Generated types are always used qualified, as in `use dataflow_proto::cache::v1 as pb;`.

/// The serialised `FileDescriptorSet` of every package below, with imports, options and source comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub use generated::dataflow::{analysis, cache, catalogue, config, mesh, store, r#type};
pub use generated::google;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}
