//! Catalogues that are not stored, or are suspicious.

use dataflow_tests::catalogues::{catalogue, numbered};
use serde_json::{Value, json};

use super::{Mesh, id};

#[tokio::test]
async fn a_catalogue_of_another_provider_is_rejected_by_name() {
    let mesh = Mesh::start(&[]).await;
    let refused = async |provider: &str, document: &str| {
        let target = format!("/v1/providers/{provider}/snapshots");
        let found = Mesh::json(&mesh.send("POST", &target, document).await, 400);
        (found["details"][0]["reason"].clone(), found["message"].as_str().unwrap().to_owned())
    };
    let flows = [("A", "One")];
    let (reason, message) = refused("IT1", &catalogue("1", "ESTAT", &flows)).await;
    assert_eq!(reason, "PROVIDER_MISMATCH");
    assert!(message.contains("agency IT1") && message.contains("ESTAT"), "{message}");
    // A provider that is not registered has its identifier as its agency.
    let (reason, message) = refused("MINE", &catalogue("1", "IT1", &flows)).await;
    assert!(reason == "PROVIDER_MISMATCH" && message.contains("agency MINE"), "{message}");
    mesh.create("MINE", &catalogue("1", "MINE.PART", &flows)).await;
    // One that is registered has the agency that the registry states.
    let provider = json!({"baseUrl": "https://mine.example/rest", "dialect": "SDMX_REST_2_1", "agency": "all", "license": "CC-BY-4.0"});
    let body = json!({"providerId": "ANY", "provider": provider}).to_string();
    let headers = [("content-type", "application/json")];
    let gateway = &mesh.gateway.upstream;
    let made =
        dataflow_tests::http::request(gateway, "POST", "/v1/providers", &headers, body.as_bytes()).await;
    assert_eq!(made.unwrap().status, 200);
    let stored = mesh.create("ANY", &catalogue("1", "IT1", &flows)).await;
    assert_eq!(stored["receipts"][0]["license"], "CC-BY-4.0", "{stored}");
    let list = mesh.get("/v1/providers/IT1/snapshots").await;
    assert_eq!(list["snapshots"], json!([]));
}

#[tokio::test]
async fn an_empty_catalogue_after_a_full_one_is_kept_and_suspicious() {
    let mesh = Mesh::start(&[]).await;
    let suspicious = |snapshot: &Value| snapshot["suspicious"].as_bool().unwrap();
    assert!(!suspicious(&mesh.create("IT1", &numbered("IT1", 10, "x")).await));
    let empty = mesh.create("IT1", &catalogue("1", "IT1", &[])).await;
    assert!(suspicious(&empty) && empty["dataflows"] == 0, "{empty}");
    let diff = mesh.get("/v1/providers/IT1/snapshots:diff").await;
    assert_eq!((&diff["counts"]["REMOVED"], &diff["suspicious"]), (&json!(10), &json!(true)));
    // Repeated, it is what the provider has.
    let again = mesh.create("IT1", &catalogue("2", "IT1", &[])).await;
    assert!(id(&again) == id(&empty) && !suspicious(&again));
    assert!(suspicious(&again["receipts"][0]));
    assert!(!suspicious(&mesh.create("IT1", &numbered("IT1", 10, "y")).await));
    assert!(suspicious(&mesh.create("IT1", &numbered("IT1", 4, "y")).await));
    assert!(!suspicious(&mesh.create("IT1", &numbered("IT1", 5, "y")).await));
}

#[tokio::test]
async fn invalid_fields_and_documents_are_rejected_by_name() {
    let mesh = Mesh::start(&["--max-dataflows", "10"]).await;
    let check = async |(method, target): (&str, &str), body: &str, status: u16, reason: &str| {
        let found = Mesh::json(&mesh.send(method, target, body).await, status);
        assert_eq!(found["details"][0]["reason"], reason, "{target}: {found}");
        assert_eq!(found["details"][0]["domain"], "dataflow.catalogue.v1");
    };
    let document = numbered("IT1", 3, "x");
    let create = ("POST", "/v1/providers/IT1/snapshots");
    check(("POST", "/v1/providers/a%20b/snapshots"), &document, 400, "FIELD_INVALID").await;
    check(("GET", "/v1/providers/a%20b/snapshots"), "", 400, "FIELD_INVALID").await;
    let long = format!("/v1/providers/IT1/snapshots?source={}", "x".repeat(1025));
    check(("POST", &long), &document, 400, "FIELD_INVALID").await;
    Mesh::json(&mesh.send("POST", &long[..long.len() - 1], &document).await, 200);
    check(("GET", "/v1/providers/IT1/snapshots?pageSize=1001"), "", 400, "FIELD_INVALID").await;
    check(("GET", "/v1/providers/IT1/snapshots?pageToken=x"), "", 400, "FIELD_INVALID").await;
    check(("GET", "/v1/providers/IT1/snapshots/s-0"), "", 404, "SNAPSHOT_NOT_FOUND").await;
    check(("GET", "/v1/providers/ESTAT/snapshots/latest"), "", 404, "SNAPSHOT_NOT_FOUND").await;
    check(("GET", "/v1/providers/IT1/snapshots:diff?head=s-0"), "", 404, "SNAPSHOT_NOT_FOUND").await;
    check(create, "", 400, "EMPTY_DOCUMENT").await;
    check(create, "<html/>", 400, "NOT_A_STRUCTURE_MESSAGE").await;
    check(create, &document[..200], 400, "TRUNCATED_DOCUMENT").await;
    check(create, &numbered("IT1", 11, "x"), 413, "TOO_MANY_DATAFLOWS").await;
    Mesh::json(&mesh.send("POST", create.1, &numbered("IT1", 10, "x")).await, 200);
}
