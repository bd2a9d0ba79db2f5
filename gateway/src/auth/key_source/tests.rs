//! A key set from a real server: what replaces it, and what does not.

mod files;
mod responses;
mod server;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::*;
use responses::{CONTENT, invalid};
use server::{Server, ok};

/// A set with these kids.
fn set(kids: &[&str]) -> String {
    let jwk = |kid: &&str| {
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{kid}"}}"#
        )
    };
    format!(r#"{{"keys":[{}]}}"#, kids.iter().map(jwk).collect::<Vec<_>>().join(","))
}

fn kids(source: &KeySource) -> Vec<String> {
    let keys = source.current();
    keys.iter().flat_map(|keys| keys.keys()).filter_map(|key| key.kid().map(str::to_owned)).collect()
}

/// A source, and its changes.
fn open(location: Location, timing: Timing) -> Result<(KeySource, UnboundedReceiver<()>), KeySourceError> {
    // Fails if another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (sender, changes) = unbounded_channel();
    let on_change = Arc::new(move || _ = sender.send(()));
    Ok((KeySource::open_with(location, on_change, timing)?, changes))
}

/// Retries at once. The timeouts are long: no test needs a fast machine.
fn fast() -> Timing {
    let retry = (Duration::from_millis(1), Duration::from_millis(4));
    let minute = Duration::from_secs(60);
    Timing { refresh: Duration::from_millis(100), retry, connect: minute, total: minute, ..Timing::default() }
}

/// Runs a source in the background until the test ends.
fn run(source: &KeySource) -> tokio::task::JoinHandle<()> {
    tokio::spawn(source.clone().run())
}

#[tokio::test]
async fn the_first_fetch_gives_the_set() {
    let server = Server::start().await;
    let (source, mut changes) = open(server.location(), fast()).unwrap();
    let _running = run(&source);
    let request = server.request().await;
    assert!(source.current().is_none() && source.last_success().is_none());
    let head = request.head.to_lowercase();
    assert!(head.starts_with("get /keys?tenant=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\naccept: application/jwk-set+json, application/json\r\n"), "{head}");
    for absent in ["accept-encoding", "cookie", "authorization", "referer"] {
        assert!(!head.contains(absent), "{head}");
    }
    request.answer(&ok(&set(&["one", "two"]))).await;
    changes.recv().await.unwrap();
    assert_eq!(kids(&source), ["one", "two"]);
    assert_eq!(source.failures(), 0);
}

#[tokio::test]
async fn a_refresh_fetches_a_rotated_key_but_not_too_often() {
    let server = Server::start().await;
    let timing = fast();
    let (source, mut changes) = open(server.location(), timing).unwrap();
    let _running = run(&source);
    let mut requests = Vec::new();
    // The third document is the second one again, which is no change.
    for (document, is_change) in [(set(&["old"]), true), (set(&["new"]), true), (set(&["new"]), false)] {
        let request = server.request().await;
        requests.push(Instant::now());
        // While the fetch runs, so that its response may be older than the key.
        (0..100).for_each(|_| source.refresh());
        request.answer(&ok(&document)).await;
        if is_change {
            changes.recv().await.unwrap();
        }
    }
    server.request().await;
    requests.push(Instant::now());
    assert_eq!(kids(&source), ["new"]);
    assert!(changes.try_recv().is_err());
    assert!(source.last_success().is_some());
    assert_eq!(source.0.fetches.counted("fetched"), 3);
    for pair in requests.windows(2) {
        assert!(pair[1] - pair[0] >= timing.refresh, "{requests:?}");
    }
}

#[tokio::test]
async fn the_set_stays_in_use_until_the_server_has_a_valid_one() {
    let server = Server::start().await;
    let (source, mut changes) = open(server.location(), fast()).unwrap();
    let _running = run(&source);
    // Before there is a set, too.
    server.request().await.answer("HTTP/1.1 500 Oops\r\n\r\n").await;
    server.request().await.answer(&ok(&set(&["old"]))).await;
    changes.recv().await.unwrap();
    assert_eq!(source.0.fetches.counted("status"), 1);
    let success = source.last_success();
    source.refresh();
    let responses = invalid();
    for (index, (response, _)) in responses.iter().enumerate() {
        let request = server.request().await;
        assert_eq!(source.failures(), 1 + index as u64);
        request.answer(response).await;
    }
    let request = server.request().await;
    assert_eq!(kids(&source), ["old"]);
    assert_eq!(source.failures(), 1 + responses.len() as u64);
    assert_eq!(source.last_success(), success);
    assert!(changes.try_recv().is_err());
    request.answer(&ok(&set(&["new"]))).await;
    changes.recv().await.unwrap();
    assert_eq!(kids(&source), ["new"]);
}

#[tokio::test]
async fn a_problem_says_what_happened_without_the_document() {
    let server = Server::start().await;
    let (source, _) = open(server.location(), fast()).unwrap();
    for (response, expected) in invalid() {
        let answer = async { server.request().await.answer(&response).await };
        let (outcome, ()) = tokio::join!(source.load(), answer);
        let problem = outcome.unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem} {expected}");
        assert!(!problem.contains(CONTENT) && problem.len() < 300, "{problem}");
        assert!(!problem.contains("127.0.0.1"), "{problem}");
    }
    let location = server.location();
    drop(server);
    let refused = source.load().await.unwrap_err().to_string();
    assert!(refused.contains("Connection refused"), "{refused} {location}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_the_set_stays_in_use() {
    let server = Server::start().await;
    let timing = Timing { total: Duration::from_millis(100), ..fast() };
    let (source, mut changes) = open(server.location(), timing).unwrap();
    // As often as it takes, if the machine is slow.
    let load = async || while source.load().await.is_err() {};
    let new = ok(&set(&["new"]));
    let parts = ["", "HTTP/1.1 200 OK\r\ncontent-le", &new[..100], "HTTP/1.1 200 OK\r\n\r\n{"];
    for kid in ["one", "two"] {
        let document = set(&[kid]);
        tokio::select! {
            () = load() => changes.recv().await.unwrap(),
            () = server.serve(&document) => unreachable!("it never ends"),
        }
        let (failures, success) = (source.failures(), source.last_success());
        for part in parts {
            let problem = tokio::select! {
                outcome = source.load() => outcome.unwrap_err().to_string(),
                () = server.hang(part) => unreachable!("it never ends"),
            };
            assert_eq!(problem, "no complete response within 100ms", "{part}");
        }
        assert_eq!(kids(&source), [kid]);
        assert_eq!(source.failures(), failures + 4);
        assert_eq!(source.last_success(), success);
    }
}

#[tokio::test]
async fn a_fetch_that_fails_renews_nothing() {
    let server = Server::start().await;
    let (source, mut changes) = open(server.location(), fast()).unwrap();
    let _running = run(&source);
    server.request().await.answer(&ok(&set(&["one"]))).await;
    changes.recv().await.unwrap();
    let fail = async { server.request().await.answer("HTTP/1.1 500 Oops\r\n\r\n").await };
    assert_eq!(tokio::join!(source.renew(), fail).0, Renewal::Unknown);
}

#[tokio::test]
async fn callers_wait_for_one_fetch() {
    let server = Server::start().await;
    let (source, mut changes) = open(server.location(), fast()).unwrap();
    let _running = run(&source);
    server.request().await.answer(&ok(&set(&["one"]))).await;
    changes.recv().await.unwrap();
    let renewing: Vec<_> = (0..10)
        .map(|_| {
            let source = source.clone();
            tokio::spawn(async move { source.renew().await })
        })
        .collect();
    server.request().await.answer(&ok(&set(&["two"]))).await;
    for renewed in renewing {
        assert_eq!(renewed.await.unwrap(), Renewal::Fetched);
    }
    assert_eq!(kids(&source), ["two"]);
    let _all = source.0.waiting.try_acquire_many(MAX_WAITING as u32).unwrap();
    assert_eq!(source.renew().await, Renewal::Unknown, "too many wait");
}
