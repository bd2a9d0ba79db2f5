//! Callers cannot add series to the metrics, whatever they send.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use dataflow_tests::binary::Service;
use dataflow_tests::http::{self, head};
use dataflow_tests::tokens::Issuer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a client may choose, for one number.
fn odd(number: usize, token: &str) -> String {
    let odd = format!("{number}%22%0A%7B{}", number.wrapping_mul(0x9e37_79b9) % 1_000_003);
    let (verb, target, kind) = match number % 8 {
        0 => (format!("ODD{number}"), format!("/v1/rules/{odd}"), "application/json"),
        1 => (format!("GET{number}"), "/v1/rules".to_owned(), "application/json"),
        2 => ("GET".to_owned(), format!("/{odd}"), "application/json"),
        3 => ("GET".to_owned(), format!("/v1/rules/{odd}"), "application/json"),
        4 => ("GET".to_owned(), format!("/api/analysis/{odd}?a={odd}"), "application/json"),
        5 => ("DELETE".to_owned(), format!("/v1/rules/{odd}"), "application/json"),
        6 => ("POST".to_owned(), format!("/odd.S{number}/M{number}"), "application/grpc"),
        _ => ("POST".to_owned(), format!("/dataflow.config.v1.RuleService/M{number}"), "application/grpc"),
    };
    // One in eight gets as far as a service.
    let authorization = if number % 8 == 3 { format!("Bearer {token}") } else { format!("Bearer {number}") };
    let names = [
        ("content-type", kind),
        ("authorization", &authorization),
        ("x-dataflow-tenant", &format!("tenant-{number}")),
        ("user-agent", &format!("agent-{number}")),
        ("x-request-id", &format!("request-{number}")),
        ("x-forwarded-client-cert", &format!("URI=spiffe://mesh/ns/odd-{number}/sa/odd-{number}")),
    ];
    head(&verb, &target, &names, Some(0))
}

/// Sends these on one connection, without waiting for the response of the one before. Returns the number of responses.
async fn pipelined(gateway: SocketAddr, numbers: Range<usize>, tokens: Arc<[String]>) -> usize {
    let (mut reading, mut writing) = TcpStream::connect(gateway).await.unwrap().into_split();
    let sending = tokio::spawn(async move {
        for number in numbers {
            let request = odd(number, &tokens[number % tokens.len()]).replace("connection: close\r\n", "");
            writing.write_all(request.as_bytes()).await.unwrap();
        }
        let last = head("GET", "/live", &[("connection", "close")], None);
        writing.write_all(last.as_bytes()).await.unwrap();
        writing
    });
    let mut text = Vec::new();
    reading.read_to_end(&mut text).await.unwrap();
    drop(sending.await.unwrap());
    String::from_utf8_lossy(&text).matches("HTTP/1.1 ").count() - 1
}

/// The names and labels of all samples.
async fn series(up: &Service) -> BTreeSet<String> {
    let admin = format!("http://{}", up.admin).parse().unwrap();
    let scraped = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
    let text = String::from_utf8(scraped.body).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_odd_values_add_no_series() {
    const CALLS: usize = 100_000;
    const CONNECTIONS: usize = 4;
    const TENANTS: usize = 200;
    // So that each kind has been there: codes and statuses, which are closed sets, appear when they first occur.
    const FIRST: usize = 64;
    let issuer = Issuer::new();
    let up = Service::start("up", &["--jwks", issuer.jwks()]);
    let address: SocketAddr = up.address.parse().unwrap();
    let token =
        |number| issuer.token(&json!({"sub": "ada", "scope": "admin", "tenant": format!("t{number}")}));
    let tokens: Arc<[String]> = (0..TENANTS).map(token).collect();
    assert_eq!(pipelined(address, 0..FIRST, Arc::clone(&tokens)).await, FIRST);
    let before = series(&up).await;
    assert!(before.len() > 500, "{}", before.len());
    let share = CALLS / CONNECTIONS;
    let sending: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let first = FIRST + connection * share;
            tokio::spawn(pipelined(address, first..first + share, Arc::clone(&tokens)))
        })
        .collect();
    for one in sending {
        assert_eq!(one.await.unwrap(), share);
    }
    let after = series(&up).await;
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}
