//! Small inputs that cost much of the processor: they are given up with their call, and keep no parser.

use std::fmt::Write as _;
use std::io::Write as _;

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::config::v1::Rule;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, code_and_reason, framed};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use prost::Message;
use tokio::time::timeout;
use tonic::Code;

use super::bystander::Bystander;
use super::{ANALYZE, send_all};

const EVALUATE: &str = "/dataflow.analysis.v1.AnalysisService/EvaluateRules";

/// What a caller is willing to wait: less than so many of any of these inputs take with one parser.
const SHORT: (&str, &str) = ("grpc-timeout", "300m");

/// So many calls at once, on one connection.
const CALLS: usize = 8;

const MESSAGE: &str = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message";

fn gzipped(pieces: impl Iterator<Item = String>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    pieces.for_each(|piece| encoder.write_all(piece.as_bytes()).unwrap());
    encoder.finish().unwrap()
}

/// A catalogue without dataflows, of very many elements.
fn many_elements() -> Vec<u8> {
    let head = format!("<m:Structure xmlns:m='{MESSAGE}'>");
    let elements = (0..64).map(|_| "<x/>".repeat(1 << 18));
    gzipped([head].into_iter().chain(elements).chain(["</m:Structure>".to_owned()]))
}

/// A catalogue with about as many namespaces in scope as may be, whose prefixes differ at their end, and are looked up
/// for each element.
fn many_namespaces() -> Vec<u8> {
    let prefix = "p".repeat(100);
    let declared = (0..900).fold(String::new(), |mut declared, number| {
        write!(declared, " xmlns:{prefix}{number}='x'").unwrap();
        declared
    });
    let head = format!("<m:Structure xmlns:m='{MESSAGE}'>");
    // On several elements: one has a limit of attributes.
    let opened = declared.split_inclusive("='x'").collect::<Vec<_>>();
    let opened = opened.chunks(30).map(|some| format!("<m:a{}>", some.concat())).collect::<String>();
    let element = format!("<{prefix}0:b {prefix}1:c=''/>");
    let elements = (0..400).map(|_| element.repeat(1000));
    let ends = ["</m:a>".repeat(30), "</m:Structure>".to_owned()];
    gzipped([head, opened].into_iter().chain(elements).chain(ends))
}

fn analyze(document: Vec<u8>) -> Vec<u8> {
    let document = HttpBody { data: document.into(), ..HttpBody::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }.encode_to_vec()
}

/// As many rules as a set has, whose keywords are in every text of a catalogue.
fn evaluate() -> Vec<u8> {
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
    let document = gzipped(pieces.chain(["</Dataflows></Structure>".to_owned()]));
    let document = HttpBody { data: document.into(), ..HttpBody::default() };
    let rules = (0..900).map(rule).collect();
    pb::EvaluateRulesRequest { rules, document: Some(document), ..Default::default() }.encode_to_vec()
}

/// The codes of so many calls with this message, none of which may wait for long.
async fn codes(address: &str, method: &str, message: &[u8]) -> Vec<Code> {
    let client = Client::connect(address.parse().unwrap(), DEFAULT_WINDOW).await;
    let call = async || {
        let (answer, mut body) = client.open(method, &[SHORT]).await.unwrap();
        send_all(&mut body, framed(message)).await;
        // A call that was given up may have ended already.
        let _ = body.send_data(bytes::Bytes::new(), true);
        let answer = timeout(TIMEOUT, answer).await.expect("the call ends").unwrap();
        code_and_reason(answer.headers()).0
    };
    join_all((0..CALLS).map(|_| call())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_much_is_given_up_with_its_call() {
    let up = Service::start("up", &["--parsers", "1", "--spool-bytes", "0B"]);
    let bystander = Bystander::connect(&up.address).await;
    for (name, method, message) in [
        ("many elements", ANALYZE, analyze(many_elements())),
        ("many namespaces", ANALYZE, analyze(many_namespaces())),
        ("many rules", EVALUATE, evaluate()),
    ] {
        assert!(message.len() < 1 << 20, "{name}: {} bytes are not small", message.len());
        let found = codes(&up.address, method, &message).await;
        println!("{name}, {} bytes: {found:?}", message.len());
        assert!(found.contains(&Code::DeadlineExceeded), "{name}: {found:?}");
        // There is one parser, which is free again.
        bystander.is_unharmed(1).await;
    }
    let (code, log) = tokio::task::spawn_blocking(|| up.stop()).await.unwrap();
    assert_eq!(code, 0, "{log:#?}");
}
