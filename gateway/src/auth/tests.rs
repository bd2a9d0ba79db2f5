//! The decision about a call, by its credentials and its method.

use dataflow_mesh::identity;
use dataflow_mesh::process::Process;
use dataflow_mesh::status::Describe;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use http::{HeaderMap, HeaderValue};

use super::credentials::API_KEY;
use super::key_source::location::Location;
use super::peer::PeerIdentity;
use super::*;

const READ: &str = "/dataflow.config.v1.RuleService/GetRule";
const WRITE: &str = "/dataflow.config.v1.RuleService/CreateRule";
const ADMIN: &str = "/dataflow.cache.v1.CacheService/InvalidateTags";
const INTERNAL: &str = "/dataflow.cache.v1.CacheService/LeaseEntry";

fn key() -> String {
    format!("dfk_{}", "k".repeat(32))
}

fn auth(callers: Option<Authenticator>) -> Auth {
    Auth::new(callers, false, FILE_DESCRIPTOR_SET, &Process::default().context("gateway"))
}

fn with_admin_key(allows_anonymous: bool) -> Option<Authenticator> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, key()).unwrap();
    let args = AuthArgs { admin_key_file: Some(file), ..AuthArgs::default() };
    Authenticator::new(&args, allows_anonymous, None).unwrap()
}

fn decide(auth: &Auth, key: Option<&str>, path: &str) -> Result<Option<Scope>, &'static str> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert(API_KEY, HeaderValue::from_str(key).unwrap());
    }
    auth.admit(Presented { headers: &headers, peer: None }, path)
        .map(|caller| caller.scope)
        .map_err(|error| error.reason())
}

#[tokio::test]
async fn without_authentication_all_but_internal_methods_are_open() {
    let auth = auth(None);
    for path in [READ, WRITE, ADMIN, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] {
        assert_eq!(decide(&auth, None, path), Ok(None), "{path}");
        // Nothing is verified, so that a credential means nothing.
        assert_eq!(decide(&auth, Some("dfk_unknown"), path), Ok(None), "{path}");
    }
    assert_eq!(decide(&auth, None, INTERNAL), Err("METHOD_INTERNAL"));
    // Another spelling may become one that is refused.
    for path in [
        "/a.B/C",
        "/dataflow.cache.v1.CacheService/%4ceaseEntry",
        "/dataflow.cache.v1.CacheService/./LeaseEntry",
    ] {
        assert_eq!(decide(&auth, None, path), Err("METHOD_UNKNOWN"), "{path}");
    }
}

#[tokio::test]
async fn a_key_opens_what_its_scope_does() {
    let (key, auth) = (key(), auth(with_admin_key(false)));
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    for path in [READ, WRITE, ADMIN, reflection] {
        assert_eq!(decide(&auth, Some(&key), path), Ok(Some(Scope::Admin)), "{path}");
        assert_eq!(decide(&auth, Some(&format!("{key}x")), path), Err("API_KEY_UNKNOWN"), "{path}");
        assert_eq!(decide(&auth, None, path), Err("CREDENTIALS_MISSING"), "{path}");
    }
    assert_eq!(decide(&auth, Some(&key), INTERNAL), Err("METHOD_INTERNAL"));
    assert_eq!(decide(&auth, None, "/grpc.health.v1.Health/Check"), Ok(None));
}

#[tokio::test]
async fn anonymous_callers_read_where_that_is_allowed() {
    let auth = auth(with_admin_key(true));
    assert_eq!(decide(&auth, None, READ), Ok(Some(Scope::Read)));
    for path in [WRITE, ADMIN] {
        assert_eq!(decide(&auth, None, path), Err("SCOPE_MISSING"), "{path}");
    }
    // A caller that presents something wrong is told so, and not taken for an anonymous one.
    assert_eq!(decide(&auth, Some("dfk_unknown"), READ), Err("API_KEY_UNKNOWN"));
}

/// An authenticator that knows one certificate and one peer, beside the admin key.
fn with_table(allows_anonymous: bool, mesh: PeerIdentity) -> Option<Authenticator> {
    let directory = tempfile::tempdir().unwrap();
    let (file, subjects) = (directory.path().join("key"), directory.path().join("subjects"));
    std::fs::write(&file, key()).unwrap();
    let table = r#"{"subjects": [{"subject": "cert:ada", "scope": "write", "tenant": "acme"},
                                 {"subject": "peer:spiffe://acme/ada", "scope": "admin"}]}"#;
    std::fs::write(&subjects, table).unwrap();
    let args = AuthArgs {
        admin_key_file: Some(file),
        tls_client_ca: Some("ca.pem".into()),
        peer_identity: mesh,
        subjects_file: Some(subjects),
        ..AuthArgs::default()
    };
    Authenticator::new(&args, allows_anonymous, None).unwrap()
}

#[tokio::test]
async fn what_a_peer_may_do_is_in_the_table() {
    let on = auth(with_table(false, PeerIdentity::Istio));
    let anonymous = auth(with_table(true, PeerIdentity::None));
    let decide = |auth: &Auth, fields: &[(&str, &str)], path: &str| {
        let mut request = Request::new(());
        for (name, value) in fields {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        auth.note_peer(&mut request);
        identity::strip(request.headers_mut());
        let caller = auth.admit(Presented::of(&request), path);
        caller
            .map(|caller| (caller.subject.clone(), caller.tenant.clone(), caller.scope))
            .map_err(|error| error.reason())
    };
    let admin = |subject: &str| Ok((subject.to_owned(), String::new(), Some(Scope::Admin)));
    let (header, ada) = ("x-forwarded-client-cert", "By=a;URI=spiffe://acme/ada");
    assert_eq!(decide(&on, &[(header, ada)], ADMIN), admin("peer:spiffe://acme/ada"));
    assert_eq!(decide(&on, &[(header, ada)], INTERNAL), Err("METHOD_INTERNAL"));
    assert_eq!(decide(&on, &[(header, "URI=spiffe://acme/bob")], READ), Err("SUBJECT_UNKNOWN"));
    assert_eq!(decide(&on, &[(header, "URI=spiffe://acme/ada;")], READ), Err("PEER_INVALID"));
    assert_eq!(decide(&on, &[(header, ada), (header, ada)], READ), Err("PEER_INVALID"));
    assert_eq!(decide(&on, &[("l5d-client-id", "spiffe://acme/ada")], READ), Err("CREDENTIALS_MISSING"));
    assert_eq!(decide(&on, &[], READ), Err("CREDENTIALS_MISSING"));
    // A key counts before the peer, also a wrong one.
    let key = key();
    assert_eq!(decide(&on, &[(header, ada), ("x-api-key", &key)], ADMIN), admin("key:admin"));
    assert_eq!(decide(&on, &[(header, "wrong"), ("x-api-key", &key)], ADMIN), admin("key:admin"));
    assert_eq!(decide(&on, &[(header, ada), ("x-api-key", "dfk_x")], READ), Err("API_KEY_UNKNOWN"));
    // Without the flag the header means nothing, and the caller is anonymous.
    let anyone = Ok((String::new(), String::new(), Some(Scope::Read)));
    assert_eq!(decide(&anonymous, &[(header, ada)], READ), anyone);
    assert_eq!(decide(&anonymous, &[(header, ada)], WRITE), Err("SCOPE_MISSING"));
    let peers = auth(with_table(true, PeerIdentity::Istio));
    assert_eq!(decide(&peers, &[], READ), anyone);
    assert_eq!(decide(&peers, &[(header, "URI=spiffe://acme/bob")], READ), Err("SUBJECT_UNKNOWN"));
}

#[tokio::test]
async fn public_docs_are_reflection_and_nothing_else() {
    let context = Process::default().context("gateway");
    let auth = Auth::new(with_admin_key(false), true, FILE_DESCRIPTOR_SET, &context);
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        assert_eq!(decide(&auth, None, &path), Ok(None));
        assert_eq!(decide(&auth, Some("dfk_unknown"), &path), Ok(None));
    }
    for path in [READ, "/grpc.reflection", "/grpc.Reflection.v1.ServerReflection/ServerReflectionInfo"] {
        assert_eq!(decide(&auth, None, path), Err("CREDENTIALS_MISSING"), "{path}");
    }
}

#[test]
fn callers_by_table_need_a_table() {
    let directory = tempfile::tempdir().unwrap();
    let subjects = directory.path().join("subjects");
    std::fs::write(&subjects, r#"{"subjects": [{"subject": "cert:a", "scope": "all"}]}"#).unwrap();
    let check = |args: AuthArgs, expected: &str| {
        let error = Authenticator::new(&args, false, None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    let none = AuthArgs::default;
    let ca = Some("ca.pem".into());
    check(AuthArgs { tls_client_ca: ca.clone(), ..none() }, "--tls-client-ca needs --subjects-file");
    let peer = AuthArgs { peer_identity: PeerIdentity::Linkerd, ..none() };
    check(peer, "--peer-identity needs --subjects-file");
    let file = Some(subjects.clone());
    check(AuthArgs { subjects_file: file.clone(), ..none() }, "--subjects-file needs --tls-client-ca or");
    let wrong = AuthArgs { subjects_file: file, tls_client_ca: ca, ..none() };
    check(wrong, &format!("--subjects-file {}: subjects[0].scope: must be one of", subjects.display()));
}

#[test]
fn wrong_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let html = directory.path().join("html");
    std::fs::write(&html, "<html>").unwrap();
    let check = |args: AuthArgs, flag: &str| {
        let error = Authenticator::new(&args, false, None).unwrap_err().to_string();
        assert!(error.starts_with(flag) && error.contains(directory.path().to_str().unwrap()), "{error}");
    };
    let absent = directory.path().join("absent");
    for file in [&absent, &html] {
        let jwks = Some(Location::File(file.clone()));
        check(AuthArgs { jwks, ..AuthArgs::default() }, "--jwks");
    }
    check(AuthArgs { admin_key_file: Some(absent), ..AuthArgs::default() }, "--admin-key-file");
    check(AuthArgs { admin_key_file: Some(html), ..AuthArgs::default() }, "--admin-key-file");
}
