//! Callers that a proxy of the mesh names, and callers that pretend to be such a proxy: over REST and gRPC, in headers
//! of any spelling, and in trailers.

use ::http::HeaderName;
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, code_and_reason, framed};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::Code;

use crate::access::{self, address};
use crate::foreign::recorder::Recorder;

const XFCC: &str = "x-forwarded-client-cert";
const CLIENT_ID: &str = "l5d-client-id";

/// What the proxy of the gateway adds for a caller that is in the table.
const ADA: &str = "By=spiffe://cluster.local/ns/dataflow/sa/gateway;Hash=00;Subject=\"\";\
                   URI=spiffe://cluster.local/ns/a/sa/ada";

/// What it adds for one that is not.
const BOB: &str = "By=spiffe://cluster.local/ns/dataflow/sa/gateway;Hash=00;Subject=\"\";\
                   URI=spiffe://cluster.local/ns/a/sa/bob";

const SET: &str = "/dataflow.cache.v1.CacheService/SetEntry";
const ENTRY: &str = "/v1/cache/entries/user/x";

fn subjects() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let table = json!({"subjects": [
        {"subject": "peer:spiffe://cluster.local/ns/a/sa/ada", "scope": "read", "tenant": "acme"},
        {"subject": "peer:ada.a.serviceaccount.identity.linkerd.cluster.local", "scope": "read", "tenant": "acme"},
    ]});
    std::fs::write(file.path(), table.to_string()).unwrap();
    file
}

/// The status of a call: `OK` or a reason. Over gRPC and REST it must be the same; both reach the recorder or none.
async fn call(gateway: &Service, recorder: &mut Recorder, headers: &[(&str, &str)]) -> String {
    let client = Client::connect(address(gateway), DEFAULT_WINDOW).await;
    let (code, reason) = access::call(&client, GET, headers).await;
    let over_grpc = (code, if code == Code::Ok { "OK".to_owned() } else { reason });
    let answer = http::request(&gateway.upstream, "GET", ENTRY, headers, b"").await.unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reason = body["details"][0]["reason"].as_str().unwrap_or("OK").to_owned();
    // The recorder's entry is empty, which is no entry.
    let over_rest = match answer.status {
        401 => (Code::Unauthenticated, reason),
        403 => (Code::PermissionDenied, reason),
        _ => (Code::Ok, "OK".to_owned()),
    };
    assert_eq!(over_grpc, over_rest, "{headers:?} {body}");
    if over_grpc.0 == Code::Ok {
        for _ in 0..2 {
            let (path, headers) = recorder.next().await;
            assert_eq!(path, GET);
            let forged = headers.keys().any(|name| name == XFCC || name.as_str().starts_with("l5d-"));
            assert!(!forged, "{headers:?}");
            let caller = ["dataflow-subject", "dataflow-tenant", "dataflow-scopes"];
            let caller = caller.map(|name| headers.get(name).map_or("", |value| value.to_str().unwrap()));
            if caller[0].starts_with("peer:") {
                assert_eq!((caller[1], caller[2]), ("acme", "read"));
            } else {
                assert_eq!(caller[1], "");
            }
        }
    }
    assert!(recorder.is_quiet());
    over_grpc.1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_chosen_mesh_names_the_caller() {
    let mut recorder = Recorder::start().await;
    let (table, issuer) = (subjects(), Issuer::new());
    let flags = ["--cache-url", &recorder.url.clone(), "--subjects-file", table.path().to_str().unwrap()];
    let forged = format!("{ADA},{BOB}");
    let appended = format!("{BOB},{ADA}");
    let open = format!("Subject=\",{ADA}");
    let linkerd = "ada.a.serviceaccount.identity.linkerd.cluster.local";

    let gateway = services::gateway(&[&flags[..], &["--peer-identity", "istio"]].concat()).await;
    let mut check = async |headers: &[(&str, &str)], expected: &str| {
        assert_eq!(call(&gateway, &mut recorder, headers).await, expected, "{headers:?}");
    };
    check(&[], "CREDENTIALS_MISSING").await;
    check(&[(XFCC, ADA)], "OK").await;
    check(&[("X-Forwarded-Client-Cert", ADA)], "OK").await;
    check(&[(XFCC, BOB)], "SUBJECT_UNKNOWN").await;
    check(&[(XFCC, &appended)], "OK").await;
    check(&[(XFCC, &forged)], "SUBJECT_UNKNOWN").await;
    check(&[(XFCC, &open)], "PEER_INVALID").await;
    check(&[(XFCC, ADA), (XFCC, ADA)], "PEER_INVALID").await;
    check(&[(XFCC, BOB), (XFCC, ADA)], "PEER_INVALID").await;
    check(&[(XFCC, "")], "PEER_INVALID").await;
    check(&[(CLIENT_ID, linkerd)], "CREDENTIALS_MISSING").await;
    check(&[(XFCC, ADA), (CLIENT_ID, "x")], "OK").await;
    check(&[("dataflow-subject", "peer:spiffe://cluster.local/ns/a/sa/ada")], "CREDENTIALS_MISSING").await;
    check(&[(XFCC, ADA), ("authorization", "Bearer a.b.c")], "TOKEN_INVALID").await;

    let gateway = services::gateway(&[&flags[..], &["--peer-identity", "linkerd"]].concat()).await;
    let mut check = async |headers: &[(&str, &str)], expected: &str| {
        assert_eq!(call(&gateway, &mut recorder, headers).await, expected, "{headers:?}");
    };
    check(&[(CLIENT_ID, linkerd)], "OK").await;
    check(&[(CLIENT_ID, "bob.a")], "SUBJECT_UNKNOWN").await;
    check(&[(CLIENT_ID, linkerd), (CLIENT_ID, linkerd)], "PEER_INVALID").await;
    check(&[(CLIENT_ID, "a, b")], "PEER_INVALID").await;
    check(&[(XFCC, ADA)], "CREDENTIALS_MISSING").await;

    // Without the flag these headers mean nothing, to authenticated and to anonymous callers.
    for more in [&["--jwks", issuer.jwks()][..], &["--jwks", issuer.jwks(), "--allow-anonymous"], &[]] {
        let gateway = services::gateway(&[&flags[..2], more].concat()).await;
        let expected = if more.len() == 2 { "CREDENTIALS_MISSING" } else { "OK" };
        for header in [(XFCC, ADA), (CLIENT_ID, linkerd), ("L5D-Client-ID", linkerd)] {
            assert_eq!(call(&gateway, &mut recorder, &[header]).await, expected, "{more:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_name_no_caller() {
    let mut recorder = Recorder::start().await;
    let table = subjects();
    let flags = ["--cache-url", &recorder.url.clone(), "--subjects-file", table.path().to_str().unwrap()];
    for mesh in ["istio", "linkerd"] {
        let gateway =
            services::gateway(&[&flags[..], &["--peer-identity", mesh, "--allow-anonymous"]].concat()).await;
        let client = Client::connect(address(&gateway), DEFAULT_WINDOW).await;
        let trailers = [(XFCC, ADA), (CLIENT_ID, "ada.a.serviceaccount.identity.linkerd.cluster.local")];
        let answer = client.send_with_trailers(GET, b"", &[], &trailers).await.unwrap();
        assert_eq!(answer.status(), 200);
        let (_, headers) = recorder.next().await;
        let names = [XFCC, CLIENT_ID, "dataflow-subject", "dataflow-tenant"];
        assert!(names.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
        assert_eq!(headers["dataflow-scopes"], "read", "anonymous");
        // What needs more than an anonymous caller has is refused before trailers come.
        let (answer, mut body) = client.open(SET, &[]).await.unwrap();
        // The call may have ended already.
        let _ = body.send_data(framed(b""), false);
        let fields = trailers.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let _ = body.send_trailers(fields.into_iter().collect());
        assert_eq!(code_and_reason(answer.await.unwrap().headers()).1, "SCOPE_MISSING");

        // Over HTTP/1.1, in the trailers of a chunked body.
        let fields: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "GET {ENTRY} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nte: trailers\r\ntrailer: {XFCC}\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n{fields}\r\n"
        );
        let answer = http::send(&gateway.upstream, request.as_bytes()).await.unwrap();
        assert!(answer.status != 401 && answer.status != 403, "{answer:?}");
        let (_, headers) = recorder.next().await;
        assert!(names.iter().all(|name| !headers.contains_key(*name)), "{headers:?}");
    }
}
