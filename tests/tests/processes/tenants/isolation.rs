//! One tenant tries every method and every route of the contract on what belongs to another. The tries are made from the
//! descriptor set, so that new methods are tried too.

use std::net::SocketAddr;

use dataflow_gateway::legacy;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_tests::catalogues::catalogue;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed};
use dataflow_tests::services::Service;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, Value as Field,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Mesh, rule};

/// What the other tenant has in all that is its own, and in none of the identifiers.
const SECRET: &str = "boltsecret";

/// How deep the fields of a request are filled.
const DEPTH: usize = 2;

/// Creates what belongs to the other tenant; returns its identifiers.
async fn create(mesh: &Mesh) -> Vec<String> {
    let because = |mut body: Value| {
        body["reason"] = json!(SECRET);
        body
    };
    let mut replaced = rule("pop_rule", "HEALTH", SECRET);
    replaced["ruleset"] = json!("legacy");
    let provider =
        json!({"displayName": SECRET, "dialect": "SDMX_REST_2_1", "baseUrl": "https://own.example/rest"});
    let provider = json!({"providerId": "OWN", "provider": provider});
    let key = json!({"displayName": SECRET, "scope": "READ"});
    let entry = json!({"value": "Ym9sdHNlY3JldA==", "tags": ["own"]});
    mesh.call("bolt", "POST", "/v1/rules", &because(rule("own-rule", "HEALTH", SECRET))).await;
    mesh.call("bolt", "DELETE", "/v1/rules/pop_rule?ruleset=legacy", &Value::Null).await;
    mesh.call("bolt", "POST", "/v1/rules", &because(replaced)).await;
    mesh.call("bolt", "POST", "/v1/providers", &because(provider)).await;
    let theme = json!({"themeId": "own-theme", "scheme": "IT1:*", "path": [SECRET], "category": "HEALTH"});
    mesh.call("bolt", "POST", "/v1/themes", &because(theme)).await;
    mesh.call("bolt", "DELETE", "/v1/themes/istat-prices", &Value::Null).await;
    mesh.call("bolt", "PUT", "/v1/cache/entries/user/own", &entry).await;
    let dataflows = [("own", SECRET), ("own-2", SECRET)];
    let mut snapshots = Vec::new();
    for count in 1..=2 {
        let document = catalogue("1", "own", &dataflows[..count]);
        let headers = [("content-type", "application/xml")];
        let target = format!("/v1/providers/own/snapshots?source={SECRET}");
        let made = mesh.upload("bolt", &target, &headers, &document).await;
        snapshots.push(made["snapshotId"].as_str().unwrap().to_owned());
    }
    let key = mesh.call("bolt", "POST", "/v1/keys", &because(key)).await;
    let key = key["key"]["keyId"].as_str().unwrap().to_owned();
    let known = ["own-rule", "pop_rule", "own-theme", "OWN", "user/own", "default", "legacy", "own", "bolt"];
    known.map(str::to_owned).into_iter().chain([key]).chain(snapshots).collect()
}

/// All that the other tenant has, as it reads it itself.
async fn state(mesh: &Mesh) -> Vec<Value> {
    let mut state = Vec::new();
    for target in [
        "/v1/rules?pageSize=1000",
        "/v1/rules?pageSize=1000&ruleset=legacy",
        "/v1/themes?pageSize=1000",
        "/v1/providers",
        "/v1/keys",
        "/v1/audit?pageSize=1000",
        "/v1/rulesets/default/revisions",
        "/v1/themes/revisions",
        "/v1/providers/own/snapshots",
        "/v1/providers/own/snapshots:diff",
    ] {
        state.push(mesh.get("bolt", target).await);
    }
    // Its remaining time differs at each read.
    state.push(mesh.get("bolt", "/v1/cache/entries/user/own").await["value"].clone());
    state
}

/// A message in which every text is this one, except where that would be refused before anything is looked for; and
/// every message is filled likewise.
fn filled(descriptor: MessageDescriptor, text: &str, ruleset: &str, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor);
    for field in message.descriptor().fields().collect::<Vec<_>>() {
        let value = match field.kind() {
            _ if field.is_map() || ["page_token", "etag"].contains(&field.name()) => continue,
            Kind::String if field.name() == "ruleset" => Field::String(ruleset.to_owned()),
            Kind::String => Field::String(text.to_owned()),
            // Without one, all fields are meant.
            Kind::Message(inner) if inner.full_name() == "google.protobuf.FieldMask" => continue,
            Kind::Enum(_) => Field::EnumNumber(1),
            Kind::Message(inner) if depth > 0 => Field::Message(filled(inner, text, ruleset, depth - 1)),
            _ => continue,
        };
        message.set_field(&field, if field.is_list() { Field::List(vec![value]) } else { value });
    }
    message
}

/// A body that each of the predecessor's routes takes, with this identifier.
fn of_legacy(identifier: &str) -> Value {
    json!({
        "xml_content": include_str!("../../../../examples/istat-sample.xml"),
        "rule_id": identifier,
        "category": "salute",
        "keywords": ["zz"],
        "priority": 7,
    })
}

/// The bytes of a response; of a watch, which does not end, up to its first message.
async fn answer(
    client: &Client,
    bearer: &str,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Vec<u8> {
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let (answer, mut body) = client.open(&path, &[("authorization", bearer)]).await.unwrap();
    // A call that is refused may have ended already.
    let _ = body.send_data(framed(&message.encode_to_vec()), true);
    let answer = timeout(TIMEOUT, answer).await.expect("a response").unwrap();
    let mut found = format!("{:?}", answer.headers()).into_bytes();
    let mut body = answer.into_body();
    while let Some(Ok(data)) = timeout(TIMEOUT, body.data()).await.expect("a message or the end") {
        let _ = body.flow_control().release_capacity(data.len());
        found.extend_from_slice(&data);
        if method.name().starts_with("Watch") {
            break;
        }
    }
    found
}

/// The routes of a method that end: verbs, and paths with variables.
fn routes(method: &MethodDescriptor) -> Vec<(String, String)> {
    let http = method.parent_pool().get_extension_by_name("google.api.http").unwrap();
    let options = method.options();
    let rule = options.get_extension(&http);
    let routes = ["get", "put", "post", "delete", "patch"].into_iter().filter_map(|verb| {
        let path = rule.as_message()?.get_field_by_name(verb)?.as_str()?.to_owned();
        (!path.is_empty() && !path.ends_with(":watch")).then(|| (verb.to_uppercase(), path))
    });
    routes.collect()
}

/// A path with this identifier in place of each variable.
fn with(path: &str, identifier: &str) -> String {
    let (mut filled, mut rest) = (String::new(), path);
    while let Some((before, variable)) = rest.split_once('{') {
        filled.extend([before, identifier]);
        rest = variable.split_once('}').unwrap().1;
    }
    filled + rest
}

fn address(service: &Service) -> SocketAddr {
    service.upstream.to_string().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reaches_nothing_of_another_by_any_method_or_route() {
    let (mesh, _services) = Mesh::start().await;
    let identifiers = create(&mesh).await;
    let before = state(&mesh).await;
    assert!(
        before.iter().take(6).all(|seen| seen.to_string().contains(SECRET)),
        "the test sees what is secret"
    );
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let client = Client::connect(address(&mesh.gateway), DEFAULT_WINDOW).await;
    let bearer = mesh.bearer("acme", "admin");
    let holds = |found: &[u8]| found.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    let (mut tried, mut answered) = (0, 0);
    for method in methods {
        for identifier in &identifiers {
            for ruleset in ["", "legacy"] {
                let message = filled(method.input(), identifier, ruleset, DEPTH);
                let found = answer(&client, &bearer, &method, &message).await;
                let text = String::from_utf8_lossy(&found);
                assert!(!holds(&found), "{} {identifier}: {text}", method.full_name());
                answered += usize::from(!text.contains("grpc-status"));
            }
            for (verb, path) in routes(&method) {
                for query in ["", "?ruleset=legacy", "?tenant=bolt"] {
                    let request = (verb.as_str(), &*format!("{}{query}", with(&path, identifier)));
                    let body = if verb == "GET" || verb == "DELETE" { Value::Null } else { json!({}) };
                    let found = mesh.send("acme", request, &[("dataflow-tenant", "bolt")], &body).await;
                    let text = String::from_utf8_lossy(&found.body);
                    assert!(!holds(&found.body), "{request:?}: {text}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500 && answered > 100, "{tried} requests, {answered} answers");
    // The predecessor's routes, which no descriptor set has.
    let mut succeeded = 0;
    for (verb, path) in legacy::routes() {
        for identifier in &identifiers {
            for query in ["", "?tenant=bolt"] {
                let request = (verb, &*format!("{}{query}", with(path, identifier)));
                let found =
                    mesh.send("acme", request, &[("dataflow-tenant", "bolt")], &of_legacy(identifier)).await;
                let text = String::from_utf8_lossy(&found.body);
                assert!(!holds(&found.body), "{request:?}: {text}");
                succeeded += usize::from(found.status == 200);
            }
        }
    }
    assert!(succeeded > 10, "{succeeded} of the requests had the form that the routes take");
    assert_eq!(state(&mesh).await, before, "nothing of the other tenant was changed");
    let shared = mesh.get("", "/v1/rules/pop_rule?ruleset=legacy").await;
    assert!(shared["keywords"].as_array().unwrap().len() > 1, "{shared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_another_tenant_is_computed_again() {
    let (mesh, _services) = Mesh::start().await;
    let document = include_bytes!("../../../../examples/istat-sample.xml");
    let analyze = async |tenant: &str| {
        let bearer = mesh.bearer(tenant, "read");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/xml")];
        let path = "/v1/catalogues:analyze?provider=IT1";
        let answer = http::request(&mesh.gateway.upstream, "POST", path, &headers, document).await.unwrap();
        let found: Value = serde_json::from_slice(&answer.body).unwrap();
        (found["cached"].as_bool().unwrap(), found["analysis"].as_str().unwrap().to_owned())
    };
    let (is_cached, name) = analyze("bolt").await;
    assert!(!is_cached);
    assert_eq!(analyze("bolt").await, (true, name.clone()));
    let (is_cached, other) = analyze("acme").await;
    assert!(!is_cached && other != name);
}
