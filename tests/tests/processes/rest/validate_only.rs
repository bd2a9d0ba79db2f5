//! Changes that are validated only: each write of rules, themes and providers is checked as if it were made, and stores
//! nothing.

use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::services::{self, Service};
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

/// What has the state that the changes concern.
const READ: [&str; 5] = [
    "/v1/rules?pageSize=1000",
    "/v1/rulesets/default/revisions",
    "/v1/themes?pageSize=1000",
    "/v1/providers",
    "/v1/audit?pageSize=1000",
];

async fn send(gateway: &Service, method: &str, target: &str, body: &Value) -> HttpResponse {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let json = [("content-type", "application/json")];
    http::request(&gateway.upstream, method, target, &json, &body).await.unwrap()
}

async fn state(gateway: &Service) -> Vec<Value> {
    let mut state = Vec::new();
    for target in READ {
        let read = send(gateway, "GET", target, &Value::Null).await;
        assert_eq!(read.status, 200, "{target}: {}", String::from_utf8_lossy(&read.body));
        state.push(serde_json::from_slice(&read.body).unwrap());
    }
    state
}

/// The response without the times, which a later change does not share.
fn timeless(answer: &HttpResponse) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, _| !name.ends_with("Time"));
                members.values_mut().for_each(forget);
            }
            Value::Array(elements) => elements.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let mut value = serde_json::from_slice(&answer.body).unwrap();
    forget(&mut value);
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_validated_only_has_the_response_of_the_change_and_stores_nothing() {
    let (gateway, _services) = services::mesh(&[]).await;
    let rule = json!({"ruleId": "mine", "category": "HEALTH", "keywords": ["beds"]});
    let theme = json!({"themeId": "mine", "scheme": "A:B", "path": ["C"], "category": "HEALTH"});
    let provider = json!({"providerId": "MINE", "provider": {"displayName": "Mine", "dialect": "SDMX_REST_2_1", "baseUrl": "https://example.org/rest"}});
    let one_rule = json!({"mode": "WORDS", "rules": [rule]});
    for (method, target, body) in [
        ("POST", "/v1/rules", rule.clone()),
        ("PATCH", "/v1/rules/mine", json!({"priority": 7})),
        ("POST", "/v1/rulesets/default:rollback", json!({"revision": 1})),
        ("DELETE", "/v1/rules/pop_rule?ruleset=legacy", Value::Null),
        ("POST", "/v1/rulesets/default:replaceRules", one_rule),
        ("POST", "/v1/themes", theme),
        ("PATCH", "/v1/themes/mine", json!({"category": "LABOUR"})),
        ("DELETE", "/v1/themes/mine", Value::Null),
        ("POST", "/v1/providers", provider),
        ("PATCH", "/v1/providers/MINE", json!({"displayName": "Yours"})),
        ("DELETE", "/v1/providers/MINE", Value::Null),
    ] {
        let before = state(&gateway).await;
        let link = if target.contains('?') { '&' } else { '?' };
        let (checked, with) = if method == "POST" {
            let mut body = body.clone();
            body["validateOnly"] = json!(true);
            (target.to_owned(), body)
        } else {
            (format!("{target}{link}validateOnly=true"), body.clone())
        };
        let validated = send(&gateway, method, &checked, &with).await;
        let text = String::from_utf8_lossy(&validated.body);
        assert_eq!(validated.status, 200, "{method} {target}: {text}");
        assert_eq!(state(&gateway).await, before, "{method} {target}");
        let made = send(&gateway, method, target, &body).await;
        assert_eq!(made.status, 200, "{method} {target}");
        let (validated, made) = (timeless(&validated), timeless(&made));
        assert_eq!(validated, made, "{method} {target}");
        assert_ne!(state(&gateway).await, before, "{method} {target}: the change itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_would_be_refused_is_refused() {
    let (gateway, _services) = services::mesh(&[]).await;
    for (method, target, body, status) in [
        ("POST", "/v1/rules", json!({"ruleId": "r", "category": "HEALTH", "validateOnly": true}), 400),
        ("PATCH", "/v1/rules/lost?validateOnly=true", json!({"priority": 7}), 404),
        ("DELETE", "/v1/rules/pop_rule?ruleset=legacy&etag=other&validateOnly=true", Value::Null, 412),
        ("DELETE", "/v1/providers/LOST?validateOnly=true", Value::Null, 404),
    ] {
        let refused = send(&gateway, method, target, &body).await;
        assert_eq!(refused.status, status, "{method} {target}: {}", String::from_utf8_lossy(&refused.body));
    }
}

#[test]
fn every_write_of_rules_themes_and_providers_can_be_validated_only() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = ["RuleService", "ThemeService", "ProviderService"];
    let services = pool.services().filter(|service| services.contains(&service.name()));
    let requests = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    let requests: Vec<_> = requests.map(|method| method.input()).collect();
    let writes: Vec<_> =
        requests.iter().filter(|input| input.get_field_by_name("reason").is_some()).collect();
    assert_eq!(writes.len(), 16);
    for input in writes {
        assert!(input.get_field_by_name("validate_only").is_some(), "{}", input.name());
    }
}
