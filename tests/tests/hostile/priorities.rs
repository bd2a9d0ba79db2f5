//! Bulk calls leave permits to the calls for which somebody waits.

use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::binary::Service;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed, trailers_only};
use futures_util::future::select_all;
use prost::Message;
use prost_reflect::{DescriptorPool, Value};
use tokio::time::timeout;
use tonic::Code;

use super::{ANALYZE, CATEGORIZE};

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_one_connection_leave_a_quarter_of_the_permits_to_its_other_calls() {
    let flags = ["--max-concurrent-requests", "8", "--max-uploads", "32", "--body-idle-timeout", "1h"];
    let analysis = Service::start("analysis", &[&flags[..], &["--upload-idle-timeout", "1h"]].concat());
    let client = Client::connect(analysis.address.parse().unwrap(), DEFAULT_WINDOW).await;
    let document = HttpBody { data: vec![b' '; 100_000].into(), ..HttpBody::default() };
    let request = pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() };
    let begun = framed(&request.encode_to_vec());
    let (mut answers, mut bodies) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let (answer, mut body) = client.open(ANALYZE, &[]).await.unwrap();
        body.send_data(begun.clone(), false).unwrap();
        answers.push(answer);
        bodies.push(body);
    }
    // Whichever of them arrived last.
    let (rejected, _, others) = timeout(TIMEOUT, select_all(answers)).await.expect("one of them is rejected");
    assert_eq!(trailers_only(&rejected.unwrap()), (Code::ResourceExhausted, "CONCURRENCY_LIMIT".to_owned()));
    assert_eq!(others.len(), 6, "they wait for the rest of their documents");
    let dataflow = pb::Dataflow { id: "a".to_owned(), ..Default::default() };
    let request = pb::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    let message = request.encode_to_vec();
    for _ in 0..10 {
        let answer = client.send(CATEGORIZE, &message, &[]).await.unwrap();
        assert!(!answer.headers().contains_key("grpc-status"), "{:?}", answer.headers());
    }
}

#[test]
fn bulk_methods_are_those_that_take_long_or_much_memory() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let option = pool.get_extension_by_name("dataflow.mesh.v1.priority").unwrap();
    let is_bulk = |method: &prost_reflect::MethodDescriptor| {
        matches!(&*method.options().get_extension(&option), Value::EnumNumber(1))
    };
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut bulk: Vec<_> = methods.filter(is_bulk).map(|method| method.name().to_owned()).collect();
    bulk.sort();
    let expected = [
        "AnalyzeCatalogue",
        "CreateSnapshot",
        "DiffSnapshots",
        "EvaluateRules",
        "ExportAuditRecords",
        "ExportReads",
        "ExportRefusals",
        "VerifySnapshot",
    ];
    assert_eq!(bulk, expected);
}
