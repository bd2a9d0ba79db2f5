//! The public port over TLS, and clients that trust its certificate.

use std::path::Path;
use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::tls::ClientTls;
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::binary;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http;
use dataflow_tests::services::{self, Service};
use tempfile::TempDir;
use tonic::Code;

/// Writes a certificate for `localhost` that is its own root, and its key.
fn write_certificate(directory: &Path) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
}

async fn mesh() -> (TempDir, Service, [Service; 3], String) {
    let directory = tempfile::tempdir().unwrap();
    write_certificate(directory.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name).display().to_string());
    let (gateway, services) = services::mesh(&["--tls-cert", &cert, "--tls-key", &key]).await;
    let port = gateway.upstream.to_string().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    (directory, gateway, services, format!("https://localhost:{port}"))
}

/// The code of a call by a client that trusts the certificate in this directory.
async fn call(url: &str, trusted: &Path) -> Code {
    let trusted = ClientTls::trusting(Some(&trusted.join("cert.pem"))).unwrap();
    let channel = Outbound::secure(&url.parse().unwrap(), trusted, TIMEOUT);
    let listed = RuleServiceClient::new(channel).list_rulesets(pb::ListRulesetsRequest {}).await;
    listed.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_trusted_by_its_root_and_replaced_without_a_restart() {
    let (directory, gateway, _services, url) = mesh().await;
    assert_eq!(call(&url, directory.path()).await, Code::Ok);
    let other = tempfile::tempdir().unwrap();
    write_certificate(other.path());
    assert_eq!(call(&url, other.path()).await, Code::Unavailable, "signed by another root");
    assert!(http::request(&gateway.upstream, "GET", "/v1/rules", &[], b"").await.is_err(), "no plaintext");

    std::fs::write(directory.path().join("key.pem"), "broken").unwrap();
    for name in ["cert.pem", "key.pem"] {
        std::fs::copy(other.path().join(name), directory.path().join(name)).unwrap();
    }
    let is_replaced = async || call(&url, other.path()).await == Code::Ok;
    eventually(TIMEOUT, "the new certificate is served", is_replaced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_call_a_mesh_over_tls() {
    let (directory, _gateway, _services, url) = mesh().await;
    let file = directory.path().join("cert.pem").display().to_string();
    let run = async |arguments: Vec<String>| {
        tokio::task::spawn_blocking(move || {
            binary::command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap()
        })
        .await
        .unwrap()
    };
    let list = |more: &[&str]| {
        let all = [&["rules", "list", "--endpoint", &url], more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let listed = run(list(&["--ca-file", &file])).await;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("population"));
    let untrusted = run(list(&[])).await;
    assert_eq!(untrusted.status.code(), Some(4), "{}", String::from_utf8_lossy(&untrusted.stderr));
    let absent = run(list(&["--ca-file", "/absent"])).await;
    assert_eq!(absent.status.code(), Some(2), "{}", String::from_utf8_lossy(&absent.stderr));
}

#[tokio::test]
async fn silent_connections_are_closed_and_do_not_delay_a_stop() {
    let (_directory, gateway, _services, _url) = mesh().await;
    let address = gateway.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let stopping = tokio::time::timeout(TIMEOUT - Duration::from_secs(1), gateway.stop());
    stopping.await.expect("it stops in time");
    drop(silent);
}
