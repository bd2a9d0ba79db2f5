//! grpcurl with a single service. The release that `.ci/tools.txt` pins supports only reflection v1alpha; a client of
//! ours tests v1, in the tests of the mesh.

use std::process::Command;

use dataflow_tests::binary::Service;
use dataflow_tests::tools;

/// The output of grpcurl; without it, prints that the test is skipped and returns `None`.
fn grpcurl(address: &str, flags: &[&str], method: &[&str]) -> Option<String> {
    if !tools::available("grpcurl") {
        return None;
    }
    let output =
        Command::new("grpcurl").arg("-plaintext").args(flags).arg(address).args(method).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "grpcurl {method:?}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_single_service_can_be_called_without_proto_files() {
    check(&Service::start("analysis", &[]));
}

#[test]
fn the_gateway_can_be_called_without_proto_files() {
    let up = Service::start("up", &[]);
    check(&up);
    let Some(list) = grpcurl(&up.address, &[], &["list"]) else { return };
    for expected in ["dataflow.cache.v1.CacheService", "dataflow.config.v1.RuleService"] {
        assert!(list.contains(expected), "{expected}: {list}");
    }
    let service = r#"{"service": "dataflow.cache.v1.CacheService"}"#;
    let health = grpcurl(&up.address, &["-d", service], &["grpc.health.v1.Health/Check"]).unwrap();
    assert!(health.contains("SERVING"), "{health}");
}

/// Tests list, describe, a call and health.
fn check(service: &Service) {
    let Some(list) = grpcurl(&service.address, &[], &["list"]) else { return };
    for expected in ["dataflow.analysis.v1.AnalysisService", "grpc.health.v1.Health", "grpc.reflection.v1"] {
        assert!(list.contains(expected), "{expected}: {list}");
    }
    let call = |flags: &[&str], method: &[&str]| grpcurl(&service.address, flags, method).unwrap();
    let described = call(&[], &["describe", "dataflow.analysis.v1.AnalysisService"]);
    assert!(described.contains("rpc CategorizeDataflow"), "{described}");
    assert!(described.contains("/v1/dataflows:categorize"), "annotations are there: {described}");

    let request = r#"{"dataflow": {"id": "22_289", "names": {"it": "Popolazione residente"}}}"#;
    let reply = call(&["-d", request], &["dataflow.analysis.v1.AnalysisService/CategorizeDataflow"]);
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["category"], "POPULATION");
    assert_eq!(reply["evidence"][0]["rule"]["field"], "name.it");
    let health = call(&[], &["grpc.health.v1.Health/Check"]);
    assert!(health.contains("SERVING"), "{health}");
}
