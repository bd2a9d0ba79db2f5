//! The well-behaved client: small calls of several kinds, each at a fixed rate on a connection of its own, over gRPC and
//! REST.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::analysis::v1 as analysis;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::rule_service_client::RuleServiceClient;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often the client makes a call of each kind.
const PERIOD: Duration = Duration::from_millis(20);

/// The longest wait of the client.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the client experienced.
pub(in crate::bench) struct Experience {
    pub(in crate::bench) calls: usize,
    pub(in crate::bench) failed: usize,
    /// Why the first call of a kind failed.
    pub(super) failure: Option<String>,
    /// Of all calls, of whatever kind.
    pub(in crate::bench) p99: Duration,
    pub(in crate::bench) mean: Duration,
    /// The kind of call whose 99th percentile is the highest.
    pub(super) slowest: (&'static str, Duration),
}

/// One kind of call.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Analysis, over gRPC.
    Categorize,
    /// Config, over gRPC.
    ListRules,
    /// The cache, over gRPC.
    EntryExists,
    /// Analysis, over REST.
    RestCategorize,
    /// Config, over REST.
    RestListRules,
}

/// The calls of one kind.
struct Calls {
    kind: Kind,
    times: Vec<Duration>,
    failed: usize,
    failure: Option<String>,
}

/// What makes the calls. Over REST there is no connection before the first call, and after one that failed.
enum Caller {
    Categorize(AnalysisServiceClient<Outbound>),
    ListRules(RuleServiceClient<Outbound>),
    EntryExists(CacheServiceClient<Outbound>),
    Rest { connection: Option<SendRequest<Full<Bytes>>>, address: SocketAddr, request: Request<Full<Bytes>> },
}

/// Makes all kinds of calls for some time. `bearer` is the value of `authorization`.
pub(super) async fn experience(
    address: SocketAddr,
    time: Duration,
    bearer: Option<String>,
) -> anyhow::Result<Experience> {
    let bearer = bearer.as_deref().map(HeaderValue::from_str).transpose()?;
    let mut callers = Vec::new();
    for kind in Kind::ALL {
        callers.push((kind, kind.caller(address, bearer.clone())?));
    }
    let calls = join_all(callers.into_iter().map(|(kind, caller)| kind.repeat(caller, time))).await;
    let all: Vec<_> = calls.iter().flat_map(|calls| calls.times.iter().copied()).collect();
    let mean = all.iter().sum::<Duration>() / u32::try_from(all.len().max(1))?;
    let slowest = calls.iter().map(|calls| (calls.kind.name(), p99(calls.times.clone())));
    Ok(Experience {
        calls: calls.iter().map(|calls| calls.times.len()).sum(),
        failed: calls.iter().map(|calls| calls.failed).sum(),
        failure: calls.iter().find_map(|calls| calls.failure.clone()),
        p99: p99(all),
        mean,
        slowest: slowest.max_by_key(|(_, p99)| *p99).context("there are kinds of calls")?,
    })
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

// === impl Kind ===

impl Kind {
    const ALL: [Self; 5] =
        [Self::Categorize, Self::ListRules, Self::EntryExists, Self::RestCategorize, Self::RestListRules];

    fn name(self) -> &'static str {
        match self {
            Self::Categorize => "CategorizeDataflow",
            Self::ListRules => "ListRules",
            Self::EntryExists => "EntryExists",
            Self::RestCategorize => "POST /v1/dataflows:categorize",
            Self::RestListRules => "GET /v1/rules",
        }
    }

    fn caller(self, address: SocketAddr, bearer: Option<HeaderValue>) -> anyhow::Result<Caller> {
        let upstream: Upstream = format!("http://{address}").parse()?;
        let outbound = || Outbound::new(&upstream, TIMEOUT).presenting(bearer.clone());
        let rest = |verb, target, body: &'static str| {
            let mut request = Request::builder()
                .method(verb)
                .uri(target)
                .header(HOST, "localhost")
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(body))?;
            request.headers_mut().extend(bearer.clone().map(|bearer| (AUTHORIZATION, bearer)));
            anyhow::Ok(Caller::Rest { connection: None, address, request })
        };
        Ok(match self {
            Self::Categorize => Caller::Categorize(AnalysisServiceClient::new(outbound())),
            Self::ListRules => Caller::ListRules(RuleServiceClient::new(outbound())),
            Self::EntryExists => Caller::EntryExists(CacheServiceClient::new(outbound())),
            Self::RestCategorize => rest(
                "POST",
                "/v1/dataflows:categorize",
                r#"{"dataflow": {"id": "a", "names": {"en": "Unemployment rate by age group and region"}}}"#,
            )?,
            Self::RestListRules => rest("GET", "/v1/rules", "")?,
        })
    }

    /// Calls at a fixed rate. The time of a call counts from when it is due, so that one which waits behind another
    /// counts as slow too.
    async fn repeat(self, mut caller: Caller, time: Duration) -> Calls {
        let mut calls = Calls { kind: self, times: Vec::new(), failed: 0, failure: None };
        let begun = Instant::now();
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            let due = tick.tick().await;
            let end = begun + time;
            if due >= end {
                return calls;
            }
            if begun.elapsed() > time + TIMEOUT {
                calls.abandon((end - due).as_millis() / PERIOD.as_millis());
                return calls;
            }
            let ended = timeout(TIMEOUT, caller.call()).await;
            let ended = ended.unwrap_or_else(|_| Err(anyhow::anyhow!("no response in {TIMEOUT:?}")));
            if let Err(error) = ended {
                calls.failed += 1;
                calls.failure.get_or_insert_with(|| format!("{}: {error:#}", self.name()));
            }
            calls.times.push(due.elapsed());
        }
    }
}

// === impl Calls ===

impl Calls {
    /// Counts so many calls, for which there was no time any more because of those before them.
    fn abandon(&mut self, count: u128) {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.failed += count;
        self.failure
            .get_or_insert_with(|| format!("{}: {count} calls were not made in time", self.kind.name()));
        self.times.extend(std::iter::repeat_n(TIMEOUT, count));
    }
}

// === impl Caller ===

impl Caller {
    async fn call(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Categorize(client) => client.categorize_dataflow(categorization()).await.map(drop)?,
            Self::ListRules(client) => {
                client.list_rules(config::ListRulesRequest::default()).await.map(drop)?;
            }
            Self::EntryExists(client) => {
                let request = cache::EntryExistsRequest { key: "user/bench".to_owned() };
                client.entry_exists(request).await.map(drop)?;
            }
            Self::Rest { connection, address, request } => {
                let mut open = match connection.take() {
                    Some(open) if !open.is_closed() => open,
                    _ => connect(*address).await?,
                };
                let answer = open.send_request(request.clone()).await?;
                let status = answer.status();
                let body = answer.into_body().collect().await?.to_bytes();
                ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
                *connection = Some(open);
            }
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    requests.ready().await?;
    Ok(requests)
}

fn categorization() -> analysis::CategorizeDataflowRequest {
    let names = [("en".to_owned(), "Unemployment rate by age group and region".to_owned())];
    let dataflow = analysis::Dataflow { id: "a".to_owned(), names: names.into(), ..Default::default() };
    analysis::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() }
}
