//! Compiles the `.proto` files with protox, so that no machine needs protoc, and keeps the descriptor set as bytes: a
//! round trip through prost-types would drop the `google.api.http` options that the gateway reads.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const PROTOS: [&str; 18] = [
    "dataflow/analysis/v1/analysis_service.proto",
    "dataflow/cache/v1/cache_service.proto",
    "dataflow/cache/v1/stored.proto",
    "dataflow/catalogue/v1/catalogue_service.proto",
    "dataflow/catalogue/v1/stored.proto",
    "dataflow/config/v1/audit_service.proto",
    "dataflow/config/v1/config_service.proto",
    "dataflow/config/v1/flag_service.proto",
    "dataflow/config/v1/key_service.proto",
    "dataflow/config/v1/provider_service.proto",
    "dataflow/config/v1/rule_service.proto",
    "dataflow/config/v1/stored.proto",
    "dataflow/config/v1/stored_refusal.proto",
    "dataflow/config/v1/theme_service.proto",
    "dataflow/mesh/v1/mesh_service.proto",
    "dataflow/store/v1/record.proto",
    // No file imports them, but statuses have them as details: who decodes a status finds them by reflection.
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=dataflow");
    println!("cargo:rerun-if-changed=google");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(PROTOS)?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = tonic_prost_build::Config::new();
    config.include_file("packages.rs").btree_map(["."]).bytes(["."]);
    tonic_prost_build::configure().compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}
