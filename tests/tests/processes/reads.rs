//! Audited reads, from a call at the gateway to what an administrator sees.

use std::sync::Arc;

use dataflow_config::{AuditLogArgs, ReadLogArgs};
use dataflow_proto::config::v1 as pb;
use dataflow_store::embedded::Embedded;
use dataflow_tests::editor::small;
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use dataflow_tests::{http, reads};
use serde_json::{Value, json};

use crate::access::send;

async fn get(gateway: &Service, target: &str, bearer: &str) -> http::HttpResponse {
    let headers = [("authorization", bearer), ("x-request-id", "r-7")];
    send(gateway, ("GET", target), &headers, &Value::Null).await
}

/// The reads that a caller sees with this query.
async fn listed(gateway: &Service, query: &str, bearer: &str) -> Vec<Value> {
    let answer = get(gateway, &format!("/v1/audit/reads?{query}"), bearer).await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 200, "{body}");
    body["reads"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_over_the_embedded_store() {
    let store = Arc::new(Embedded::new(1 << 20));
    let config = services::config_over(Arc::clone(&store) as _, small()).await;
    reads::reads_are_listed_to_their_tenant(&config, &config).await;
    let known = reads::list(&config, "", Default::default()).await.unwrap();
    config.stop().await;
    let restarted = services::config_over(store, small()).await;
    assert_eq!(reads::list(&restarted, "", Default::default()).await.unwrap(), known);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lists_keys_is_seen_by_administrators_of_their_tenant() {
    let issuer = Issuer::new();
    let (gateway, _services) = services::mesh(&["--jwks", issuer.jwks()]).await;
    let bearer = |claims: Value| format!("Bearer {}", issuer.token(&claims));
    let ada = bearer(json!({"sub": "ada", "tenant": "acme", "scope": "admin"}));
    let zoe = bearer(json!({"sub": "zoe", "tenant": "bolt", "scope": "admin"}));
    let root = bearer(json!({"sub": "root", "scope": "admin"}));
    let reader = bearer(json!({"sub": "bob", "tenant": "acme", "scope": "read"}));
    for (caller, status) in [(&ada, 200), (&root, 200), (&reader, 403)] {
        assert_eq!(get(&gateway, "/v1/keys", caller).await.status, status);
    }
    let told = |reads: &[Value]| -> Vec<String> {
        reads.iter().map(|read| read["subject"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let seen = listed(&gateway, "", &ada).await;
    assert_eq!(told(&seen), ["ada"]);
    let read = &seen[0];
    assert_eq!((&read["action"], &read["resource"]), (&json!("KEYS_LISTED"), &json!("keys")));
    assert_eq!((&read["tenant"], &read["requestId"]), (&json!("acme"), &json!("r-7")));
    assert!(read["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{read}");
    assert_eq!(told(&listed(&gateway, "", &zoe).await), [""; 0], "of its tenant alone");
    assert_eq!(
        told(&listed(&gateway, "", &root).await),
        ["ada", "root"],
        "there is no read of who was refused"
    );
    assert_eq!(told(&listed(&gateway, "subject=root", &root).await), ["root"]);
    assert_eq!(told(&listed(&gateway, "endTime=2001-01-01T00:00:00Z", &root).await), [""; 0]);
    let exported = get(&gateway, "/v1/audit/reads:export?subject=ada", &root).await;
    let exported: Value = serde_json::from_slice(&exported.body).unwrap();
    assert_eq!(exported, *read, "one record a line");
    for target in ["/v1/audit/reads", "/v1/audit/reads:export"] {
        assert_eq!(get(&gateway, target, &reader).await.status, 403, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_polls_is_sampled_and_pushes_nothing_out() {
    let store = Arc::new(Embedded::new(1 << 20));
    let logs = AuditLogArgs {
        reads: ReadLogArgs { entries: 100, per_minute: 3, ..ReadLogArgs::default() },
        ..AuditLogArgs::default()
    };
    let config = services::config_with(Arc::clone(&store) as _, small(), logs.clone()).await;
    let audit = async |config: &Service| {
        let request = pb::ListAuditRecordsRequest::default();
        let mut client = pb::audit_service_client::AuditServiceClient::new(config.channel());
        client.list_audit_records(request).await.unwrap().into_inner().records
    };
    let (changes, subjects) = (audit(&config).await, 40);
    for _ in 0..10 {
        reads::list_keys(&config, "", "poller").await.unwrap();
    }
    reads::list_keys(&config, "acme", "poller").await.unwrap();
    let all = || pb::ListReadsRequest { page_size: 1000, ..Default::default() };
    let tenants = async |config: &Service| -> Vec<String> {
        let found = reads::list(config, "", all()).await.unwrap().reads;
        found.into_iter().map(|read| read.tenant).collect()
    };
    assert_eq!(tenants(&config).await, ["", "", "", "acme"], "the caller of another tenant is another one");
    let metrics = config.metrics.encode();
    for sample in ["recorded\"} 4\n", "left_out\"} 7\n", "lost\"} 0\n"] {
        assert!(metrics.contains(&format!("config_audited_reads_total{{outcome=\"{sample}")), "{sample}");
    }
    // Many callers without a tenant reach the bound of the log; changes stay whatever they do.
    for subject in 0..subjects {
        for _ in 0..3 {
            reads::list_keys(&config, "", &subject.to_string()).await.unwrap();
        }
    }
    let kept = reads::list(&config, "", all()).await.unwrap().reads;
    assert_eq!((kept.len(), kept[99].subject.as_str()), (100, "39"));
    assert!(config.metrics.encode().contains("config_read_log_entries 100\n"));
    // A tenant has the reads of ten callers.
    for subject in 0..subjects {
        for _ in 0..3 {
            reads::list_keys(&config, "bolt", &subject.to_string()).await.unwrap();
        }
    }
    assert_eq!(reads::list(&config, "bolt", all()).await.unwrap().reads.len(), 30);
    assert_eq!(audit(&config).await, changes);
}
