//! Snapshots of catalogues over REST and gRPC: one content for all uploads of it, receipts, retention, limits, and what
//! differs between two.

mod large;
mod refused;

use dataflow_proto::catalogue::v1 as pb;
use dataflow_proto::catalogue::v1::catalogue_service_client::CatalogueServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::catalogues::{catalogue, numbered};
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::services::{self, Service};
use serde_json::{Value, json};

/// A gateway and the services behind it.
struct Mesh {
    gateway: Service,
    _services: [Service; 3],
}

// === impl Mesh ===

impl Mesh {
    /// With these flags of analysis.
    async fn start(flags: &[&str]) -> Self {
        let (config, cache) = (services::config([]).await, services::cache().await);
        let config_url = config.upstream.to_string();
        let peers = ["--config-url", &config_url];
        let analysis = services::analysis(&[&peers[..], &services::LONG_TIMEOUT, flags].concat()).await;
        let analysis_url = analysis.upstream.to_string();
        let urls = ["--analysis-url", &analysis_url, "--config-url", &config_url];
        let gateway = services::gateway(&urls).await;
        Self { gateway, _services: [analysis, cache, config] }
    }

    async fn send(&self, method: &str, target: &str, body: &str) -> HttpResponse {
        let headers = [("content-type", "application/xml"), ("x-request-id", "test-request")];
        http::request(&self.gateway.upstream, method, target, &headers, body.as_bytes()).await.unwrap()
    }

    /// The JSON of a response with this status.
    #[track_caller]
    fn json(response: &HttpResponse, status: u16) -> Value {
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, status, "{text}");
        serde_json::from_slice(&response.body).unwrap()
    }

    async fn create(&self, provider: &str, document: &str) -> Value {
        let target = format!("/v1/providers/{provider}/snapshots?source=flows.xml");
        Self::json(&self.send("POST", &target, document).await, 200)
    }

    async fn get(&self, target: &str) -> Value {
        Self::json(&self.send("GET", target, "").await, 200)
    }
}

fn id(snapshot: &Value) -> String {
    snapshot["snapshotId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_content_is_one_snapshot_with_a_receipt_for_each_upload() {
    let mesh = Mesh::start(&[]).await;
    let (a, b) = (("A", "One"), ("B", "Two"));
    let document = catalogue("1", "IT1", &[a, b]);
    let first = mesh.create("IT1", &document).await;
    assert_eq!((&first["dataflows"], &first["provider"]), (&json!(2), &json!("IT1")), "{first}");
    assert_eq!((&first["suspicious"], first["receipts"].as_array().unwrap().len()), (&json!(false), 1));
    let hash = first["structureHash"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    assert_eq!((id(&first), hash.len()), (format!("s-{}", &hash[..24]), 64));
    let receipt = &first["receipts"][0];
    assert_eq!(receipt["requestId"], "test-request");
    let digest = dataflow_uploads::document::fingerprint(&[dataflow_uploads::document::Part::Bytes(
        document.clone().into(),
    )]);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        receipt["documents"],
        json!([{"source": "flows.xml", "bytes": document.len().to_string(), "sha256": digest}])
    );

    // Another header, and another order.
    let again = mesh.create("IT1", &catalogue("2", "IT1", &[b, a])).await;
    assert_eq!((id(&again), again["receipts"].as_array().unwrap().len()), (id(&first), 2));
    assert_ne!(again["receipts"][1]["documents"], again["receipts"][0]["documents"]);
    let other = mesh.create("IT1", &catalogue("2", "IT1", &[a])).await;
    assert_ne!(id(&other), id(&first));

    // The last received first, in pages.
    let list = mesh.get("/v1/providers/IT1/snapshots").await;
    let ids = |list: &Value| list["snapshots"].as_array().unwrap().iter().map(id).collect::<Vec<_>>();
    assert_eq!((ids(&list), &list["nextPageToken"]), (vec![id(&other), id(&first)], &json!("")));
    let page = mesh.get("/v1/providers/IT1/snapshots?pageSize=1").await;
    let token = page["nextPageToken"].as_str().unwrap();
    let next = mesh.get(&format!("/v1/providers/IT1/snapshots?pageSize=1&pageToken={token}")).await;
    assert_eq!([ids(&page), ids(&next)].concat(), ids(&list));
    assert_eq!(ids(&mesh.get("/v1/providers/ESTAT/snapshots").await), Vec::<String>::new());
    assert_eq!(mesh.get("/v1/providers/IT1/snapshots/latest").await, other);

    let target = format!("/v1/providers/IT1/snapshots/{}", id(&first));
    assert_eq!(mesh.get(&target).await, again);
    let verified = mesh.get(&format!("{target}:verify")).await;
    assert_eq!((&verified["intact"], &verified["foundHash"]), (&json!(true), &first["structureHash"]));
    Mesh::json(&mesh.send("DELETE", &target, "").await, 200);
    for method in ["GET", "DELETE"] {
        let gone = Mesh::json(&mesh.send(method, &target, "").await, 404);
        assert_eq!(gone["details"][0]["reason"], "SNAPSHOT_NOT_FOUND", "{gone}");
    }
    assert_eq!(ids(&mesh.get("/v1/providers/IT1/snapshots").await), [id(&other)]);
}

#[tokio::test]
async fn the_differences_of_two_snapshots_are_typed_and_counted() {
    let mesh = Mesh::start(&[]).await;
    let before =
        mesh.create("IT1", &catalogue("1", "IT1", &[("A", "One"), ("B", "Two"), ("OLD", "Gone")])).await;
    let missing = Mesh::json(&mesh.send("GET", "/v1/providers/IT1/snapshots:diff", "").await, 400);
    assert_eq!(missing["details"][0]["reason"], "BASE_MISSING", "{missing}");
    let after =
        mesh.create("IT1", &catalogue("2", "IT1", &[("A", "Uno"), ("B", "Two"), ("NEW", "gone")])).await;
    let diff = mesh.get("/v1/providers/IT1/snapshots:diff").await;
    assert_eq!((&diff["base"], &diff["head"]), (&before["snapshotId"], &after["snapshotId"]));
    let counts = diff["counts"].as_object().unwrap();
    assert_eq!(counts.len(), 12, "every kind is listed: {counts:?}");
    let found: Vec<_> =
        counts.iter().filter(|(_, count)| **count != json!(0)).map(|(kind, _)| kind).collect();
    assert_eq!(found, ["ADDED", "REMOVED", "RENAMED", "SUCCEEDED"]);
    let changes: Vec<_> = diff["changes"].as_array().unwrap().iter().collect();
    let kinds: Vec<_> = changes.iter().map(|change| format!("{} {}", change["kind"], change["id"])).collect();
    assert_eq!(kinds, [r#""RENAMED" "A""#, r#""ADDED" "NEW""#, r#""REMOVED" "OLD""#, r#""SUCCEEDED" "OLD""#]);
    assert_eq!(changes[0]["fields"], json!([{"field": "name.en", "before": "One", "after": "Uno"}]));
    assert_eq!((&changes[3]["successor"], &changes[3]["reasons"]), (&json!("NEW"), &json!(["SAME_NAME"])));
    let missing = ["RETHEMED", "STRUCTURE_CONTENT_CHANGED", "CATEGORY_CHANGED"];
    assert_eq!(diff["notCompared"], json!(missing), "{diff}");

    let back = format!("/v1/providers/IT1/snapshots:diff?base={}&head={}", id(&after), id(&before));
    assert_eq!(mesh.get(&back).await["counts"]["RENAMED"], 1);
    let same = format!("/v1/providers/IT1/snapshots:diff?base={}", id(&after));
    assert_eq!(mesh.get(&same).await["changes"], json!([]));
}

#[tokio::test]
async fn the_oldest_snapshot_of_a_provider_makes_room_and_a_tenant_has_limits() {
    let mesh = Mesh::start(&["--snapshot-count", "2", "--max-snapshots", "3"]).await;
    let mut ids = Vec::new();
    for ending in ["first", "second", "third"] {
        ids.push(id(&mesh.create("IT1", &numbered("IT1", 3, ending)).await));
    }
    let list = mesh.get("/v1/providers/IT1/snapshots").await;
    let kept: Vec<_> = list["snapshots"].as_array().unwrap().iter().map(id).collect();
    assert_eq!(kept, [ids[2].clone(), ids[1].clone()]);
    mesh.create("ESTAT", &numbered("ESTAT", 3, "first")).await;
    let full = mesh.send("POST", "/v1/providers/ESTAT/snapshots", &numbered("ESTAT", 3, "second")).await;
    let full = Mesh::json(&full, 400);
    assert_eq!(full["details"][0]["reason"], "SNAPSHOTS_FULL", "{full}");
    assert!(full["message"].as_str().unwrap().contains("--max-snapshots"), "{full}");
    // What is known needs no room.
    mesh.create("ESTAT", &numbered("ESTAT", 3, "first")).await;

    let small = Mesh::start(&["--max-snapshot-bytes", "400B"]).await;
    small.create("IT1", &numbered("IT1", 3, "x")).await;
    let full =
        Mesh::json(&small.send("POST", "/v1/providers/IT1/snapshots", &numbered("IT1", 500, "y")).await, 400);
    assert!(full["message"].as_str().unwrap().contains("--max-snapshot-bytes"), "{full}");
}

/// Sends documents over gRPC, each with its name.
async fn send(service: &Service, documents: &[(&str, &str)]) -> pb::CreateSnapshotResponse {
    let options = pb::CreateSnapshotRequest { provider: "IT1".to_owned(), ..Default::default() };
    let messages = documents.iter().flat_map(|(source, document)| {
        let (first, rest) = document.split_at(document.len() / 2);
        [(*source, "application/xml", first), ("", "", rest)].map(|(source, content_type, piece)| {
            let data = piece.as_bytes().to_vec().into();
            let document = HttpBody { content_type: content_type.to_owned(), data, ..Default::default() };
            pb::CreateSnapshotRequest {
                source: source.to_owned(),
                document: Some(document),
                ..Default::default()
            }
        })
    });
    let messages: Vec<_> = [options].into_iter().chain(messages).collect();
    let mut client = CatalogueServiceClient::new(service.channel());
    client.create_snapshot(tokio_stream::iter(messages)).await.unwrap().into_inner()
}

#[tokio::test]
async fn several_documents_over_grpc_have_a_receipt_each() {
    let analysis = services::analysis(&[]).await;
    let flows = catalogue("1", "IT1", &[("101_1", "Aziende"), ("22_1", "Popolazione")]);
    let themes = include_str!("../../data/themed.xml");
    let created = send(&analysis, &[("flows.xml", &flows), ("themes.xml", themes)]).await;
    let snapshot = created.snapshot.unwrap();
    assert!(created.created && snapshot.dataflows == 2);
    let documents = &snapshot.receipts[0].documents;
    let named: Vec<_> = documents.iter().map(|one| (one.source.as_str(), one.bytes)).collect();
    let sizes = [&flows, themes].map(|text| i64::try_from(text.len()).unwrap());
    assert_eq!(named, [("flows.xml", sizes[0]), ("themes.xml", sizes[1])]);
    assert!(!send(&analysis, &[("flows.xml", &flows), ("themes.xml", themes)]).await.created);
    assert!(send(&analysis, &[("flows.xml", &flows)]).await.created, "without themes it is another content");
}
