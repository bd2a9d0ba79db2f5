//! What callers present, and what becomes of it: never for our own services, and for foreign ones as the flags say.

use ::http::HeaderMap;
use dataflow_tests::http;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET};
use dataflow_tests::services::{self, Service};
use dataflow_tests::tokens::Issuer;

use super::descriptors;
use super::recorder::Recorder;
use crate::access::address;

/// The headers that may go on.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "x-api-key"];

/// What callers present to a foreign service, in two requests: a gateway that authenticates takes one of the two.
const THEIRS: [&[(&str, &str)]; 2] = [
    &[("authorization", "Basic YTpi"), ("cookie", "a=1"), ("cookie", "b=2")],
    &[("x-api-key", "of another system")],
];

/// The credentials of these requests that arrive over gRPC and over REST, which must be the same.
async fn arriving(
    gateway: &Service,
    recorder: &mut Recorder,
    (method, target): (&str, &str),
    requests: &[&[(&str, &str)]],
) -> Vec<String> {
    let client = Client::connect(address(gateway), DEFAULT_WINDOW).await;
    let mut found = Vec::new();
    for headers in requests {
        let over_grpc = client.send(method, b"", headers).await.unwrap();
        assert_eq!(over_grpc.status(), 200);
        let (path, of_grpc) = recorder.next().await;
        assert_eq!(path, method);
        let over_rest = http::request(&gateway.upstream, "GET", target, headers, b"").await.unwrap();
        assert!(over_rest.status != 401 && over_rest.status != 403, "{over_rest:?}");
        let (path, of_rest) = recorder.next().await;
        assert_eq!(path, method);
        assert_eq!(credentials(&of_grpc), credentials(&of_rest));
        found.extend(credentials(&of_grpc));
    }
    found
}

fn credentials(headers: &HeaderMap) -> Vec<String> {
    let values = CREDENTIALS.iter().flat_map(|name| headers.get_all(*name));
    values.map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_services_receive_credentials_unless_the_gateway_authenticates() {
    let mut recorder = Recorder::start().await;
    let (file, issuer) = (descriptors("toy.proto"), Issuer::new());
    let (upstream, bearer) = (format!("toy.v1.Toy={}", recorder.url), issuer.bearer("read write"));
    let foreign = ["--descriptors", file.path().to_str().unwrap(), "--upstream", &upstream];
    let (on, off) = (["--forward-authorization", "true"], ["--forward-authorization", "false"]);
    let jwks = ["--jwks", issuer.jwks()];
    let ours: [&[_]; 1] = [&[("authorization", bearer.as_str()), ("cookie", "a=1")]];
    let mut check = async |flags: &[&[&str]], requests: &[&[(&str, &str)]], expected: &[&str]| {
        let gateway = services::gateway(&[&foreign[..], &flags.concat()].concat()).await;
        let call = ("/toy.v1.Toy/Get", "/v1/things/x");
        assert_eq!(arriving(&gateway, &mut recorder, call, requests).await, expected, "{flags:?}");
        gateway.stop().await;
    };
    let theirs = ["Basic YTpi", "a=1", "b=2", "of another system"];
    check(&[], &THEIRS, &theirs).await;
    check(&[&on], &THEIRS, &theirs).await;
    check(&[&off], &THEIRS, &[]).await;
    check(&[&jwks], &ours, &[]).await;
    check(&[&jwks, &off], &ours, &[]).await;
    check(&[&jwks, &on], &ours, &[&bearer, "a=1"]).await;
    assert!(recorder.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_services_receive_no_credentials() {
    let mut recorder = Recorder::start().await;
    let (issuer, named) = (Issuer::new(), format!("dataflow.cache.v1.CacheService={}", recorder.url));
    let (cache_url, upstream) = (["--cache-url", &recorder.url.clone()], ["--upstream", &named]);
    let (on, jwks) = (["--forward-authorization", "true"], ["--jwks", issuer.jwks()]);
    let bearer = issuer.bearer("read");
    let ours: [&[_]; 1] = [&[("authorization", bearer.as_str()), ("cookie", "a=1")]];
    let mut check = async |flags: &[&[&str]], requests: &[&[(&str, &str)]]| {
        let gateway = services::gateway(&flags.concat()).await;
        let call = (GET, "/v1/cache/entries/user/x");
        assert_eq!(arriving(&gateway, &mut recorder, call, requests).await, [""; 0], "{flags:?}");
        gateway.stop().await;
    };
    check(&[&cache_url], &THEIRS).await;
    check(&[&cache_url, &on], &THEIRS).await;
    check(&[&upstream, &on], &THEIRS).await;
    check(&[&upstream, &on, &jwks], &ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_that_reads_a_resource_first_has_the_same_credentials() {
    let mut recorder = Recorder::start().await;
    let (file, upstream) = (descriptors("toy.proto"), format!("toy.v1.Toy={}", recorder.url));
    let flags = ["--descriptors", file.path().to_str().unwrap(), "--upstream", &upstream];
    let gateway = services::gateway(&flags).await;
    let headers = [("if-none-match", "\"x\""), ("authorization", "Basic YTpi"), ("accept", "*/*")];
    http::request(&gateway.upstream, "DELETE", "/v1/things/5", &headers, b"").await.unwrap();
    for method in ["/toy.v1.Toy/Get", "/toy.v1.Toy/Remove"] {
        let (path, headers) = recorder.next().await;
        assert_eq!(
            (path.as_str(), headers.get("authorization").unwrap().as_bytes()),
            (method, &b"Basic YTpi"[..])
        );
        assert!(!headers.contains_key("accept"), "{headers:?}");
    }
}
