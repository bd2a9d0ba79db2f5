//! The rates of API keys: beside those of their tenants, the same over REST and gRPC, and shared by gateways.

use std::time::Instant;

use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason, framed, trailers_only};
use dataflow_tests::services::{self, Service};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::Code;

use super::{LIST_RULES, RULES, address, fields, send};

/// Administrators without a tenant present this key.
struct Admin {
    file: NamedTempFile,
    secret: String,
}

// === impl Admin ===

impl Admin {
    fn new() -> Self {
        let (file, secret) = (NamedTempFile::new().unwrap(), format!("dfk_{}", "k".repeat(40)));
        std::fs::write(file.path(), &secret).unwrap();
        Self { file, secret }
    }

    fn flags(&self) -> [&str; 2] {
        ["--admin-key-file", self.file.path().to_str().unwrap()]
    }

    /// Creates a key, and waits until each gateway knows it; its secret.
    async fn create(&self, gateways: &[&Service], mut key: Value) -> String {
        key["displayName"] = json!("a key");
        key["scope"] = json!("READ");
        let headers = [("x-api-key", self.secret.as_str()), ("content-type", "application/json")];
        let body = key.to_string().into_bytes();
        let created =
            http::request(&gateways[0].upstream, "POST", "/v1/keys", &headers, &body).await.unwrap();
        let created: Value = serde_json::from_slice(&created.body).unwrap();
        let secret = created["secret"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
        for gateway in gateways {
            // A call that is not admitted uses up no rate: this method is for administrators.
            eventually(TIMEOUT, "the key is known", async || {
                send(gateway, ("GET", "/v1/flags"), &[("x-api-key", &secret)]).await.status == 403
            })
            .await;
        }
        secret
    }
}

/// The code and the reason of a call over gRPC.
async fn over_grpc(client: &Client, secret: &str) -> (Code, String) {
    let (answer, mut body) = client.open(LIST_RULES, &[("x-api-key", secret)]).await.unwrap();
    // A call that is refused may have ended already.
    let _ = body.send_data(framed(b""), true);
    let answer = answer.await.unwrap();
    match answer.headers().contains_key("grpc-status") {
        true => code_and_reason(answer.headers()),
        false => (Code::Ok, String::new()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_a_rate_beside_that_of_its_tenant_and_the_stricter_one_refuses() {
    let admin = Admin::new();
    let table = ["--tenant-rate-limit", "acme=4/h,bolt=1000/h", "--rate-burst", "4"];
    let (gateway, _services) = services::mesh(&[&admin.flags()[..], &table].concat()).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let key = async |key: Value| admin.create(&[&gateway], key).await;
    let limited = json!({"tenant": "acme", "rateLimit": "60/m", "rateBurst": 3});
    let (limited, usual) = (key(limited).await, key(json!({"tenant": "acme"})).await);
    let (alone, burst) = (
        key(json!({"rateLimit": "5/h", "rateBurst": 1})).await,
        key(json!({"tenant": "bolt", "rateLimit": "9/h"})).await,
    );

    // Three of the key, two over REST and one over gRPC. Then its own rate refuses.
    let policy = "\"subject\";q=60;w=60, \"tenant\";q=4;w=3600";
    let rest = async |secret: &str| {
        let answer = send(&gateway, RULES, &[("x-api-key", secret)]).await;
        (answer.status, fields(&answer.headers))
    };
    let left =
        |key: u32, tenant: u32| (policy.to_owned(), format!("\"subject\";r={key}, \"tenant\";r={tenant}"));
    assert_eq!(rest(&limited).await, (200, left(2, 3)));
    assert_eq!(over_grpc(&client, &limited).await, (Code::Ok, String::new()));
    assert_eq!(rest(&limited).await, (200, left(0, 1)));
    let answer = client.open(LIST_RULES, &[("x-api-key", &limited)]).await.unwrap().0.await.unwrap();
    assert_eq!(trailers_only(&answer), (Code::ResourceExhausted, "RATE_LIMITED".to_owned()));
    let refused = send(&gateway, RULES, &[("x-api-key", &limited)]).await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    let metadata = json!({"identity": "subject", "rate": "60/m"});
    assert_eq!((refused.status, &body["details"][0]["metadata"]), (429, &metadata));
    assert_eq!(fields(&refused.headers), left(0, 1));

    // Another key of the tenant has no rate of its own. Of the tenant's one call is left.
    assert_eq!(rest(&usual).await.0, 200);
    let refused = send(&gateway, RULES, &[("x-api-key", &usual)]).await;
    let body: Value = serde_json::from_slice(&refused.body).unwrap();
    let metadata = json!({"identity": "tenant", "rate": "4/h"});
    assert_eq!((refused.status, &body["details"][0]["metadata"]), (429, &metadata));

    // A rate counts without a tenant, and without a burst of its own it has that of the flag.
    assert_eq!((rest(&alone).await.0, rest(&alone).await.0), (200, 429));
    let mut admitted = 0;
    while rest(&burst).await.0 == 200 {
        admitted += 1;
    }
    assert_eq!(admitted, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_the_rate_of_a_key() {
    let admin = Admin::new();
    let (cache, config) = (services::cache().await, services::config([]).await);
    let [cache_url, config_url] = [&cache, &config].map(|service| service.upstream.to_string());
    let flags = ["--cache-url", &cache_url, "--config-url", &config_url];
    let flags = [&flags[..], &admin.flags()].concat();
    let gateways = [services::gateway(&flags).await, services::gateway(&flags).await];
    let key = admin.create(&[&gateways[0], &gateways[1]], json!({"rateLimit": "20/s"})).await;
    let (start, mut admitted, mut refused) = (Instant::now(), 0_u32, 0_u32);
    // As many calls as it takes, each gateway with its part of them.
    eventually(TIMEOUT, "the rate of three seconds was used up", async || {
        let headers = [("x-api-key", key.as_str())];
        let calls = gateways.iter().cycle().take(40).map(|gateway| send(gateway, RULES, &headers));
        for answer in futures_util::future::join_all(calls).await {
            admitted += u32::from(answer.status == 200);
            refused += u32::from(answer.status == 429);
        }
        admitted >= 80
    })
    .await;
    let most = (20.0 + 20.0 * start.elapsed().as_secs_f64()) * 1.1;
    assert!(refused > 0 && f64::from(admitted) <= most, "{admitted} of {most}, {refused} refused");
}
