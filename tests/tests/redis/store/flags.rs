//! Invalid flags and unavailable servers: an invalid flag is an immediate error; an unavailable Redis is connected
//! later, and calls fail fast meanwhile.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use dataflow_mesh::process::Process;
use dataflow_mesh::status::Describe;
use dataflow_store::args::OpenError;
use dataflow_store::entries::Condition;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server, USER};
use dataflow_tests::services;
use futures_util::future::join_all;
use tempfile::{NamedTempFile, TempDir};

use super::backend::{LASTING, VOLATILE, open, text, try_open};

/// Maximum duration of a call to an unavailable Redis, including connecting and looking up the primary. It takes a
/// second or two; the rest is a margin for busy machines, where calls must be bounded too.
const BOUND: Duration = Duration::from_secs(20);

/// Opens the store of these flags and makes concurrent calls, each of which must fail soon and with STORE_UNAVAILABLE.
async fn check(case: &str, flags: &[&str]) {
    let store = open(flags, None);
    let call = async |index: usize| {
        let begun = Instant::now();
        let (key, lasting) = (VOLATILE.key(index.to_string()), LASTING.key(index.to_string()));
        let refused = match index % 6 {
            0 => store.get(&[key, lasting]).await.err(),
            1 => store.set(&key, "x".into(), None, Condition::Always).await.err(),
            2 => store.append(&lasting, "id", "x".into()).await.err(),
            3 => store.generations(&[key]).await.err(),
            4 => store.list(VOLATILE, "", None).await.err(),
            _ => store.delete(&key, Condition::Absent).await.err(),
        };
        (refused, begun.elapsed())
    };
    let answers = join_all((0..24).map(call)).await;
    for (index, (refused, took)) in answers.into_iter().enumerate() {
        let refused = refused.unwrap_or_else(|| panic!("{case}: call {index} succeeded"));
        assert_eq!(refused.reason(), "STORE_UNAVAILABLE", "{case}: call {index}: {refused}");
        assert!(took < BOUND, "{case}: call {index} took {took:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_redis_is_opened_and_calls_fail() {
    let closed = [services::closed_port(), services::closed_port()];
    let closed = closed.each_ref().map(|at| at.upstream.to_string().replace("http://", ""));
    let closed = closed.each_ref().map(|at| at.trim_end_matches('/'));
    // The kernel accepts connections, but there are no replies.
    let silent = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    let silent = silent.each_ref().map(|at| at.local_addr().unwrap().to_string());
    let addresses = [("closed ports", closed), ("hanging servers", silent.each_ref().map(String::as_str))];
    let checks = addresses.into_iter().flat_map(|(case, [one, two])| {
        let urls = [
            format!("redis://{one}"),
            format!("rediss://{one}"),
            format!("redis+sentinel://{one},{two}/dataflow"),
            format!("redis+cluster://{one},{two}"),
        ];
        urls.map(|url| async move { check(&format!("{case} at {url}"), &["--redis-url", &url]).await })
    });
    join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_rejects_us_is_opened_and_calls_fail() {
    if !redis::available() {
        return;
    }
    let (plain, acl, tls) = (Server::start(), Server::with_acl(), Server::with_tls());
    let address = |scheme: &str, server: &Server| format!("{scheme}://127.0.0.1:{}", server.port());
    let wrong = NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "wrong\n").unwrap();
    let [wrong, password, ca] =
        [wrong.path(), &acl.password_file(), &tls.ca_file()].map(|path| path.display().to_string());
    let to_acl = address("redis", &acl);
    check("no password", &["--redis-url", &to_acl]).await;
    let as_user = ["--redis-url", &to_acl, "--redis-username", USER];
    check("a wrong password", &[&as_user[..], &["--redis-password-file", &wrong]].concat()).await;
    let as_stranger = ["--redis-url", &to_acl, "--redis-username", "stranger"];
    check("another user", &[&as_stranger[..], &["--redis-password-file", &password]].concat()).await;
    check("TLS with an unknown authority", &["--redis-url", tls.url()]).await;
    check("no TLS with a TLS-only server", &["--redis-url", &address("redis", &tls)]).await;
    let encrypted = address("rediss", &plain);
    check("TLS with a server without it", &["--redis-url", &encrypted, "--redis-ca-file", &ca]).await;
    check("not a sentinel", &["--redis-url", &format!("redis+sentinel://127.0.0.1:{}/a", plain.port())])
        .await;
    check("not a cluster", &["--redis-url", &format!("redis+cluster://127.0.0.1:{}", plain.port())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_outside_the_acl_is_rejected() {
    if !redis::available() {
        return;
    }
    let server = Server::with_acl();
    let file = server.password_file().display().to_string();
    let flags = ["--redis-url", server.url(), "--redis-password-file", &file, "--redis-prefix", "other:"];
    let (store, key) = (open(&flags, None), VOLATILE.key("a"));
    let refused = [
        store.get(std::slice::from_ref(&key)).await.err(),
        store.set(&key, "x".into(), None, Condition::Always).await.err(),
        store.publish("topic", "x".into()).await.err(),
    ];
    let reasons = refused.map(|refused| refused.map(|error| error.reason()));
    assert_eq!(reasons, [Some("STORE_UNAVAILABLE"); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_starts_later_is_connected() {
    if !redis::available() {
        return;
    }
    let mut server = Server::start();
    server.kill();
    let store = open(&["--redis-url", server.url()], None);
    let key = VOLATILE.key("a");
    assert_eq!(store.get(std::slice::from_ref(&key)).await.unwrap_err().reason(), "STORE_UNAVAILABLE");
    server.restart();
    let put = async || store.set(&key, "x".into(), None, Condition::Always).await.is_ok();
    eventually(TIMEOUT, "Redis is connected", put).await;
    assert_eq!(text(&*store, &key).await.as_deref(), Some("x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_may_have_a_line_end() {
    if !redis::available() {
        return;
    }
    let server = Server::with_acl();
    let file = NamedTempFile::new().unwrap();
    let password = std::fs::read_to_string(server.password_file()).unwrap();
    std::fs::write(file.path(), format!("{password}\n")).unwrap();
    // The user in the URL takes precedence over the flag.
    let file = file.path().display().to_string();
    let flags = ["--redis-url", server.url(), "--redis-password-file", &file, "--redis-username", "stranger"];
    assert_eq!(open(&flags, None).get(&[VOLATILE.key("a")]).await.unwrap(), [None]);
}

#[tokio::test]
async fn invalid_flags_are_immediate_errors() {
    let refused = |flags: &[&str], directory: Option<&TempDir>| {
        let opened = try_open(flags, directory.map(TempDir::path), &Process::default());
        opened.err().unwrap_or_else(|| panic!("{flags:?} can be opened"))
    };
    let url = ["--redis-url", "rediss://127.0.0.1:1"];
    for flag in ["--redis-password-file", "--redis-ca-file"] {
        let error = refused(&[&url[..], &[flag, "no/such/file"]].concat(), None);
        assert!(matches!(error, OpenError::File { .. }), "{error:?}");
        assert_eq!(error.to_string(), "no/such/file");
    }
    let garbage = NamedTempFile::new().unwrap();
    std::fs::write(garbage.path(), "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").unwrap();
    let error = refused(&[&url[..], &["--redis-ca-file", garbage.path().to_str().unwrap()]].concat(), None);
    assert!(matches!(error, OpenError::Redis(_)), "{error:?}");
    let error = refused(&url, Some(&TempDir::new().unwrap()));
    assert!(matches!(error, OpenError::TwoPlaces), "{error:?}");
    let error = refused(&["--redis-url", "redis://me:hunter2@redis:x"], None);
    assert!(matches!(error, OpenError::Url(_)), "{error:?}");
    let message = format!("{error} {error:?}");
    assert!(
        message.contains("--redis-url: a port is not a number") && !message.contains("hunter2"),
        "{message}"
    );
    let file = garbage.path().to_str().unwrap();
    for (flags, expected) in [
        (["--redis-ca-file", file].as_slice(), "--redis-ca-file needs rediss in --redis-url"),
        (
            &["--redis-ca-file", file, "--redis-url", "redis://redis"],
            "--redis-ca-file needs rediss in --redis-url",
        ),
        (&["--redis-password-file", file], "--redis-password-file needs --redis-url"),
    ] {
        assert_eq!(refused(flags, None).to_string(), expected);
    }
}
