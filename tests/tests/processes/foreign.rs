//! A gateway in front of a foreign service, of which it has only a descriptor set. The upstream echoes the request
//! bytes, so that the response shows the transcoded request.

mod behaviour;
mod credentials;
mod odd;
pub(crate) mod recorder;
mod sets;

use std::net::Ipv4Addr;
use std::path::Path;

use axum::body::Body;
use axum::response::Response;
use dataflow_mesh::outbound::Upstream;
use dataflow_tests::http;
use dataflow_tests::services::{self, Service};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

/// A gateway in front of the toy service.
async fn gateway() -> Service {
    gateway_of("toy.proto", "toy.v1.Toy", &[]).await
}

/// The descriptor set of a file in the folder of these tests.
pub(crate) fn descriptors(proto: &str) -> NamedTempFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler =
        protox::Compiler::new([folder.join("tests/processes/foreign"), folder.join("../proto")]).unwrap();
    compiler.include_imports(true).open_file(proto).unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), compiler.encode_file_descriptor_set()).unwrap();
    file
}

/// A gateway in front of a service that a file in this folder defines.
pub(crate) async fn gateway_of(proto: &str, service: &str, flags: &[&str]) -> Service {
    let (file, upstream) = (descriptors(proto), format!("{service}={}", echo().await));
    let given = ["--descriptors", file.path().to_str().unwrap(), "--upstream", &upstream];
    services::gateway(&[&given, flags].concat()).await
}

/// The address of an upstream that sends the bytes of each request back.
async fn echo() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let echo = axum::Router::new().fallback(async |request: axum::extract::Request| {
        let times = if request.uri().path().ends_with("Tell") { 3 } else { 1 };
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let fails = body.windows(4).any(|bytes| bytes == b"fail");
        let mut trailers = axum::http::HeaderMap::new();
        trailers.insert("grpc-status", if fails { "5" } else { "0" }.parse().unwrap());
        let body = bytes::Bytes::from(body.repeat(times));
        let frames = http_body_util::Full::new(body).with_trailers(async { Some(Ok(trailers)) });
        Response::builder().header("content-type", "application/grpc").body(Body::new(frames)).unwrap()
    });
    tokio::spawn(axum::serve(listener, echo).into_future());
    url
}

async fn call(upstream: &Upstream, method: &str, target: &str, body: &str) -> (u16, Value) {
    let json = [("content-type", "application/json")];
    let answer = http::request(upstream, method, target, &json, body.as_bytes()).await.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    (answer.status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn a_request_is_bound_by_the_annotations() {
    let gateway = gateway().await;
    // Only the differences from an empty message, since every response prints all fields.
    let check = async |method: &str, target: &str, body: &str, expected: Value| {
        let (status, found) = call(&gateway.upstream, method, target, body).await;
        assert_eq!(status, 200, "{method} {target}: {found}");
        let empty = call(&gateway.upstream, "POST", "/v1/things", "{}").await.1;
        let Value::Object(found) = found else { return assert_eq!(found, expected, "{method} {target}") };
        let differing: serde_json::Map<_, _> =
            found.into_iter().filter(|(name, value)| empty.get(name) != Some(value)).collect();
        assert_eq!(Value::Object(differing), expected, "{method} {target}");
    };
    check("GET", "/v1/shelves/a/things/b", "", json!({"name": "shelves/a/things/b"})).await;
    check("GET", "/v1/shelves/a%2Fb/things/c%20d", "", json!({"name": "shelves/a%2Fb/things/c d"})).await;
    check("GET", "/v1/things/a%2Fb", "", json!({"inner": {"label": "a/b", "number": "0"}})).await;
    check("GET", "/v1/files/a/b/c", "", json!({"name": "a/b/c"})).await;

    let query = "/v1/things/x?count=-7&big=9007199254740993&flag=true&ratio=0.5&data=_-8&colour=RED&tags=a&tags=b%26c&\
                 inner.number=3&inner.inner.label=y+z&at=2026-11-21T12:00:00Z&lasts=1.5s&mask=name,inner.label&maybe=0&\
                 note=&right=4";
    let expected = json!({
        "count": -7, "big": "9007199254740993", "flag": true, "ratio": 0.5, "data": "/+8=", "colour": "RED",
        "tags": ["a", "b&c"],
        "inner": {"label": "x", "number": "3", "inner": {"label": "y z", "number": "0"}},
        "at": "2026-11-21T12:00:00Z", "lasts": "1.500s", "mask": "name,inner.label", "maybe": 0, "note": "", "right": 4
    });
    check("GET", query, "", expected).await;
    check("GET", "/v1/files/x?colour=2", "", json!({"name": "x", "colour": "GREEN"})).await;

    let body = json!({"name": "n", "count": 3, "big": "5", "inners": [{"label": "a"}], "counts": {"k": 1}, "left": "l"});
    let expected = json!({"name": "n", "count": 3, "big": "5", "inners": [{"label": "a", "number": "0"}],
        "counts": {"k": 1}, "left": "l"});
    check("POST", "/v1/things", &body.to_string(), expected).await;
    check("PUT", "/v1/things/a?count=2", r#"{"label": "b"}"#, json!({"label": "b", "number": "0"})).await;
    check("PATCH", "/v1/things/a:tag", r#"["x", "y"]"#, json!(["x", "y"])).await;
    check("DELETE", "/v1/things/5", "", json!({"count": 5})).await;
    check("LINK", "/v1/things", "any bytes", json!("any bytes")).await;
}

#[tokio::test]
async fn errors_name_the_field_that_cannot_be_bound() {
    let gateway = gateway().await;
    let check = async |method: &str, target: &str, body: &str, status: u16, reason: &str, field: &str| {
        let (found, problem) = call(&gateway.upstream, method, target, body).await;
        assert_eq!(found, status, "{method} {target}: {problem}");
        assert_eq!(problem["details"][0]["reason"], reason, "{method} {target}: {problem}");
        let violation = problem["details"][1]["fieldViolations"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(violation, field, "{method} {target}: {problem}");
    };
    check("GET", "/v1/files/x?count=many", "", 400, "PARAMETER_INVALID", "count").await;
    check("GET", "/v1/files/x?count=2147483648", "", 400, "PARAMETER_INVALID", "count").await;
    check("GET", "/v1/files/x?colour=BLUE", "", 400, "PARAMETER_INVALID", "colour").await;
    check("GET", "/v1/files/x?flag=yes", "", 400, "PARAMETER_INVALID", "flag").await;
    check("GET", "/v1/files/x?at=now", "", 400, "PARAMETER_INVALID", "at").await;
    check("GET", "/v1/files/x?data=%25", "", 400, "PARAMETER_INVALID", "data").await;
    check("GET", "/v1/files/x?count=1&count=2", "", 400, "PARAMETER_INVALID", "count").await;
    check("GET", "/v1/files/x?inner=a", "", 400, "PARAMETER_UNKNOWN", "inner").await;
    check("GET", "/v1/files/x?inners.label=a", "", 400, "PARAMETER_UNKNOWN", "inners.label").await;
    check("GET", "/v1/files/x?counts=a", "", 400, "PARAMETER_UNKNOWN", "counts").await;
    check("GET", "/v1/files/x?name=y", "", 400, "PARAMETER_UNKNOWN", "name").await;
    check("POST", "/v1/things?count=1", "{}", 400, "PARAMETER_UNKNOWN", "count").await;
    check("PUT", "/v1/things/a?inner.number=1", "{}", 400, "PARAMETER_UNKNOWN", "inner.number").await;
    check("POST", "/v1/things", r#"{"inner": {"lable": ""}}"#, 400, "JSON_INVALID", "inner.lable").await;
    check(
        "POST",
        "/v1/things",
        r#"{"inners": [{}, {"number": -1}]}"#,
        400,
        "JSON_INVALID",
        "inners[1].number",
    )
    .await;
    check("POST", "/v1/things", "{} {}", 400, "JSON_INVALID", "").await;
    check("POST", "/v1/things", "", 400, "JSON_INVALID", "").await;
    check("PUT", "/v1/things/a", r#"{"number": "x"}"#, 400, "JSON_INVALID", "inner.number").await;
    check("PATCH", "/v1/things/a:tag", r#"["x"], "name": "y""#, 400, "JSON_INVALID", "tags").await;
    check("PATCH", "/v1/things/a:tag", r#"["x", 7]"#, 400, "JSON_INVALID", "tags[1]").await;
    check("DELETE", "/v1/things/many", "", 400, "PARAMETER_INVALID", "count").await;
    check("DELETE", "/v1/things/1", "{}", 400, "BODY_UNEXPECTED", "").await;
    check("GET", "/v1/files/", "", 400, "PATH_VARIABLE_EMPTY", "name").await;
    check("POST", "/toy.v1.Toy/Silent", "{}", 404, "ROUTE_NOT_FOUND", "").await;
}

#[tokio::test]
async fn large_and_small_replies_have_the_same_json() {
    let gateway = gateway().await;
    let thing = |inners: usize| {
        let inner = |number: usize| json!({"label": "x".repeat(100), "number": number.to_string()});
        json!({"name": "n", "tags": ["a", "b"], "maybe": 7, "counts": {"k": 1, "l": 2},
            "inners": (0..inners).map(inner).collect::<Vec<_>>(), "note": "", "left": "l"})
    };
    // The members of a request become fields in their order, and the upstream echoes them: in that of their numbers,
    // which large replies need. The names of JSON values are sorted.
    let in_order = |thing: &Value| {
        let names = ["name", "tags", "maybe", "counts", "inners", "note", "left"];
        let members = names.map(|name| format!("\"{name}\": {}", thing[name]));
        format!("{{{}}}", members.join(","))
    };
    // Below and above the size up to which a reply is buffered.
    let small = call(&gateway.upstream, "POST", "/v1/things", &in_order(&thing(10))).await.1;
    let (status, mut large) = call(&gateway.upstream, "POST", "/v1/things", &in_order(&thing(10_000))).await;
    assert_eq!((status, &large["inners"]), (200, &thing(10_000)["inners"]));
    large["inners"] = small["inners"].clone();
    assert_eq!(large, small);

    // A large reply in another order cannot be written as it arrives: it is aborted, and not made wrong.
    let backwards = format!("{{\"inners\": {}, \"name\": \"n\"}}", thing(10_000)["inners"]);
    let json = [("content-type", "application/json")];
    let aborted = http::request(&gateway.upstream, "POST", "/v1/things", &json, backwards.as_bytes()).await;
    aborted.map(|answer| answer.status).unwrap_err();

    // One field of the reply, with other fields before and after it.
    let inner = json!({"label": "y".repeat(1 << 20), "number": "3"});
    let target = "/v1/things/a?note=behind";
    let (status, found) = call(&gateway.upstream, "PUT", target, &inner.to_string()).await;
    assert_eq!((status, found), (200, inner));
}

#[tokio::test]
async fn a_stream_has_the_media_type_that_the_client_accepts() {
    let gateway = gateway().await;
    let check = async |name: &str, accept: &str, expected: &[&str]| {
        let target = format!("/v1/things/{name}:tell");
        let answer =
            http::request(&gateway.upstream, "GET", &target, &[("accept", accept)], b"").await.unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(
            (answer.status, answer.headers["content-type"].to_str().unwrap()),
            (200, accept),
            "{text}"
        );
        let mut rest = text.as_str();
        for part in expected {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{accept}: no {part:?} in {text}")).1;
        }
    };
    check("x", "application/x-ndjson", &["\"x\"\n", "\"x\"\n", "\"x\"\n"]).await;
    check("x", "text/event-stream", &["data: \"x\"\n\n", "data: \"x\"\n\n", "data: \"x\"\n\n"]).await;
    check("x", "application/json", &["[\"x\",\"x\",\"x\"]"]).await;
    let failed = "{\"error\":{\"code\":5,";
    check("fail", "application/x-ndjson", &["\"fail\"\n", "\"fail\"\n", "\"fail\"\n", failed, "}\n"]).await;
    check("fail", "text/event-stream", &["data: \"fail\"", "event: error\ndata: ", failed]).await;
    check("fail", "application/json", &["[\"fail\",\"fail\",\"fail\",", failed, "}]"]).await;
}

#[tokio::test]
async fn reflection_lists_the_foreign_service() {
    let gateway = gateway().await;
    let mut client =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(gateway.channel());
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures_util::stream::iter([request]).chain(futures_util::stream::pending());
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.iter().any(|name| name == "toy.v1.Toy"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("dataflow.")), "{names:?}");
}
