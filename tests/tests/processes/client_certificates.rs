//! Callers that present a certificate in the handshake: who they are, what they may do, and what counts before it.

use std::path::Path;

use dataflow_gateway::Gateway;
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::tls::ClientTls;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::binary;
use dataflow_tests::certificates::{Authority, Files};
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::process::Command;
use tonic::Status;
use tonic_types::StatusExt;

/// A mesh whose gateway asks clients for a certificate, and the authority of all certificates.
struct Mesh {
    authority: Authority,
    issuer: Issuer,
    url: String,
    gateway: Service,
    _services: [Service; 3],
}

/// What a client presents.
#[derive(Clone, Copy, Default)]
struct Presented<'a> {
    certificate: Option<&'a Files>,
    bearer: Option<&'a str>,
}

fn write_subjects(file: &Path, subjects: &Value) {
    std::fs::write(file, json!({"subjects": subjects}).to_string()).unwrap();
}

async fn mesh(subjects: &Value, flags: &[&str]) -> Mesh {
    let (authority, issuer) = (Authority::new(), Issuer::new());
    let (server, table) = (authority.server(), authority.path("subjects.json"));
    write_subjects(&table, subjects);
    let [certificate, key, ca, table] = [&server.certificate, &server.key, &authority.root(), &table]
        .map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca];
    let own = [&tls[..], &["--subjects-file", &table, "--jwks", issuer.jwks()], flags].concat();
    let (gateway, services) = services::mesh(&own).await;
    let port = gateway.upstream.to_string().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let url = format!("https://localhost:{port}");
    Mesh { authority, issuer, url, gateway, _services: services }
}

// === impl Mesh ===

impl Mesh {
    fn rules(&self, presented: Presented<'_>) -> RuleServiceClient<Outbound> {
        let root = self.authority.root();
        let tls = match presented.certificate {
            None => ClientTls::trusting(Some(&root)),
            Some(files) => ClientTls::presenting(Some(&root), &files.certificate, &files.key),
        };
        let channel = Outbound::secure(&self.url.parse().unwrap(), tls.unwrap(), TIMEOUT);
        let bearer = presented.bearer.map(|bearer| HeaderValue::from_str(bearer).unwrap());
        RuleServiceClient::new(channel.presenting(bearer))
    }

    /// The outcome of reading rules over gRPC: `OK`, a reason, or the code of a failed handshake.
    async fn read(&self, presented: Presented<'_>) -> String {
        outcome(self.rules(presented).list_rulesets(pb::ListRulesetsRequest {}).await)
    }

    /// The outcome of changing a rule over gRPC.
    async fn write(&self, presented: Presented<'_>, rule: &str) -> String {
        let rule = pb::CreateRuleRequest {
            rule_id: rule.to_owned(),
            category: dataflow_proto::r#type::v1::Category::Health.into(),
            keywords: vec!["zz".to_owned()],
            ..Default::default()
        };
        outcome(self.rules(presented).create_rule(rule).await)
    }

    /// Status and body of a request over REST, made by curl. None if this machine has none.
    async fn rest(
        &self,
        presented: Presented<'_>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--write-out",
            "\n%{http_code}",
            "--cacert",
        ]);
        curl.arg(self.authority.root()).args(["--request", method]).arg(format!("{}{path}", self.url));
        if let Some(Files { certificate, key }) = presented.certificate {
            curl.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        if let Some(bearer) = presented.bearer {
            curl.args(["--header", &format!("authorization: {bearer}")]);
        }
        if !body.is_null() {
            curl.args(["--header", "content-type: application/json", "--data", &body.to_string()]);
        }
        let output = curl.output().await.ok()?;
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        Some((status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::String(problem.into()))))
    }
}

fn outcome<T>(result: Result<tonic::Response<T>, Status>) -> String {
    match result {
        Ok(_) => "OK".to_owned(),
        Err(status) => match status.get_error_details().error_info() {
            Some(info) => info.reason.clone(),
            None => format!("{:?}", status.code()),
        },
    }
}

fn with(certificate: &Files) -> Presented<'_> {
    Presented { certificate: Some(certificate), bearer: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_who_calls_and_the_table_is_what_it_may() {
    let mesh = mesh(
        &json!([
            {"subject": "cert:spiffe://acme/ada", "scope": "write", "tenant": "acme"},
            {"subject": "cert:bob", "scope": "read"},
            {"subject": "cert:root", "scope": "admin"},
        ]),
        &[],
    )
    .await;
    let client = |name: &str, common_name, uris: &[&str]| mesh.authority.client(name, common_name, uris);
    let ada = client("ada", Some("root"), &["spiffe://acme/ada", "spiffe://acme/other"]);
    let (bob, root) = (client("bob", Some("bob"), &[]), client("root", Some("root"), &[]));
    // The rule of a URI: its common name does not count, although it is in the table.
    let eve = client("eve", Some("root"), &["spiffe://acme/eve"]);
    let unnamed = client("unnamed", None, &[]);

    assert_eq!(mesh.read(Presented::default()).await, "CREDENTIALS_MISSING");
    assert_eq!(mesh.write(with(&ada), "ada").await, "OK");
    assert_eq!(mesh.read(with(&bob)).await, "OK");
    assert_eq!(mesh.write(with(&bob), "bob").await, "SCOPE_MISSING");
    for files in [&eve, &client("prefixed", Some("cert:root"), &[])] {
        assert_eq!(mesh.read(with(files)).await, "SUBJECT_UNKNOWN");
    }
    assert_eq!(mesh.read(with(&unnamed)).await, "CERTIFICATE_NAMELESS");
    let other = Authority::new();
    let stranger = other.client("stranger", Some("root"), &[]);
    assert_eq!(mesh.read(with(&stranger)).await, "Unavailable", "the handshake fails");
    // A certificate of a server is none of a client.
    assert_eq!(mesh.read(with(&mesh.authority.server())).await, "Unavailable");

    // A token counts before the certificate, also a wrong one.
    let (write, read) = (mesh.issuer.bearer("admin"), mesh.issuer.bearer("read"));
    let both = |certificate, bearer| Presented { certificate: Some(certificate), bearer: Some(bearer) };
    assert_eq!(mesh.write(both(&bob, &write), "token").await, "OK");
    assert_eq!(mesh.write(both(&root, &read), "none").await, "SCOPE_MISSING");
    assert_eq!(mesh.read(both(&unnamed, &read)).await, "OK");
    assert_eq!(mesh.read(both(&root, "Bearer a.b.c")).await, "TOKEN_INVALID");
    for subject in ["cert:root", "peer:root", "key:admin"] {
        let forged = format!("Bearer {}", mesh.issuer.token(&json!({"sub": subject, "scope": "admin"})));
        assert_eq!(mesh.read(Presented { certificate: None, bearer: Some(&forged) }).await, "TOKEN_INVALID");
    }

    // The same over REST, and the authors of both changes.
    let get = async |presented, path: &str| mesh.rest(presented, "GET", path, &Value::Null).await;
    let Some((status, audit)) = get(with(&root), "/v1/audit").await else {
        return println!("SKIPPED: curl is not installed");
    };
    assert_eq!(status, 200, "{audit}");
    let authors: Vec<_> = audit["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["author"].as_str().unwrap())
        .collect();
    for (author, count) in [("cert:spiffe://acme/ada", 1), ("ada", 1), ("cert:bob", 0), ("cert:root", 0)] {
        assert_eq!(authors.iter().filter(|each| **each == author).count(), count, "{author} {audit}");
    }
    let check = async |presented, status: u16, reason: &str| {
        let (found, problem) = get(presented, "/v1/rules").await.unwrap();
        assert_eq!((found, &problem["details"][0]["reason"]), (status, &json!(reason)), "{problem}");
    };
    check(Presented::default(), 401, "CREDENTIALS_MISSING").await;
    check(with(&unnamed), 401, "CERTIFICATE_NAMELESS").await;
    check(with(&eve), 403, "SUBJECT_UNKNOWN").await;
    let (status, problem) = get(with(&eve), "/v1/rules").await.unwrap();
    assert_eq!(
        (status, &problem["details"][0]["metadata"]["subject"]),
        (403, &json!("cert:spiffe://acme/eve"))
    );

    // The tenant of the table separates entries.
    let entry = "/v1/cache/entries/user/secret";
    let put = mesh.rest(with(&ada), "PUT", entry, &json!({"value": "eA=="})).await;
    assert_eq!(put.unwrap().0, 200);
    assert_eq!(get(with(&ada), entry).await.unwrap().0, 200);
    assert_eq!(get(with(&root), entry).await.unwrap().0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_table_and_a_changed_authority_count_without_a_restart() {
    let mesh = mesh(&json!([{"subject": "cert:ada", "scope": "read"}]), &[]).await;
    let table = mesh.authority.path("subjects.json");
    let (ada, bob) =
        (mesh.authority.client("ada", Some("ada"), &[]), mesh.authority.client("bob", Some("bob"), &[]));
    assert_eq!(mesh.read(with(&ada)).await, "OK");
    write_subjects(&table, &json!([{"subject": "cert:bob", "scope": "read"}]));
    eventually(TIMEOUT, "the new table is in use", async || mesh.read(with(&bob)).await == "OK").await;
    assert_eq!(mesh.read(with(&ada)).await, "SUBJECT_UNKNOWN");
    assert!(mesh.gateway.metrics.encode().contains("gateway_subjects 1"));
    // A broken table changes nothing; what comes after it does.
    std::fs::write(&table, "broken").unwrap();

    let other = Authority::new();
    let of_other = other.client("bob", Some("bob"), &[]);
    assert_eq!(mesh.read(with(&of_other)).await, "Unavailable");
    // The client of a test trusts the file too: both authorities are in it.
    let [own, new] =
        [&mesh.authority, &other].map(|authority| std::fs::read_to_string(authority.root()).unwrap());
    std::fs::write(mesh.authority.root(), format!("{new}{own}")).unwrap();
    eventually(TIMEOUT, "a second authority is trusted", async || mesh.read(with(&of_other)).await == "OK")
        .await;
    assert_eq!(mesh.read(with(&bob)).await, "OK", "with the table before the broken one");
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_callers_read_and_commands_present_a_certificate() {
    let mesh = mesh(&json!([{"subject": "cert:ada", "scope": "admin"}]), &["--allow-anonymous"]).await;
    assert_eq!(mesh.read(Presented::default()).await, "OK");
    assert_eq!(mesh.write(Presented::default(), "none").await, "SCOPE_MISSING");
    // A certificate that is not in the table is not taken for none.
    let bob = mesh.authority.client("bob", Some("bob"), &[]);
    assert_eq!(mesh.read(with(&bob)).await, "SUBJECT_UNKNOWN");

    let ada = mesh.authority.client("ada", Some("ada"), &[]);
    let run = async |more: &[&Path]| {
        let mut command =
            Command::from(binary::command(&["keys", "list", "--endpoint", &mesh.url, "--ca-file"]));
        command.arg(mesh.authority.root());
        for (flag, file) in ["--client-cert", "--client-key"].iter().zip(more) {
            command.arg(flag).arg(file);
        }
        let ended = command.output().await.unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, problem) = run(&[&ada.certificate, &ada.key]).await;
    assert_eq!(code, Some(0), "{problem}");
    let (code, problem) = run(&[]).await;
    assert_eq!(code, Some(1), "anonymous callers list no keys: {problem}");
    let (code, problem) = run(&[&ada.certificate]).await;
    assert_eq!(code, Some(2));
    assert!(problem.contains("--client-cert needs --client-key"), "{problem}");
}

/// Both ways to know callers are authentication: also on other addresses than loopback, no caller is anonymous.
#[test]
fn a_gateway_with_certificates_or_peers_may_listen_anywhere() {
    let authority = Authority::new();
    let (server, table) = (authority.server(), authority.path("subjects.json"));
    write_subjects(&table, &json!([]));
    let [certificate, key, ca, table] = [&server.certificate, &server.key, &authority.root(), &table]
        .map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let subjects = ["--subjects-file", table.as_str()];
    let check = |flags: &[&[&str]], starts: bool| {
        let flags = [&["--listen", "0.0.0.0:0"], &flags.concat()[..]].concat();
        assert_eq!(Gateway::new(&services::args(&flags)).is_ok(), starts, "{flags:?}");
    };
    check(&[&["--peer-identity", "istio"], &subjects], true);
    check(&[&["--peer-identity", "linkerd"], &subjects], true);
    check(&[&["--tls-client-ca", &ca], &tls, &subjects], true);
    check(&[&["--peer-identity", "none"]], false);
    check(&[&tls], false);
}

#[test]
fn a_gateway_does_not_start_with_incomplete_flags() {
    let authority = Authority::new();
    let (server, table) = (authority.server(), authority.path("subjects.json"));
    write_subjects(&table, &json!([]));
    let [certificate, key, ca, table] = [&server.certificate, &server.key, &authority.root(), &table]
        .map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let check = |flags: &[&str], expected: &str| {
        let ended = binary::run(&[&["gateway", "--listen", "127.0.0.1:0"], flags].concat());
        assert_eq!(ended.code, 2, "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{flags:?}: {}", ended.stderr);
    };
    check(&["--tls-client-ca", &ca, "--subjects-file", &table], "--tls-client-ca needs --tls-cert");
    check(&[&tls[..], &["--tls-client-ca", &ca]].concat(), "--tls-client-ca needs --subjects-file");
    check(&["--peer-identity", "istio"], "--peer-identity needs --subjects-file");
    check(&["--subjects-file", &table], "--subjects-file needs");
    check(&["--peer-identity", "consul"], "istio");
    let no_ca = [&tls[..], &["--tls-client-ca", &key, "--subjects-file", &table]].concat();
    check(&no_ca, "it has no certificate in PEM");
    std::fs::write(&table, r#"{"subjects": [{"subject": "cert:a", "scope": "read", "x": 1}]}"#).unwrap();
    let unknown = [&tls[..], &["--tls-client-ca", &ca, "--subjects-file", &table]].concat();
    check(&unknown, "unknown field `x`");
    check(&unknown, "line 1 column");
}
