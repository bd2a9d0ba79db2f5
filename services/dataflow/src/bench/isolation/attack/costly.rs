//! Small inputs that cost much: memory when they are decoded, or the processor when they are read. Each attacker has a
//! connection of its own, and sends the next one as soon as it has a response.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::config::v1::Rule;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::try_join_all;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::time::sleep;

use crate::bench::frame::framed;

use super::ANALYZE;
use super::connection::{Connection, send_all};

const EVALUATE: &str = "/dataflow.analysis.v1.AnalysisService/EvaluateRules";

/// So many attackers.
const AT_ONCE: usize = 8;

/// So that rejections do not turn it into another attack.
const PAUSE: Duration = Duration::from_millis(10);

const MESSAGE: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message";

pub(super) async fn gzip_bombs(address: SocketAddr) -> anyhow::Result<()> {
    let dataflows = (0..1_500).map(|_| "<Dataflow id='a'/>".repeat(1_000));
    let pieces = ["<Structure><Dataflows>".to_owned()].into_iter().chain(dataflows);
    let document = gzipped(pieces.chain(["</Dataflows></Structure>".to_owned()]))?;
    attack(address, ANALYZE, HeaderMap::new(), framed(&analysis(document))).await
}

pub(super) async fn json_bombs(address: SocketAddr) -> anyhow::Result<()> {
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))].into_iter().collect();
    let rules = format!("{{\"rules\": [{}{{}}]}}", "{},".repeat(2_300_000));
    attack(address, "/v1/rules:evaluate", json, rules.into()).await
}

/// As many rules as a set has, whose keywords are in every text.
pub(super) async fn rule_bombs(address: SocketAddr) -> anyhow::Result<()> {
    let rule = |number| Rule {
        rule_id: format!("r{number}"),
        category: Category::Health.into(),
        keywords: ["a0", "a1", "a2"].map(str::to_owned).into(),
        priority: 1,
        ..Rule::default()
    };
    let name = "a0 a1 a2 ".repeat(500);
    let flows = (0..2_000).map(|number| format!("<Dataflow id='f{number}'><Name>{name}</Name></Dataflow>"));
    let pieces = ["<Structure><Dataflows>".to_owned()].into_iter().chain(flows);
    let data = gzipped(pieces.chain(["</Dataflows></Structure>".to_owned()]))?;
    let request = pb::EvaluateRulesRequest {
        rules: (0..900).map(rule).collect(),
        document: Some(HttpBody { data, ..Default::default() }),
        ..Default::default()
    };
    attack(address, EVALUATE, HeaderMap::new(), framed(&request)).await
}

/// Prefixes that differ at their end, in two million elements.
pub(super) async fn namespace_bombs(address: SocketAddr) -> anyhow::Result<()> {
    let prefix = "p".repeat(100);
    let declared: Vec<_> = (0..900).map(|number| format!(" xmlns:{prefix}{number}='x'")).collect();
    let mut head = format!("<m:Structure xmlns:m='{MESSAGE}'>");
    // On several elements: one has a limit of attributes.
    for some in declared.chunks(30) {
        // Writing to a string does not fail.
        let _ = write!(head, "<m:a{}>", some.concat());
    }
    let elements = (0..2_000).map(|_| format!("<{prefix}0:b {prefix}1:c=''/>").repeat(1_000));
    let ends = ["</m:a>".repeat(30), "</m:Structure>".to_owned()];
    let document = gzipped([head].into_iter().chain(elements).chain(ends))?;
    attack(address, ANALYZE, HeaderMap::new(), framed(&analysis(document))).await
}

async fn attack(address: SocketAddr, path: &str, headers: HeaderMap, body: Bytes) -> anyhow::Result<()> {
    try_join_all((0..AT_ONCE).map(|_| attacker(address, path, &headers, &body))).await.map(drop)
}

async fn attacker(
    address: SocketAddr,
    path: &str,
    headers: &HeaderMap,
    message: &Bytes,
) -> anyhow::Result<()> {
    let mut client = Connection::open(address).await?;
    loop {
        let Ok((answer, mut body)) = client.begin_with(path, headers.clone()).await else {
            // The service has closed the connection of this client.
            client = Connection::open(address).await?;
            continue;
        };
        // The service may reject the call before it has read everything.
        if send_all(&mut body, message.clone()).await.is_ok() {
            let _ = body.send_data(Bytes::new(), true);
        }
        if let Ok(answer) = answer.await {
            let mut received = answer.into_body();
            while let Some(Ok(data)) = received.data().await {
                received.flow_control().release_capacity(data.len())?;
            }
        }
        sleep(PAUSE).await;
    }
}

fn gzipped(pieces: impl Iterator<Item = String>) -> anyhow::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for piece in pieces {
        encoder.write_all(piece.as_bytes())?;
    }
    Ok(encoder.finish()?.into())
}

fn analysis(data: Bytes) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data, ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}
