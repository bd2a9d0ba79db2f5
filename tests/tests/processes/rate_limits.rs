//! Rate limits of callers at the gateway: the same over REST, gRPC and the predecessor's routes, and shared by gateways.

mod keys;

use std::time::Instant;

use ::http::HeaderMap;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason, framed, trailers_only};
use dataflow_tests::relay::Relay;
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const RULES: (&str, &str) = ("GET", "/v1/rules");
const LEGACY_RULES: (&str, &str) = ("GET", "/api/analysis/rules");
const LIST_RULES: &str = "/dataflow.config.v1.RuleService/ListRules";

fn address(service: &Service) -> std::net::SocketAddr {
    let upstream = service.upstream.to_string();
    upstream.trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
}

fn bearer(issuer: &Issuer, subject: &str, tenant: Option<&str>, rate: Option<&str>) -> String {
    let mut claims = json!({"sub": subject, "scope": "admin"});
    for (name, value) in [("tenant", tenant), ("dataflow_rate_limit", rate)] {
        if let Some(value) = value {
            claims[name] = json!(value);
        }
    }
    format!("Bearer {}", issuer.token(&claims))
}

async fn send(gateway: &Service, request: (&str, &str), headers: &[(&str, &str)]) -> HttpResponse {
    http::request(&gateway.upstream, request.0, request.1, headers, &[]).await.unwrap()
}

async fn status(gateway: &Service, bearer: &str) -> u16 {
    send(gateway, RULES, &[("authorization", bearer)]).await.status
}

/// The fields by which callers learn of their limits, each without a parameter that depends on the time.
fn fields(headers: &HeaderMap) -> (String, String) {
    let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let without_time = text("ratelimit")
        .split(", ")
        .map(|item| item.split(";t=").next().unwrap().to_owned())
        .collect::<Vec<_>>();
    (text("ratelimit-policy"), without_time.join(", "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_counts_calls_of_all_protocols() {
    let issuer = Issuer::new();
    let flags = ["--jwks", issuer.jwks(), "--rate-limit", "6/h", "--rate-burst", "3"];
    let (gateway, _services) = services::mesh(&flags).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let ada = bearer(&issuer, "ada", Some("acme"), None);
    let as_ada = [("authorization", ada.as_str())];
    let policy = "\"subject\";q=6;w=3600, \"tenant\";q=6;w=3600";
    let left = |permits: u32| (policy.to_owned(), format!("\"subject\";r={permits}, \"tenant\";r={permits}"));

    let rest = send(&gateway, RULES, &as_ada).await;
    assert_eq!((rest.status, fields(&rest.headers)), (200, left(2)));
    let legacy = send(&gateway, LEGACY_RULES, &as_ada).await;
    assert_eq!((legacy.status, fields(&legacy.headers)), (200, left(1)));
    let grpc = client.send(LIST_RULES, b"", &as_ada).await.unwrap();
    assert!(!grpc.headers().contains_key("grpc-status"), "{grpc:?}");
    assert_eq!(fields(grpc.headers()), left(0));

    // A body that never comes does not delay the refusal.
    let waiting = [("authorization", ada.as_str()), ("expect", "100-continue"), ("content-length", "9")];
    for (request, headers) in
        [(RULES, &as_ada[..]), (LEGACY_RULES, &as_ada), (("POST", "/v1/catalogues:analyze"), &waiting)]
    {
        let refused = send(&gateway, request, headers).await;
        assert_eq!((refused.status, fields(&refused.headers)), (429, left(0)), "{request:?}");
        let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=600).contains(&seconds), "{request:?} {seconds}");
        let body: Value = serde_json::from_slice(&refused.body).unwrap();
        if request != LEGACY_RULES {
            let info = &body["details"][0];
            assert_eq!(
                (&info["reason"], &info["domain"]),
                (&json!("RATE_LIMITED"), &json!("dataflow.gateway.v1"))
            );
            assert_eq!(info["metadata"], json!({"identity": "subject", "rate": "6/h"}));
        }
    }
    let (answer, _open) = client.open(LIST_RULES, &as_ada).await.unwrap();
    let refused = answer.await.unwrap();
    assert_eq!(trailers_only(&refused), (Code::ResourceExhausted, "RATE_LIMITED".to_owned()));
    let retry = Status::from_header_map(refused.headers()).unwrap().get_details_retry_info();
    assert!(retry.and_then(|retry| retry.retry_delay).is_some_and(|delay| delay.as_secs() < 600));
    assert_eq!(fields(refused.headers()), left(0));
    let shown = gateway.metrics.encode();
    assert!(shown.contains("gateway_rate_limited_total{identity=\"subject\"} 4\n"), "{shown}");

    // Probes have no limit.
    for probe in ["/health", "/live", "/ready", "/health/status"] {
        let probed = send(&gateway, ("GET", probe), &as_ada).await;
        assert_eq!((probed.status, fields(&probed.headers).0.as_str()), (200, ""), "{probe}");
    }
    for _ in 0..9 {
        let (answer, mut body) = client.open("/grpc.health.v1.Health/Check", &as_ada).await.unwrap();
        body.send_data(framed(b""), true).unwrap();
        assert!(!answer.await.unwrap().headers().contains_key("grpc-status"));
    }

    // Others of the tenant share its limit; other tenants do not.
    assert_eq!(status(&gateway, &bearer(&issuer, "bob", Some("acme"), None)).await, 429);
    assert_eq!(status(&gateway, &bearer(&issuer, "ada", Some("bolt"), None)).await, 200);
    assert_eq!(status(&gateway, &bearer(&issuer, "ada", None, None)).await, 200);
    let shown = gateway.metrics.encode();
    assert!(shown.contains("gateway_rate_limited_total{identity=\"tenant\"} 1\n"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_limited() {
    let issuer = Issuer::new();
    let flags = ["--jwks", issuer.jwks(), "--rate-limit", "1/h"];
    let (gateway, _services) = services::mesh(&flags).await;
    let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
    let root = bearer(&issuer, "root", None, None);
    assert_eq!(status(&gateway, &root).await, 200);
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut limited = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let (answer, _body) = client.open(&path, &[("authorization", &root)]).await.unwrap();
        let found = code_and_reason(answer.await.unwrap().headers());
        let is_internal = found == (Code::PermissionDenied, "METHOD_INTERNAL".to_owned());
        assert!(
            is_internal || found == (Code::ResourceExhausted, "RATE_LIMITED".to_owned()),
            "{path}: {found:?}"
        );
        limited += usize::from(!is_internal);
    }
    assert!(limited > 30, "{limited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_tokens_and_keys_have_their_rates() {
    let issuer = Issuer::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = format!("dfk_{}", "k".repeat(40));
    std::fs::write(file.path(), &key).unwrap();
    let path = file.path().to_str().unwrap();
    let flags =
        ["--jwks", issuer.jwks(), "--admin-key-file", path, "--rate-limit", "2/s", "--allow-anonymous"];
    let table = ["--tenant-rate-limit", "acme=3/h,bolt=4/h"];
    let (gateway, _services) = services::mesh(&[&flags[..], &table].concat()).await;
    let policy = async |headers: &[(&str, &str)]| fields(&send(&gateway, RULES, headers).await.headers).0;
    let of = async |tenant: Option<&str>, rate: Option<&str>| {
        policy(&[("authorization", &bearer(&issuer, "ada", tenant, rate))]).await
    };
    assert_eq!(of(Some("acme"), None).await, "\"subject\";q=2;w=1, \"tenant\";q=3;w=3600");
    assert_eq!(of(Some("bolt"), Some("50/m")).await, "\"subject\";q=50;w=60, \"tenant\";q=4;w=3600");
    assert_eq!(of(Some("cog"), None).await, "\"subject\";q=2;w=1, \"tenant\";q=2;w=1");
    assert_eq!(policy(&[("x-api-key", &key)]).await, "\"subject\";q=2;w=1");
    let wrong = bearer(&issuer, "ada", None, Some("50"));
    assert_eq!(status(&gateway, &wrong).await, 401);
    // Callers without credentials have no limit.
    for _ in 0..9 {
        let anonymous = send(&gateway, RULES, &[]).await;
        assert_eq!((anonymous.status, fields(&anonymous.headers).0.as_str()), (200, ""));
    }
    let (anonymous, _services) = services::mesh(&["--rate-limit", "1/h"]).await;
    for _ in 0..9 {
        assert_eq!(send(&anonymous, RULES, &[]).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_allow_what_one_would() {
    let issuer = Issuer::new();
    let (cache, config) = (services::cache().await, services::config([]).await);
    let [cache_url, config_url] = [&cache, &config].map(|service| service.upstream.to_string());
    let flags = ["--jwks", issuer.jwks(), "--cache-url", &cache_url, "--config-url", &config_url];
    let flags = [&flags[..], &["--rate-limit", "20/s"]].concat();
    let gateways = [services::gateway(&flags).await, services::gateway(&flags).await];
    let ada = bearer(&issuer, "ada", Some("acme"), None);
    let (start, mut admitted, mut refused) = (Instant::now(), 0_u32, 0_u32);
    // As many calls as it takes, each gateway with its part of them.
    eventually(TIMEOUT, "the rate of three seconds was used up", async || {
        let calls = gateways.iter().cycle().take(40).map(|gateway| status(gateway, &ada));
        for status in futures_util::future::join_all(calls).await {
            admitted += u32::from(status == 200);
            refused += u32::from(status == 429);
        }
        admitted >= 80
    })
    .await;
    let most = (20.0 + 20.0 * start.elapsed().as_secs_f64()) * 1.1;
    assert!(refused > 0 && f64::from(admitted) <= most, "{admitted} of {most}, {refused} refused");
    for gateway in &gateways {
        assert!(gateway.metrics.encode().contains("gateway_rate_limits_by_share 0\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_a_burst() {
    let issuer = Issuer::new();
    let (cache, config) = (services::cache().await, services::config([]).await);
    let [cache_url, config_url] = [&cache, &config].map(|service| service.upstream.to_string());
    let flags = ["--jwks", issuer.jwks(), "--cache-url", &cache_url, "--config-url", &config_url];
    let limit = ["--rate-limit", "1/h", "--rate-burst", "40"];
    let flags = [&flags[..], &limit].concat();
    let gateways = [services::gateway(&flags).await, services::gateway(&flags).await];
    let ada = bearer(&issuer, "ada", None, None);
    let mut admitted = 0;
    for call in 0..100 {
        admitted += u32::from(status(&gateways[call % 2], &ada).await == 200);
    }
    assert!((36..=44).contains(&admitted), "{admitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_refused_because_the_cache_service_is_gone() {
    let issuer = Issuer::new();
    let limit = ["--jwks", issuer.jwks(), "--rate-limit", "1/h", "--rate-burst", "200"];
    let (gateway, [_analysis, cache, config]) = services::mesh(&limit).await;
    let ada = bearer(&issuer, "ada", Some("acme"), None);
    for call in 0..50 {
        assert_eq!(status(&gateway, &ada).await, 200, "{call}");
    }
    cache.stop().await;
    for call in 50..200 {
        assert_eq!(status(&gateway, &ada).await, 200, "{call}");
    }
    assert_eq!(status(&gateway, &ada).await, 429, "the limit of this gateway is still one");
    assert!(gateway.metrics.encode().contains("gateway_rate_limits_by_share 1\n"));

    // One that has never reached a cache service.
    let (closed, config_url) = (services::closed_port(), config.upstream.to_string());
    let urls = ["--cache-url", &closed.upstream.to_string(), "--config-url", &config_url];
    let alone = services::gateway(&[&urls[..], &limit].concat()).await;
    for call in 0..200 {
        assert_eq!(status(&alone, &ada).await, 200, "{call}");
    }
    assert_eq!(status(&alone, &ada).await, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_again_after_an_outage_of_the_cache_service() {
    let issuer = Issuer::new();
    let (cache, config) = (services::cache().await, services::config([]).await);
    let mut relay = Relay::to(&cache.upstream).await;
    let [cache_url, config_url] = [&relay.upstream, &config.upstream].map(ToString::to_string);
    let flags = ["--jwks", issuer.jwks(), "--cache-url", &cache_url, "--config-url", &config_url];
    let limit = ["--rate-limit", "1000000/h", "--rate-burst", "1000000"];
    let gateway = services::gateway(&[&flags[..], &limit].concat()).await;
    let ada = bearer(&issuer, "ada", None, None);
    let is_by_share = async |expected: u32| {
        assert_eq!(status(&gateway, &ada).await, 200);
        gateway.metrics.encode().contains(&format!("gateway_rate_limits_by_share {expected}\n"))
    };
    assert!(is_by_share(0).await);
    for _ in 0..2 {
        relay.cut();
        eventually(TIMEOUT, "the outage is noticed", async || is_by_share(1).await).await;
        let noticed = eventually(TIMEOUT, "its end is noticed", async || is_by_share(0).await);
        tokio::join!(relay.restore(), noticed);
    }
}
