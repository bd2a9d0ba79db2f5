//! Secrets and contents of requests that are seeded into a mesh, and searched for in everything that leaves it other
//! than the response that asks for them.

use dataflow_mesh::outbound::Upstream;
use dataflow_tests::binary::Service;
use dataflow_tests::collector::Collector;
use dataflow_tests::redis::{self, Server};
use dataflow_tests::tokens::Issuer;
use dataflow_tests::{http, services};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const ADMIN_KEY: &str = "dfk_5eed0000000000000000000000000000000000000000000000000000000ad317";
const COOKIE: &str = "session=cookie-canary-41f7";
const PAYLOAD: &str = "payload-canary-9c02";

/// All that is searched, with the names of where it came from.
#[derive(Default)]
struct Streams(Vec<(String, String)>);

// === impl Streams ===

impl Streams {
    fn add(&mut self, name: &str, text: impl Into<String>) {
        self.0.push((name.to_owned(), text.into()));
    }

    fn find(&self, canary: &str) -> Vec<(&str, &str)> {
        let found = self.0.iter().filter_map(|(name, text)| {
            let at = text.find(canary)?;
            let from = text.floor_char_boundary(at.saturating_sub(200));
            Some((name.as_str(), &text[from..at + canary.len()]))
        });
        found.collect()
    }
}

/// A catalogue with a dataflow of this name, which is no XML from `end` on.
fn catalogue(name: &str, end: &str) -> String {
    let example = std::fs::read_to_string(dataflow_tests::example()).unwrap();
    let at = example.rfind("</").unwrap();
    let named = example[..at].replacen("Popolazione", name, 1);
    assert!(named.contains(name));
    format!("{named}{}", if end.is_empty() { &example[at..] } else { end })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_payload_is_in_logs_traces_metrics_errors_or_settings() {
    if !redis::available() {
        return;
    }
    let (collector, otlp) = Collector::start().await;
    let (redis, issuer, admin_file) = (Server::with_acl(), Issuer::new(), NamedTempFile::new().unwrap());
    std::fs::write(admin_file.path(), ADMIN_KEY).unwrap();
    let password_file = redis.password_file().into_os_string().into_string().unwrap();
    let password = std::fs::read_to_string(&password_file).unwrap();
    let token = issuer.token(&json!({"scope": "write"}));

    let all = ["--log", "debug", "--access-log", "all", "--otlp-endpoint", otlp.as_str()];
    let store =
        ["--redis-url", redis.url(), "--redis-password-file", &password_file, "--redis-timeout", "20s"];
    let start = |role: &str, own: &[&str]| Service::start(role, &[&all[..], own].concat());
    let (config, cache) = (start("config", &store), start("cache", &store));
    let url = |service: &Service| format!("http://{}", service.address);
    let (config_url, cache_url) = (url(&config), url(&cache));
    let peers = ["--config-url", &config_url, "--cache-url", &cache_url];
    let analysis = start("analysis", &[&peers[..], &services::LONG_TIMEOUT].concat());
    let analysis_url = url(&analysis);
    let admin_path = admin_file.path().to_str().unwrap();
    let auth = ["--analysis-url", &analysis_url, "--jwks", issuer.jwks(), "--admin-key-file", admin_path];
    let gateway = start("gateway", &[&peers[..], &auth].concat());
    let upstream: Upstream = url(&gateway).parse().unwrap();

    let mut streams = Streams::default();
    let bearer = format!("Bearer {token}");
    let send = async |method: &str, target: &str, credential: (&str, &str), kind: &str, body: &str| {
        let headers = [credential, ("cookie", COOKIE), ("content-type", kind)];
        let answer = http::request(&upstream, method, target, &headers, body.as_bytes()).await.unwrap();
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned(), format!("{:?}", answer.headers))
    };
    let (by_token, by_admin) = (("authorization", bearer.as_str()), ("x-api-key", ADMIN_KEY));
    let (json, xml) = ("application/json", "application/xml");

    // What succeeds: its response is for who asks, and everything else must not have it.
    let created = send("POST", "/v1/keys", by_admin, json, r#"{"displayName": "c", "scope": "READ"}"#).await;
    assert_eq!(created.0, 200, "{}", created.1);
    let created: Value = serde_json::from_str(&created.1).unwrap();
    let api_key = created["secret"].as_str().unwrap().to_owned();
    for body in [catalogue(PAYLOAD, ""), catalogue(PAYLOAD, "")] {
        let analyzed = send("POST", "/v1/catalogues:analyze", by_token, xml, &body).await;
        assert_eq!(analyzed.0, 200, "{}", analyzed.1);
        assert!(analyzed.1.contains(PAYLOAD), "{}", analyzed.1);
        streams.add("headers of a response", analyzed.2);
    }
    let text = json!({"dataflow": {"id": "a", "names": {"en": PAYLOAD}}}).to_string();
    let categorized = send("POST", "/v1/dataflows:categorize", by_token, json, &text).await;
    assert_eq!(categorized.0, 200, "{}", categorized.1);
    let entry = send("PUT", "/v1/cache/entries/user/k", by_token, "application/octet-stream", PAYLOAD).await;
    streams.add("response to a write of an entry", entry.1);
    let listed = send("GET", "/v1/keys", by_admin, json, "").await;
    assert_eq!(listed.0, 200, "{}", listed.1);
    streams.add("list of keys", listed.1);
    let settings = send("GET", "/v1/config", by_admin, json, "").await;
    assert_eq!(settings.0, 200, "{}", settings.1);
    streams.add("/v1/config", settings.1);

    // What fails, with credentials that are true, false or too weak.
    let (false_token, false_key) = (format!("{bearer}x"), format!("{api_key}x"));
    let of_key = ("x-api-key", api_key.as_str());
    let broken = catalogue(PAYLOAD, "<unfinished");
    for (method, target, credential, kind, body, status) in [
        ("POST", "/v1/catalogues:analyze", by_token, xml, broken.as_str(), 400),
        ("POST", "/v1/dataflows:categorize", by_token, json, &text[..text.len() - 1], 400),
        ("GET", "/v1/rules", ("authorization", false_token.as_str()), json, "", 401),
        ("GET", "/v1/rules", ("x-api-key", false_key.as_str()), json, "", 401),
        ("GET", "/v1/cache:stats", of_key, json, "", 403),
        ("POST", "/v1/rules", of_key, json, text.as_str(), 403),
        ("GET", "/v1/absent", by_admin, json, "", 404),
    ] {
        let answer = send(method, target, credential, kind, body).await;
        assert_eq!(answer.0, status, "{method} {target}: {}", answer.1);
        streams.add(&format!("error of {method} {target}"), answer.1 + &answer.2);
    }

    let services = [("gateway", gateway), ("analysis", analysis), ("cache", cache), ("config", config)];
    for (role, service) in services {
        let admin = format!("http://{}", service.admin).parse().unwrap();
        let metrics = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
        streams.add(&format!("metrics of {role}"), String::from_utf8(metrics.body).unwrap());
        // A process exports its buffered spans at exit.
        let (code, log) = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
        assert_eq!(code, 0, "{log:#?}");
        assert!(log.iter().any(|line| line.contains("\"level\":\"DEBUG\"")), "{role}");
        streams.add(&format!("log of {role}"), log.join("\n"));
    }
    assert!(collector.spans().len() > 20);
    streams.add("traces", collector.text());

    // The search works: what is no secret is found.
    assert!(!streams.find("/v1/catalogues:analyze").is_empty());
    let signature = token.rsplit('.').next().unwrap();
    let (key_secret, cookie) = (&api_key["dfk_".len()..], &COOKIE["session=".len()..]);
    let admin_key = &ADMIN_KEY["dfk_".len()..];
    for canary in [signature, key_secret, admin_key, password.trim(), cookie, PAYLOAD] {
        let found = streams.find(canary);
        assert!(found.is_empty(), "{canary}: {found:#?}");
    }
}
