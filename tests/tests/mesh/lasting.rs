//! Clients whose connections last: HTTP/1.1 with keep-alive, one request after the other, and streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dataflow_mesh::outbound::Upstream;
use dataflow_proto::config::v1::WatchRulesetsRequest;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use dataflow_tests::eventually::TIMEOUT;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{interval, timeout};
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use super::client::{Call, Client};

/// How many of each kind.
const KEPT: usize = 4;
const STREAMS: usize = 8;

/// The time between two requests of a connection, and two attempts to open a stream: the test sends enough others.
const PACE: Duration = Duration::from_millis(100);

/// How often they did something, so that a test knows that they did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) requests: AtomicUsize,
    pub(crate) connections: AtomicUsize,
    pub(crate) streams: AtomicUsize,
}

/// Runs them until `is_done`.
pub(crate) async fn run(
    client: Arc<Client>,
    calls: &'static [Call],
    is_done: watch::Receiver<bool>,
) -> Arc<Done> {
    let done = Arc::new(Done::default());
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..KEPT {
        let (client, done, is_done) = (Arc::clone(&client), Arc::clone(&done), is_done.clone());
        tasks.spawn(async move { keep_alive(&client, calls, index, &done, is_done).await });
    }
    for index in 0..STREAMS {
        let (client, done, is_done) = (Arc::clone(&client), Arc::clone(&done), is_done.clone());
        tasks.spawn(async move { watch_rules(&client, index, &done, is_done).await });
    }
    tasks.join_all().await;
    done
}

/// Requests on one connection, until the server has asked to close it; then on another one.
async fn keep_alive(
    client: &Client,
    calls: &[Call],
    index: usize,
    done: &Done,
    is_done: watch::Receiver<bool>,
) {
    let mut connection = None;
    let mut pace = interval(PACE);
    for turn in index.. {
        pace.tick().await;
        if *is_done.borrow() {
            return;
        }
        let call = calls[turn % calls.len()];
        if let Err(failure) = timeout(TIMEOUT, request(client, turn, call, &mut connection, done))
            .await
            .unwrap_or_else(|_| Err("no response".to_owned()))
        {
            connection = None;
            client.fail(format!("{} {} over a kept connection: {failure}", call.method, call.target));
        }
    }
}

async fn request(
    client: &Client,
    turn: usize,
    call: Call,
    connection: &mut Option<http1::SendRequest<Full<bytes::Bytes>>>,
    done: &Done,
) -> Result<(), String> {
    let said = |error: hyper::Error| format!("{error:?}");
    // A connection that the server has closed before this request.
    if let Some(kept) = connection
        && kept.ready().await.is_err()
    {
        *connection = None;
    }
    let sender = match connection {
        Some(kept) => kept,
        None => {
            let address = client.address(turn).ok_or("no gateway is ready")?;
            let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
            tokio::spawn(driver);
            done.connections.fetch_add(1, Ordering::Relaxed);
            connection.insert(sender)
        }
    };
    let request = http::Request::builder().method(call.method).uri(call.target).header("host", "mesh");
    let request = request.header("content-type", "application/json").body(Full::from(call.body)).unwrap();
    let answer = sender.send_request(request).await.map_err(said)?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(said)?.to_bytes();
    done.requests.fetch_add(1, Ordering::Relaxed);
    if status == 200 { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
}

/// A stream, which is opened again when the service says that it drains.
async fn watch_rules(client: &Client, index: usize, done: &Done, mut is_done: watch::Receiver<bool>) {
    // No gateway may be ready for a moment.
    let mut pace = interval(PACE);
    for turn in index.. {
        pace.tick().await;
        let ended = tokio::select! {
            _ = is_done.wait_for(|is_done| *is_done) => return,
            ended = stream(client, turn, done) => ended,
        };
        match ended {
            Ok(()) => {}
            Err(status) if status.code() == Code::Unavailable => {}
            Err(status) => client.fail(format!("a stream: {status:?}")),
        }
    }
}

async fn stream(client: &Client, turn: usize, done: &Done) -> Result<(), Status> {
    let Some(address) = client.address(turn) else { return Ok(()) };
    let upstream: Upstream = format!("http://{address}").parse().unwrap();
    let endpoint = Endpoint::from_shared(upstream.to_string()).unwrap();
    // A gateway that has just stopped is tried again elsewhere.
    let Ok(channel) = endpoint.connect().await else { return Ok(()) };
    let request = WatchRulesetsRequest::default();
    let mut stream = RuleServiceClient::new(channel).watch_rulesets(request).await?.into_inner();
    done.streams.fetch_add(1, Ordering::Relaxed);
    while stream.message().await?.is_some() {}
    Ok(())
}
