//! Layering rules: gRPC only at the edge, failures mapped in one place, output only from the binary.

use crate::Rule;
use crate::source::{Source, words};

/// Crates whose modules are domain code: they use their own types, and convert at their edge.
const DOMAIN: [&str; 9] = [
    "services/analysis/src",
    "services/cache/src",
    "services/catalogue/src",
    "services/config/src",
    "services/rules/src",
    "services/sdmx/src",
    "services/settings/src",
    "services/store/src",
    "services/uploads/src",
];

/// The edge modules of those crates. All other modules are domain code.
pub(crate) const EDGE: [(&str, &str); 27] = [
    ("services/analysis/src/lib.rs", "wires the service"),
    ("services/analysis/src/grpc.rs", "adapts the wire"),
    ("services/analysis/src/convert.rs", "converts to and from the wire"),
    ("services/analysis/src/error.rs", "maps the errors of the upload stream"),
    ("services/analysis/src/analyses.rs", "returns messages, since results are cached as such"),
    ("services/analysis/src/results.rs", "calls the cache service"),
    ("services/analysis/src/rule_watch.rs", "calls the config service"),
    ("services/analysis/src/theme_watch.rs", "calls the config service"),
    ("services/analysis/src/overlays.rs", "calls the config service"),
    ("services/analysis/src/flags.rs", "calls the config service"),
    ("services/cache/src/lib.rs", "wires the service"),
    ("services/cache/src/grpc.rs", "adapts the wire"),
    ("services/cache/src/convert.rs", "converts to and from the wire"),
    ("services/cache/src/stored.rs", "encodes entries"),
    ("services/catalogue/src/lib.rs", "wires the service"),
    ("services/catalogue/src/grpc.rs", "adapts the wire"),
    ("services/catalogue/src/convert.rs", "converts to and from the wire"),
    ("services/catalogue/src/error.rs", "maps the errors of the upload stream"),
    ("services/catalogue/src/stored.rs", "encodes contents and records"),
    ("services/catalogue/src/registry.rs", "calls the config service"),
    ("services/uploads/src/messages.rs", "takes documents out of messages"),
    ("services/uploads/src/error.rs", "keeps the transport error as a source"),
    ("services/store/src/record.rs", "encodes records"),
    ("services/config/src/lib.rs", "wires the service"),
    ("services/config/src/grpc.rs", "adapts the wire"),
    ("services/config/src/convert.rs", "converts to and from the wire"),
    ("services/config/src/stored.rs", "encodes changes"),
];

/// Modules that may use gRPC codes and HTTP statuses, besides tests.
const CODES: [(&str, &str); 23] = [
    ("mesh/src/access_log.rs", "reads codes and statuses, to tell failures"),
    ("mesh/src/status.rs", "the only mapping from failures to codes"),
    ("mesh/src/metrics.rs", "reads codes, for their labels"),
    ("mesh/src/inbound/observe.rs", "reads codes, to count and log them"),
    (
        "mesh/src/outbound/observed.rs",
        "reads codes, to count calls to peers and to tell whether those respond",
    ),
    ("mesh/src/admin.rs", "responds to the kubelet, which distinguishes only 200 and 503"),
    (
        "services/analysis/src/overlays.rs",
        "reads codes, to distinguish an unavailable config service from a rejected call",
    ),
    (
        "services/analysis/src/results.rs",
        "reads codes, to distinguish an unavailable cache from a rejected call",
    ),
    ("services/catalogue/src/registry.rs", "reads codes, to tell a provider that is not registered"),
    ("services/dataflow/src/client.rs", "reads codes, to choose an exit status"),
    ("services/dataflow/src/status.rs", "reads codes, to show why a health check failed"),
    ("gateway/src/auth/key_source/fetch.rs", "reads the status of the server of a key set"),
    ("gateway/src/access.rs", "reads statuses, to count and log them"),
    ("gateway/src/forward.rs", "reads codes, to tell a resource that does not exist"),
    ("gateway/src/upstreams/proxy.rs", "reads codes, to tell what a proxy means by its text"),
    ("gateway/src/frontend/framing.rs", "reads statuses, to leave out the length of a 304"),
    ("gateway/src/frontend/compression.rs", "reads statuses, to state on what a 304 depends"),
    ("gateway/src/refusals.rs", "reads codes, to tell a refusal from a failure"),
    ("gateway/src/rest/response.rs", "responds that nothing has changed, which is no failure"),
    ("gateway/src/problem.rs", "sets the status of the mapping on a response"),
    ("gateway/src/frontend/probes.rs", "responds to load balancers, which distinguish only 200 and 503"),
    (
        "gateway/src/breakers.rs",
        "reads codes, to distinguish a service without a breaker from an unavailable one",
    ),
    ("gateway/src/legacy.rs", "translates the mapping to the predecessor's statuses"),
];

/// The constructors of `tonic::Status` that choose a code.
const STATUSES: [&str; 17] = [
    "Status::new(",
    "Status::aborted(",
    "Status::already_exists(",
    "Status::cancelled(",
    "Status::data_loss(",
    "Status::deadline_exceeded(",
    "Status::failed_precondition(",
    "Status::internal(",
    "Status::invalid_argument(",
    "Status::not_found(",
    "Status::out_of_range(",
    "Status::permission_denied(",
    "Status::resource_exhausted(",
    "Status::unauthenticated(",
    "Status::unavailable(",
    "Status::unimplemented(",
    "Status::unknown(",
];

#[test]
fn domain_code_does_not_use_grpc() {
    Rule {
        advice: "speak the domain's own types there and convert in `convert.rs`. A module whose whole purpose is the \
                 wire or a peer is named, with that purpose, in EDGE here.",
        violations: &|file| {
            if !DOMAIN.iter().any(|place| file.is_in(place)) {
                return Vec::new();
            }
            let wire = ["tonic", "tonic_types", "dataflow_proto", "prost", "prost_types"];
            let found = |word| words(&file.code, word).into_iter().map(move |at| file.at(at, word));
            let found: Vec<_> = wire.into_iter().flat_map(found).collect();
            if found.is_empty() && EDGE.iter().any(|(path, _)| *path == file.path) {
                return vec![file.at(0, "is listed in EDGE, but no longer uses gRPC")];
            }
            if is_in_table(file, &EDGE) { Vec::new() } else { found }
        },
        right: &[
            ("services/cache/src/key.rs", "//! Not of tonic.\nuse dataflow_store::entries;"),
            ("services/cache/src/grpc.rs", "use tonic::Request;"),
            ("services/cache/src/grpc/watch.rs", "use tonic::Request;"),
            ("gateway/src/route.rs", "use tonic::Request;"),
        ],
        wrong: &[
            ("services/cache/src/key.rs", "use tonic::Request;"),
            ("services/sdmx/src/xml.rs", "fn a() -> dataflow_proto::A {}"),
            ("services/store/src/entries.rs", "use prost::Message;"),
            ("services/cache/src/convert.rs", "use crate::key::Key;"),
        ],
    }
    .check();
}

#[test]
fn the_mesh_crate_knows_no_service() {
    Rule {
        advice: "define what the mesh needs from a service as a trait that the binary implements, or as a message of `dataflow.mesh.v1`: \
                 no other package of the contract may be named in mesh/.",
        violations: &|file| {
            if !file.is_in("mesh") {
                return Vec::new();
            }
            let others = words(&file.code, "dataflow_proto").into_iter();
            let others = others.filter(|&at| words(&file.code[at..], "dataflow_proto::mesh").first() != Some(&0));
            others.map(|at| file.at(at, "uses more than `dataflow_proto::mesh`")).collect()
        },
        right: &[("mesh/src/a.rs", "use dataflow_proto::mesh::v1 as pb;"), ("gateway/src/a.rs", "use dataflow_proto::x;")],
        wrong: &[
            ("mesh/src/a.rs", "use dataflow_proto::cache::v1 as pb;"),
            ("mesh/src/a.rs", "use dataflow_proto::mesh_of_mine;"),
            ("mesh/src/a.rs", "use dataflow_proto::{cache, mesh};"),
        ],
    }
    .check();
}

#[test]
fn failures_are_mapped_to_codes_in_one_place() {
    Rule {
        advice: "give the failure a variant in the crate's error enum, define its kind and reason in `Describe`, and let \
                 `dataflow_mesh::status::to_status` choose the code. Who only reads codes is named in CODES here.",
        violations: &|file| {
            if is_in_table(file, &CODES) {
                return Vec::new();
            }
            let code = file.code_without_tests();
            let constants = ["Code::", "StatusCode::"].into_iter().flat_map(|name| {
                let chooses = |next: char| next.is_ascii_uppercase() || matches!(next, '{' | '*');
                words(code, name).into_iter().filter(move |at| code[at + name.len()..].starts_with(chooses))
            });
            let statuses = STATUSES.into_iter().flat_map(|name| words(code, name));
            constants.chain(statuses).map(|at| file.at(at, "chooses a code")).collect()
        },
        right: &[
            ("mesh/src/status.rs", "Code::NotFound"),
            ("gateway/src/legacy/rules.rs", "StatusCode::NOT_FOUND"),
            ("mesh/src/a.rs", "Code::from(5); // Code::NotFound"),
            ("mesh/src/a.rs", "//! A.\n#[cfg(test)]\nmod tests {\n    Code::NotFound\n}"),
            ("tests/src/harness.rs", "Code::NotFound"),
        ],
        wrong: &[
            ("services/cache/src/grpc.rs", "Err(Status::not_found(\"no\"))"),
            ("services/cache/src/grpc.rs", "tonic::Code::NotFound"),
            ("services/cache/src/grpc.rs", "use tonic::Code::{NotFound, Ok};"),
            ("gateway/src/rest.rs", "http::StatusCode::NOT_FOUND"),
        ],
    }
    .check();
}

#[test]
fn only_the_binary_prints() {
    Rule {
        advice: "standard output is a command's result: return what there is to say, and let `services/dataflow` print \
                 it; what an operator should know is a `tracing` event.",
        violations: &|file| {
            // A build script communicates with Cargo by printing, and a benchmark reports.
            let is_program = file.path.ends_with("/build.rs") || file.path.contains("/benches/");
            if file.is_in("services/dataflow") || file.is_in("tests") || is_program {
                return Vec::new();
            }
            let code = file.code_without_tests();
            let found = ["print!(", "println!(", "stdout()"].into_iter().flat_map(|word| words(code, word));
            found.map(|at| file.at(at, "writes to standard output")).collect()
        },
        right: &[
            ("services/dataflow/src/main.rs", "println!()"),
            ("proto/build.rs", "println!()"),
            ("gateway/transcode/benches/codec.rs", "println!()"),
            ("mesh/src/a.rs", "eprintln!(); // println!()"),
        ],
        wrong: &[("mesh/src/a.rs", "println!()"), ("gateway/src/a.rs", "std::io::stdout().lock()")],
    }
    .check();
}

#[test]
fn only_the_admin_port_of_the_mesh_writes_json() {
    Rule {
        advice: "JSON over HTTP is the gateway's: answer in protobuf and let it transcode. The one exception is the \
                 admin port's status document, in `mesh/src/admin`.",
        violations: &|file| {
            if !file.is_in("mesh") || file.is_in("mesh/src/admin.rs") {
                return Vec::new();
            }
            let code = file.code_without_tests();
            words(code, "serde_json").into_iter().map(|at| file.at(at, "serde_json")).collect()
        },
        right: &[
            ("mesh/src/admin/status.rs", "serde_json::to_vec(a)"),
            ("gateway/src/a.rs", "serde_json::to_vec(a)"),
            ("mesh/src/a/tests.rs", "serde_json::from_str(a)"),
        ],
        wrong: &[("mesh/src/serve.rs", "serde_json::to_vec(a)")],
    }
    .check();
}

/// Whether a table lists the file, or the module that it belongs to.
fn is_in_table(file: &Source, table: &[(&str, &str)]) -> bool {
    table.iter().any(|(place, _)| file.is_in(place))
}
