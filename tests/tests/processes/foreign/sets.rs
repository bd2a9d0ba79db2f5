//! Descriptor sets that cannot drive a gateway, and those that can although something in them is odd.

use dataflow_gateway::schema::Schema;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use serde_json::{Value, json};

use super::descriptors;

/// The descriptor set of a service whose one method has this annotation.
fn annotated(rule: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let proto = format!(
        "syntax = \"proto3\";\npackage a.v1;\nimport \"google/api/annotations.proto\";\n\
         message M {{ string name = 1; repeated string tags = 2; M inner = 3; }}\n\
         service S {{ rpc Call(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }} }}\n"
    );
    std::fs::write(folder.path().join("a.proto"), proto).unwrap();
    let ours = dataflow_tests::in_repository("proto");
    let mut compiler = protox::Compiler::new([folder.path(), &ours]).unwrap();
    compiler.include_imports(true).open_file("a.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

#[test]
fn an_annotation_that_is_no_route_fails_the_start_and_names_its_method() {
    let check = |rule: &str, expected: &str| {
        let error = Schema::new(annotated(rule), |_| true).unwrap_err().to_string();
        assert!(error.starts_with("a.v1.S.Call: ") && error.contains(expected), "{rule}: {error}");
    };
    check(
        r#"get: "/a" additional_bindings { get: "/b" additional_bindings { get: "/c" } }"#,
        "additional_bindings stand within additional_bindings",
    );
    check("", "a rule has no path");
    check(r#"get: "/{missing}""#, "missing");
    check(r#"get: "/{tags}""#, "tags in the path is not one value");
    check(r#"get: "/{inner}""#, "inner in the path is not one value");
    check(r#"get: "/{inner.tags}""#, "inner.tags in the path is not one value");
    check(r#"post: "/a" body: "missing""#, "missing");
    check(r#"get: "/a" response_body: "missing""#, "missing");
    check(r#"get: "/{name}/{name}""#, "name");
    check(r#"get: "a""#, "");
    check(r#"get: "/a" additional_bindings { get: "/a" }"#, "match the same paths");
    for rule in
        [r#"get: "/""#, r#"custom { kind: "*" path: "/{name}" }"#, r#"custom { kind: "PURGE" path: "/a" }"#]
    {
        Schema::new(annotated(rule), |_| true).unwrap();
    }
}

#[tokio::test]
async fn a_method_that_rest_cannot_express_is_named_in_the_log() {
    let (file, upstream) = (descriptors("odd.proto"), "odd.v1.Odd=http://127.0.0.1:1");
    let flags = ["--descriptors", file.path().to_str().unwrap(), "--upstream", upstream];
    let gateway = Service::start("gateway", &flags);
    let left_out = || -> Vec<Value> {
        let records = gateway.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let is_it = |record: &Value| record["message"] == "schema: method has no route over REST";
        records.filter(is_it).map(|record| record["method"].clone()).collect()
    };
    eventually(TIMEOUT, "both are named", async || left_out().len() == 2).await;
    assert_eq!(left_out(), [json!("odd.v1.Odd.Collect"), json!("odd.v1.Odd.Chat")]);
}
