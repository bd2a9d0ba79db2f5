//! What one message takes of memory: at most the multiple of its bytes that SECURITY.md states.

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::binary::Service;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW};
use prost::Message;

use super::memory::{CREATE_RULE, EVALUATE, MIB, SET_ENTRY, call};

/// What the page says.
const MULTIPLE: u64 = 4;

/// Just below the largest message.
const SIZE: usize = 60 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_takes_at_most_four_times_its_bytes() {
    let entry = cache::Entry { key: "user/x".to_owned(), value: vec![0; SIZE].into(), ..Default::default() };
    let entry = cache::SetEntryRequest { entry: Some(entry), ..Default::default() };
    let rule = config::CreateRuleRequest {
        rule_id: "r".to_owned(),
        description: "x".repeat(SIZE),
        ..Default::default()
    };
    let document = HttpBody { data: vec![b' '; SIZE].into(), ..Default::default() };
    let evaluation = pb::EvaluateRulesRequest { document: Some(document), ..Default::default() };
    for (role, path, message) in [
        ("cache", SET_ENTRY, entry.encode_to_vec()),
        ("config", CREATE_RULE, rule.encode_to_vec()),
        ("analysis", EVALUATE, evaluation.encode_to_vec()),
        // `rules` (2), empty: two bytes each.
        ("analysis", EVALUATE, [0x12, 0].repeat(SIZE / 2)),
        ("gateway", EVALUATE, evaluation.encode_to_vec()),
    ] {
        // So that what all messages may take is more than one.
        let service = Service::start(role, &["--memory-limit", "4GiB"]);
        let idle = service.memory();
        let client = Client::connect(service.address.parse().unwrap(), DEFAULT_WINDOW).await;
        let bytes = message.len() as u64;
        let (code, reason) = call(&client, path, Bytes::from(message)).await;
        let taken = service.peak_memory().saturating_sub(idle);
        println!("{role}, {path}: {code:?} {reason}, {:.2} times its bytes", taken as f64 / bytes as f64);
        assert!(taken <= MULTIPLE * bytes, "{role}, {path}: {taken} bytes for {bytes}");
    }
}
