//! The decision about a call, by its credentials and its method.

use dataflow_mesh::process::Process;
use dataflow_mesh::status::Describe;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use http::HeaderValue;

use super::key_source::location::Location;
use super::*;

const READ: &str = "/dataflow.config.v1.RuleService/GetRule";
const WRITE: &str = "/dataflow.config.v1.RuleService/CreateRule";
const ADMIN: &str = "/dataflow.cache.v1.CacheService/InvalidateTags";
const INTERNAL: &str = "/dataflow.cache.v1.CacheService/LeaseEntry";

fn key() -> String {
    format!("dfk_{}", "k".repeat(32))
}

fn auth(callers: Option<Authenticator>) -> Auth {
    Auth::new(callers, FILE_DESCRIPTOR_SET, &Process::default().context("gateway"))
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
    auth.admit(&headers, path).map(|caller| caller.scope).map_err(|error| error.reason())
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
