//! Small inputs that become large: each role stays below the memory limit of its pod.

use std::io::Write;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::binary::Service;
use dataflow_tests::cgroup::Cgroup;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http::{self, HttpResponse};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason, framed, trailers_only};
use dataflow_tests::manifests;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use prost::Message;
use tokio::time::timeout;
use tonic::Code;

use super::{ANALYZE, send_all};

pub(super) const MIB: usize = 1 << 20;

pub(super) const EVALUATE: &str = "/dataflow.analysis.v1.AnalysisService/EvaluateRules";
pub(super) const CREATE_RULE: &str = "/dataflow.config.v1.RuleService/CreateRule";
const BATCH_GET: &str = "/dataflow.cache.v1.CacheService/BatchGetEntries";
const LEASE: &str = "/dataflow.cache.v1.CacheService/LeaseEntry";
pub(super) const SET_ENTRY: &str = "/dataflow.cache.v1.CacheService/SetEntry";

/// A role with the memory limit of its pod: in a cgroup with that limit, where one can be made.
struct Limited {
    // Dropped first: a cgroup with processes cannot be removed.
    service: Service,
    cgroup: Option<Cgroup>,
    limit: u64,
}

// === impl Limited ===

impl Limited {
    fn start(role: &str, flags: &[&str]) -> Self {
        Self::within(manifests::memory_limit(role), role, flags)
    }

    fn within(limit: u64, role: &str, flags: &[&str]) -> Self {
        let cgroup = Cgroup::with_memory(limit, "that the kernel kills no role for want of memory");
        let service = match &cgroup {
            Some(cgroup) => Service::start_in(cgroup, role, flags),
            None => {
                let limit = format!("{limit}B");
                Service::start(role, &[&["--memory-limit", &limit][..], flags].concat())
            }
        };
        Self { service, cgroup, limit }
    }

    async fn client(&self) -> Client {
        Client::connect(self.service.address.parse().unwrap(), DEFAULT_WINDOW).await
    }

    async fn post(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> HttpResponse {
        let upstream = format!("http://{}", self.service.address).parse().unwrap();
        http::request(&upstream, "POST", target, headers, body).await.unwrap()
    }

    #[track_caller]
    fn stayed_below_its_limit(&self, attack: &str) {
        let peak = self.service.peak_memory();
        println!("{attack}: {} of {} MiB", peak >> 20, self.limit >> 20);
        assert!(peak < self.limit, "{attack}: {} of {} MiB", peak >> 20, self.limit >> 20);
        assert_eq!(self.cgroup.as_ref().map_or(0, Cgroup::killed), 0, "{attack}");
    }
}

/// Sends a message, as far as the server takes it, and returns how the call ends.
pub(super) async fn call(client: &Client, path: &str, message: Bytes) -> (Code, String) {
    let (answer, mut body) = client.open(path, &[]).await.unwrap();
    send_all(&mut body, framed(&message)).await;
    // The server may have ended the stream already.
    let _ = body.send_data(Bytes::new(), true);
    let answer = timeout(TIMEOUT, answer).await.expect("there is a response").unwrap();
    if answer.headers().contains_key("grpc-status") {
        return code_and_reason(answer.headers());
    }
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        let _ = body.flow_control().release_capacity(data.unwrap().len());
    }
    code_and_reason(&body.trailers().await.unwrap().unwrap())
}

fn refused(reason: &str) -> (Code, String) {
    (Code::ResourceExhausted, reason.to_owned())
}

/// The document of the predecessor's namespaces with this many empty dataflows.
fn many_dataflows(count: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(b"<Structure><Dataflows>").unwrap();
    for _ in 0..count / 1000 {
        gzip.write_all(&b"<Dataflow id='a'/>".repeat(1000)).unwrap();
    }
    gzip.write_all(b"</Dataflows></Structure>").unwrap();
    gzip.finish().unwrap()
}

/// The same in SDMX-JSON.
fn many_dataflows_in_json(count: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(br#"{"data": {"dataflows": ["#).unwrap();
    for _ in 0..count / 1000 {
        gzip.write_all(&br#"{"id":"a"},"#.repeat(1000)).unwrap();
    }
    gzip.write_all(br#"{"id":"a"}]}}"#).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn analysis_stays_below_its_limit() {
    let analysis = Limited::start("analysis", &[]);
    let client = analysis.client().await;
    let gateway_url = format!("http://{}", analysis.service.address);
    let gateway = Limited::start("gateway", &["--analysis-url", &gateway_url]);
    let document = many_dataflows(1_500_000);
    assert!(document.len() < 100_000, "{}", document.len());
    for answer in join_all((0..4).map(|_| gateway.post("/v1/catalogues:analyze", &[], &document))).await {
        assert_eq!(answer.status, 413, "{}", String::from_utf8_lossy(&answer.body));
    }
    analysis.stayed_below_its_limit("1.5 million dataflows in 73 kB of gzip");
    let document = many_dataflows_in_json(1_500_000);
    assert!(document.len() < 100_000, "{}", document.len());
    for answer in join_all((0..4).map(|_| gateway.post("/v1/catalogues:analyze", &[], &document))).await {
        assert_eq!(answer.status, 413, "{}", String::from_utf8_lossy(&answer.body));
    }
    analysis.stayed_below_its_limit("the same in SDMX-JSON");

    // `rules` (2), empty: two bytes each.
    let rules = Bytes::from([0x12, 0].repeat(3 * MIB));
    for ended in join_all((0..4).map(|_| call(&client, EVALUATE, rules.clone()))).await {
        let expected = [refused("TOO_MANY_ELEMENTS"), refused("MESSAGE_MEMORY")];
        assert!(expected.contains(&ended), "{ended:?}");
    }
    analysis.stayed_below_its_limit("3 million empty rules");
}

/// With so many bytes, an upload has begun.
const ENOUGH: usize = 64 * 1024;

/// The gzipped beginning of a catalogue: a quarter of the dataflows that one may have, then what cannot be compressed,
/// so that the upload has begun.
fn beginning() -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"<Structure><Dataflows>").unwrap();
    for _ in 0..25 {
        gzip.write_all(&b"<Dataflow id='a'/>".repeat(1000)).unwrap();
    }
    let mut random = fastrand::Rng::with_seed(7);
    let noise: Vec<u8> = (0..2 * ENOUGH).map(|_| random.alphanumeric() as u8).collect();
    gzip.write_all(&[b"<!--", &noise[..], b"-->"].concat()).unwrap();
    gzip.flush().unwrap();
    gzip.get_ref().clone().into()
}

/// A parser that waits for its client has no seat, and keeps what it has built so far. With a quarter of the pod's
/// memory, and uploads of a quarter of the size: building all of it would take long.
#[tokio::test(flavor = "multi_thread")]
async fn analysis_stays_below_its_limit_while_uploads_pause() {
    const UPLOADS: usize = 24;
    // With a kibibyte for each dataflow, in half of the memory.
    const FIT: usize = 5;
    // Parsed as it arrives: with a spool, an attacker only sends that much more.
    let flags = ["--body-idle-timeout", "10m", "--upload-idle-timeout", "10m", "--spool-bytes", "0B"];
    let analysis = Limited::within(manifests::memory_limit("analysis") / 4, "analysis", &flags);
    let beginning = HttpBody { data: beginning(), ..HttpBody::default() };
    let message = framed(
        &pb::AnalyzeCatalogueRequest { document: Some(beginning), ..Default::default() }.encode_to_vec(),
    );
    let uploads = join_all((0..UPLOADS).map(async |_| {
        let client = analysis.client().await;
        let (answer, mut body) = client.open(ANALYZE, &[]).await.unwrap();
        send_all(&mut body, message.clone()).await;
        (client, answer, body)
    }))
    .await;
    let (mut answers, _bodies): (FuturesUnordered<_>, Vec<_>) =
        uploads.into_iter().map(|(client, answer, body)| (answer, (client, body))).unzip();
    let mut refused = Vec::new();
    while answers.len() > FIT {
        let answer = timeout(TIMEOUT, answers.next()).await.expect("the others are refused");
        refused.push(trailers_only(&answer.expect("some are left").expect("it is refused in words")));
    }
    assert!(refused.contains(&self::refused("RESULT_MEMORY")), "{refused:?}");
    for ended in refused {
        assert!(
            [self::refused("RESULT_MEMORY"), self::refused("TOO_MANY_UPLOADS")].contains(&ended),
            "{ended:?}"
        );
    }
    analysis.stayed_below_its_limit("24 uploads of 25,000 dataflows that pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_that_of_the_cgroup() {
    for role in ["analysis", "gateway"] {
        let Limited { service, cgroup: Some(_cgroup), limit } = Limited::start(role, &[]) else { return };
        let admin = format!("http://{}", service.admin).parse().unwrap();
        let metrics = http::request(&admin, "GET", "/metrics", &[], b"").await.unwrap();
        let metrics = String::from_utf8(metrics.body).unwrap();
        let expected = format!("process_memory_limit_bytes {limit}");
        assert!(metrics.lines().any(|line| line == expected), "{role}: {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn config_stays_below_its_limit() {
    let config = Limited::start("config", &[]);
    let client = config.client().await;
    // `keywords` (4), empty.
    let keywords = Bytes::from([0x22, 0].repeat(3 * MIB));
    assert_eq!(call(&client, CREATE_RULE, keywords).await, refused("TOO_MANY_ELEMENTS"));
    config.stayed_below_its_limit("3 million empty keywords");
    let rule = |size: usize| config::CreateRuleRequest {
        rule_id: "r".to_owned(),
        category: Category::Health.into(),
        keywords: vec!["care".to_owned()],
        description: "x".repeat(size),
        ..Default::default()
    };
    let large = Bytes::from(rule(60 * MIB).encode_to_vec());
    for (code, _) in join_all((0..6).map(|_| call(&client, CREATE_RULE, large.clone()))).await {
        assert_eq!(code, Code::ResourceExhausted);
    }
    let allowed = Bytes::from(rule(7 * MIB).encode_to_vec());
    for (code, reason) in join_all((0..32).map(|_| call(&client, CREATE_RULE, allowed.clone()))).await {
        assert!(matches!(code, Code::ResourceExhausted | Code::InvalidArgument), "{code} {reason}");
    }
    config.stayed_below_its_limit("rules of 60 and of 7 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_stays_below_its_limit() {
    let cache = Limited::start("cache", &[]);
    let client = cache.client().await;
    // `keys` (1), empty.
    let keys = Bytes::from([0x0a, 0].repeat(8 * MIB));
    assert_eq!(call(&client, BATCH_GET, keys).await, refused("TOO_MANY_ELEMENTS"));
    cache.stayed_below_its_limit("8 million empty keys");
    let entry = |index: usize| {
        let entry = cache::Entry {
            key: format!("user/{index}"),
            value: vec![0; 30 * MIB].into(),
            ..Default::default()
        };
        Bytes::from(cache::SetEntryRequest { entry: Some(entry), ..Default::default() }.encode_to_vec())
    };
    for round in 0..3 {
        let calls = (0..12).map(|index| call(&client, SET_ENTRY, entry(12 * round + index)));
        for (code, reason) in join_all(calls).await {
            assert!(matches!(code, Code::Ok | Code::ResourceExhausted), "{code} {reason}");
        }
    }
    cache.stayed_below_its_limit("36 entries of 30 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_stays_below_its_limit() {
    let gateway = Limited::start("gateway", &[]);
    let json = [("content-type", "application/json")];
    let objects = format!("{{\"rules\": [{}{{}}]}}", "{},".repeat(2_300_000));
    for answer in
        join_all((0..4).map(|_| gateway.post("/v1/rules:evaluate", &json, objects.as_bytes()))).await
    {
        assert!(matches!(answer.status, 413 | 429), "{}", answer.status);
    }
    gateway.stayed_below_its_limit("2.3 million empty objects in 6.9 MiB");
    let entry = format!("{{\"key\": \"user/x\", \"value\": \"{}\"}}", "A".repeat(31 * MIB));
    for answer in join_all((0..6).map(|_| gateway.post("/v1/rules", &json, entry.as_bytes()))).await {
        assert!(matches!(answer.status, 400 | 413 | 429 | 503), "{}", answer.status);
    }
    gateway.stayed_below_its_limit("bodies of 31 MiB");
    let document = format!("{{\"xml_content\": \"{}\"}}", "x".repeat(27 * MIB));
    for answer in
        join_all((0..4).map(|_| gateway.post("/api/analysis/dataflow", &json, document.as_bytes()))).await
    {
        assert!(matches!(answer.status, 400 | 413 | 429 | 500 | 503), "{}", answer.status);
    }
    gateway.stayed_below_its_limit("documents of 27 MiB in the predecessor's JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_close_to_its_limit_takes_no_further_calls_and_stays_healthy() {
    // Less than the process has when it starts.
    let cache = Service::start("cache", &["--memory-limit", "8MiB"]);
    let client = Client::connect(cache.address.parse().unwrap(), DEFAULT_WINDOW).await;
    eventually(TIMEOUT, "it has measured", async || {
        cache.log().iter().any(|line| line.contains("memory: above a mark"))
    })
    .await;
    // With nothing in progress it serves: the memory is what it needs at least.
    let lease = |wait: i64| {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let key = "user/x".to_owned();
        let (hold, wait) = (seconds(60), seconds(wait));
        Bytes::from(cache::LeaseEntryRequest { key, hold, wait, ..Default::default() }.encode_to_vec())
    };
    assert_eq!(call(&client, LEASE, lease(0)).await.0, Code::Ok);
    let waiting = call(&client, LEASE, lease(60));
    let others = async {
        let mut ended = (Code::Ok, String::new());
        eventually(TIMEOUT, "a call is in progress", async || {
            ended = call(&client, "/dataflow.cache.v1.CacheService/GetStats", Bytes::new()).await;
            ended.0 != Code::Ok
        })
        .await;
        assert_eq!(ended, refused("MEMORY_LIMIT"));
        for path in ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"] {
            let healthy = client.send(path, b"", &[]).await.unwrap();
            assert!(!healthy.headers().contains_key("grpc-status"), "{path}");
        }
    };
    tokio::select! {
        ended = waiting => panic!("the call waits for the lease, but ended: {ended:?}"),
        () = others => {}
    }
}
