//! A load-balancing client: it knows two gateways, polls their readiness, avoids one that is not ready or that sent
//! GOAWAY, and never retries a call that may have been processed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http as http1;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

/// The interval of readiness checks.
const READINESS_INTERVAL: Duration = Duration::from_millis(200);

/// The request of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) body: &'static str,
}

/// One gateway.
struct Gateway {
    api: SocketAddr,
    is_ready: AtomicBool,
    /// The connection that HTTP/2 calls share.
    shared: tokio::sync::Mutex<Option<SendRequest<Bytes>>>,
}

/// The client.
pub(crate) struct Client {
    gateways: Vec<Arc<Gateway>>,
    turn: AtomicUsize,
    /// The failures.
    pub(crate) failures: Mutex<Vec<String>>,
    /// The calls that crossed a GOAWAY which excludes them: the server has processed nothing of them, and clients send
    /// them again (RFC 9113, 6.8). h2 acknowledges the PING of a shutdown before it sends requests that are waiting, so
    /// that they arrive when the server believes that it has seen all.
    pub(crate) unprocessed: AtomicUsize,
}

/// Why a call over HTTP/2 failed.
enum Failed {
    /// The server states that it has processed nothing of it.
    Unprocessed,
    Other(String),
}

// === impl Client ===

impl Client {
    /// A client of gateways, each with its public port and, optionally, its admin port; without one it counts as ready.
    pub(crate) fn new(gateways: impl IntoIterator<Item = (SocketAddr, Option<SocketAddr>)>) -> Arc<Self> {
        let gateways = gateways.into_iter().map(|(api, admin)| {
            let gateway = Arc::new(Gateway {
                api,
                is_ready: AtomicBool::new(true),
                shared: tokio::sync::Mutex::new(None),
            });
            if let Some(admin) = admin {
                tokio::spawn(watch(Arc::clone(&gateway), admin));
            }
            gateway
        });
        let gateways = gateways.collect();
        let (turn, unprocessed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { gateways, turn, failures: Mutex::default(), unprocessed })
    }

    /// Makes a call, every other one over HTTP/1.1, and records failures.
    pub(crate) async fn call(&self, call: Call) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let over_http1 = (turn / self.gateways.len()).is_multiple_of(2);
        let outcome = timeout(TIMEOUT, async {
            if over_http1 {
                let gateway = self.ready(turn).ok_or("no gateway is ready")?;
                return gateway.call_over_http1(call).await;
            }
            loop {
                match self.call_over_http2(turn, call).await {
                    Ok(()) => return Ok(()),
                    Err(Failed::Other(failure)) => return Err(failure),
                    Err(Failed::Unprocessed) => self.unprocessed.fetch_add(1, Ordering::Relaxed),
                };
            }
        });
        let outcome = outcome.await.unwrap_or_else(|_| Err(format!("no response within {TIMEOUT:?}")));
        if let Err(failure) = outcome {
            let protocol = if over_http1 { "HTTP/1.1" } else { "HTTP/2" };
            self.fail(format!("{} {} by {protocol}: {failure}", call.method, call.target));
        }
    }

    /// Records a failure.
    pub(crate) fn fail(&self, failure: String) {
        self.failures.lock().unwrap().push(failure);
    }

    /// The address of the next ready gateway.
    pub(crate) fn address(&self, turn: usize) -> Option<SocketAddr> {
        self.ready(turn).map(|gateway| gateway.api)
    }

    /// Whether every gateway is ready.
    pub(crate) fn all_ready(&self) -> bool {
        self.gateways.iter().all(|gateway| gateway.is_ready.load(Ordering::Relaxed))
    }

    /// The next ready gateway.
    fn ready(&self, turn: usize) -> Option<&Arc<Gateway>> {
        let in_turn =
            (0..self.gateways.len()).map(|step| &self.gateways[(turn + step) % self.gateways.len()]);
        in_turn.into_iter().find(|gateway| gateway.is_ready.load(Ordering::Relaxed))
    }

    async fn call_over_http2(&self, turn: usize, call: Call) -> Result<(), Failed> {
        let mut sent = None;
        for step in 0..self.gateways.len() {
            let Some(gateway) = self.ready(turn + step) else { break };
            // Nothing is sent until there is a connection without GOAWAY, which may also arrive just before the
            // request.
            let Some(mut sender) = gateway.connected().await else { continue };
            let request = Request::builder().method(call.method).uri(format!("http://mesh{}", call.target));
            let request = request.header("content-type", "application/json").body(()).unwrap();
            sent = sender.send_request(request, call.body.is_empty()).ok();
            if sent.is_some() {
                break;
            }
        }
        let (answer, mut body) =
            sent.ok_or_else(|| Failed::Other("no gateway accepts a request".to_owned()))?;
        let said = |error: h2::Error| Failed::Other(error.to_string());
        if !call.body.is_empty() {
            body.send_data(call.body.into(), true).map_err(said)?;
        }
        let mut answer = answer.await.map_err(|error| {
            let is_excluded =
                error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
            if is_excluded { Failed::Unprocessed } else { said(error) }
        })?;
        let mut whole = Vec::new();
        while let Some(data) = answer.body_mut().data().await {
            let data = data.map_err(said)?;
            let _ = answer.body_mut().flow_control().release_capacity(data.len());
            whole.extend_from_slice(&data);
        }
        judge(answer.status().as_u16(), &whole).map_err(Failed::Other)
    }
}

// === impl Gateway ===

impl Gateway {
    async fn call_over_http1(&self, call: Call) -> Result<(), String> {
        let upstream = format!("http://{}", self.api).parse().unwrap();
        let headers = [("content-type", "application/json")];
        let answer =
            http1::request(&upstream, call.method, call.target, &headers, call.body.as_bytes()).await;
        let answer = answer.map_err(|error| error.to_string())?;
        judge(answer.status, &answer.body)
    }

    /// The shared connection; a new one after GOAWAY.
    async fn connected(&self) -> Option<SendRequest<Bytes>> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.take()
            && let Ok(sender) = sender.ready().await
        {
            *shared = Some(sender.clone());
            return Some(sender);
        }
        let stream = TcpStream::connect(self.api).await.ok()?;
        let (sender, connection) = h2::client::handshake(stream).await.ok()?;
        tokio::spawn(connection);
        let sender = sender.ready().await.ok()?;
        *shared = Some(sender.clone());
        Some(sender)
    }
}

/// Polls the readiness as long as the client exists.
async fn watch(gateway: Arc<Gateway>, admin: SocketAddr) {
    let admin = format!("http://{admin}").parse().unwrap();
    let mut look = interval(READINESS_INTERVAL);
    while Arc::strong_count(&gateway) > 1 {
        look.tick().await;
        // A timeout is not a result: on a busy machine a check may take long.
        if let Ok(answer) = timeout(TIMEOUT, http1::request(&admin, "GET", "/readyz", &[], b"")).await {
            let is_ready = answer.is_ok_and(|answer| answer.status == 200);
            gateway.is_ready.store(is_ready, Ordering::Relaxed);
        }
    }
}

fn judge(status: u16, body: &[u8]) -> Result<(), String> {
    if status == 200 { Ok(()) } else { Err(format!("{status}: {}", String::from_utf8_lossy(body))) }
}
