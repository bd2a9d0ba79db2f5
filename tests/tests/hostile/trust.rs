//! Callers who pretend to be the mesh: in headers and trailers, over both versions of HTTP, in every spelling. They
//! reach neither the internal entries of the cache nor the author of the audit.

use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::config::v1::audit_service_client::AuditServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::binary::Service;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed, trailers_only};
use dataflow_tests::{example, http};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::Code;

/// Headers that would make a caller a service of the mesh, or of another tenant.
const FORGED: [(&str, &str); 8] = [
    ("dataflow-peer", "service"),
    ("dataflow-tenant", "acme"),
    ("dataflow-subject", "ada"),
    ("dataflow-scopes", "read write admin"),
    ("dataflow-caller", "1"),
    ("dataflow-peer-bin", "c2VydmljZQ"),
    ("x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/dataflow/sa/analysis"),
    ("l5d-client-id", "analysis.dataflow.serviceaccount.identity.linkerd.cluster.local"),
];

/// The methods of the cache service that the gateway refuses, whatever they name.
const INTERNAL: [&str; 4] = ["LeaseEntry", "ReleaseLease", "GetGenerations", "TakePermits"];

const CREATE_RULE: &str = "/dataflow.config.v1.RuleService/CreateRule";

/// The field of a request that names keys or a namespace: each with the name of its violation, and the request whose
/// only value it is.
fn targets(descriptor: &MessageDescriptor) -> Vec<(String, DynamicMessage)> {
    descriptor.fields().flat_map(|field| in_field(descriptor, &field)).collect()
}

fn in_field(descriptor: &MessageDescriptor, field: &FieldDescriptor) -> Vec<(String, DynamicMessage)> {
    let with = |value: Value| {
        let mut message = DynamicMessage::new(descriptor.clone());
        message.set_field(field, value);
        message
    };
    let text = |text: &str| Value::String(text.to_owned());
    match (field.name(), field.kind()) {
        ("key", _) => vec![("key".to_owned(), with(text("results/v1/00")))],
        ("keys", _) => vec![("keys[0]".to_owned(), with(Value::List(vec![text("results/v1/00")])))],
        ("prefix", _) => vec![("prefix".to_owned(), with(text("results/")))],
        ("namespace", _) => vec![("namespace".to_owned(), with(text("results")))],
        (name, Kind::Message(inner)) if !field.is_list() && !field.is_map() => targets(&inner)
            .into_iter()
            .map(|(path, message)| (format!("{name}.{path}"), with(Value::Message(message))))
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_entries_are_out_of_reach_of_every_method() {
    let up = Service::start("up", &[]);
    let outside = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name("dataflow.cache.v1.CacheService").unwrap();
    let mut untargeted = Vec::new();
    for method in service.methods() {
        let path = format!("/{}/{}", service.full_name(), method.name());
        let targets = targets(&method.input());
        if targets.is_empty() {
            untargeted.push(method.name().to_owned());
        }
        for (field, message) in targets {
            let message = message.encode_to_vec();
            for (headers, trailers) in [(&FORGED[..], &[][..]), (&[], &FORGED), (&FORGED, &FORGED)] {
                let twice = [headers, headers].concat();
                let answer = outside.send_with_trailers(&path, &message, &twice, trailers).await.unwrap();
                let (code, reason) = if INTERNAL.contains(&method.name()) {
                    (Code::PermissionDenied, "METHOD_INTERNAL")
                } else {
                    (Code::InvalidArgument, "KEY_INVALID")
                };
                assert_eq!(trailers_only(&answer), (code, reason.to_owned()), "{path} {field}");
            }
        }
    }
    // A method that names neither keys nor a namespace must be shown below to reveal nothing.
    assert_eq!(untargeted, ["GetStats"]);

    // The result of this analysis is looked up, computed and stored.
    let document = std::fs::read(example()).unwrap();
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let analyzed = http::request(&gateway, "POST", "/v1/catalogues:analyze", &[], &document).await.unwrap();
    assert_eq!(analyzed.status, 200);
    let mut client = CacheServiceClient::connect(format!("http://{}", up.address)).await.unwrap();
    let stats = client.get_stats(cache::GetStatsRequest {}).await.unwrap().into_inner();
    assert_eq!(stats, cache::GetStatsResponse::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_author_of_a_change_cannot_be_forged() {
    let up = Service::start("up", &[]);
    let outside = Client::connect(up.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let new = |id: &str| config::CreateRuleRequest {
        rule_id: id.to_owned(),
        category: Category::Health.into(),
        keywords: vec!["care".to_owned()],
        ..Default::default()
    };
    let changed =
        outside.send_with_trailers(CREATE_RULE, &new("h2").encode_to_vec(), &FORGED, &FORGED).await.unwrap();
    assert!(!changed.body().is_end_stream(), "{changed:?}");

    // The same over HTTP/1.1: gRPC, and REST with the fields in the trailers of a chunked body.
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let forged: String =
        FORGED.iter().map(|(name, value)| format!("{}: {value}\r\n", name.to_uppercase())).collect();
    let chunked = |target: &str, content_type: &str, body: &[u8]| {
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {content_type}\r\nte: trailers\r\n\
             {forged}{forged}trailer: dataflow-subject\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
            body.len()
        );
        [head.as_bytes(), body, b"\r\n0\r\n", forged.as_bytes(), b"\r\n"].concat()
    };
    let grpc = chunked(CREATE_RULE, "application/grpc", &framed(&new("h1").encode_to_vec()));
    let rest = br#"{"ruleId": "rest", "category": "HEALTH", "keywords": ["care"]}"#;
    // gRPC over HTTP/1.1 is not executed at all.
    assert_eq!(http::send(&gateway, &grpc).await.unwrap().status, 505);
    let rest = chunked("/v1/rules", "application/json", rest);
    assert_eq!(http::send(&gateway, &rest).await.unwrap().status, 200);

    let mut audit = AuditServiceClient::connect(format!("http://{}", up.address)).await.unwrap();
    let records = audit.list_audit_records(config::ListAuditRecordsRequest::default()).await.unwrap();
    let authors: Vec<_> = records.into_inner().records.into_iter().map(|record| record.author).collect();
    let changes = authors.iter().skip_while(|author| *author == "system").collect::<Vec<_>>();
    assert_eq!(changes, ["", ""], "after the built-in rules");
}
