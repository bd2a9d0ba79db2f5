//! Requests that a client sends as gzip, as client libraries do when they are told to: to services, to their health and
//! reflection, and through the gateway.

use std::io::Write;

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::mesh::v1 as mesh_pb;
use dataflow_proto::mesh::v1::mesh_service_client::MeshServiceClient;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, GET, code_and_reason};
use dataflow_tests::services::{self, Service};
use flate2::Compression;
use flate2::write::GzEncoder;
use h2::RecvStream;
use http::Response;
use prost::Message;
use tonic::Code;
use tonic::codec::CompressionEncoding::Gzip;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::stub::Stub;

/// Calls a service in every way of streaming, with messages that are compressed.
async fn call_all(service: &Service) {
    let mut client = AnalysisServiceClient::new(service.channel()).send_compressed(Gzip);
    let text = "Popolazione residente al primo gennaio ".repeat(40);
    let dataflow = pb::Dataflow {
        id: "22_289".to_owned(),
        names: [("it".to_owned(), text)].into(),
        ..Default::default()
    };
    let request = pb::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() };
    let reply = client.categorize_dataflow(request).await.unwrap().into_inner();
    assert_eq!(reply.category(), Category::Population);

    let flows: String = (0..500).map(|id| format!("<Dataflow id='F{id}'/>")).collect();
    let document = format!("<Structure><Dataflows>{flows}</Dataflows></Structure>");
    let pieces = document.as_bytes().chunks(1000).map(|data| {
        let document = HttpBody { data: data.to_vec().into(), ..Default::default() };
        pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
    });
    let pieces: Vec<_> = pieces.collect();
    let reply = client.analyze_catalogue(tokio_stream::iter(pieces)).await.unwrap().into_inner();
    assert_eq!(reply.analysis.unwrap().total, 500);

    let mut health = HealthClient::new(service.channel()).send_compressed(Gzip);
    let request = HealthCheckRequest { service: "dataflow.analysis.v1.AnalysisService".to_owned() };
    assert_eq!(health.check(request.clone()).await.unwrap().into_inner().status, 1);
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1);

    let mut reflection = ServerReflectionClient::new(service.channel()).send_compressed(Gzip);
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut answers =
        reflection.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().unwrap().message_response.is_some());

    let mut mesh = MeshServiceClient::new(service.channel()).send_compressed(Gzip);
    mesh.list_circuit_breakers(mesh_pb::ListCircuitBreakersRequest::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_every_method_may_be_gzip() {
    let (gateway, [analysis, ..]) = services::mesh(&[]).await;
    call_all(&analysis).await;
    call_all(&gateway).await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A call whose body is these bytes in pieces, of messages in this encoding.
async fn send(client: &Client, encoding: &str, body: &[u8], piece: usize) -> Response<RecvStream> {
    let (answer, mut sender) = client.open(GET, &[("grpc-encoding", encoding)]).await.unwrap();
    for piece in body.chunks(piece) {
        // The call may have ended already, which its answer tells.
        if sender.send_data(piece.to_vec().into(), false).is_err() {
            break;
        }
    }
    let _ = sender.send_data(bytes::Bytes::new(), true);
    answer.await.unwrap()
}

fn compressed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[1], &length[..], message].concat()
}

#[tokio::test]
async fn what_is_not_gzip_is_refused_in_words_and_costs_no_memory() {
    let stub = Stub::start(&["--max-message-bytes", "1MiB"]).await;
    let client = Client::connect(stub.address, DEFAULT_WINDOW).await;
    let entry = dataflow_proto::cache::v1::GetEntryRequest { key: "k".to_owned() }.encode_to_vec();
    let whole = compressed(&gzip(&entry));
    for piece in [1, whole.len()] {
        let answer = send(&client, "gzip", &whole, piece).await;
        assert!(!answer.headers().contains_key("grpc-status"), "{answer:?}");
    }
    let bomb = compressed(&gzip(&vec![0; 64 << 20]));
    assert!(bomb.len() < 400_000);
    let truncated = &whole[..whole.len() - 1];
    let (invalid, unsupported) = (Code::InvalidArgument, Code::Unimplemented);
    // The ratio counts what has arrived: it is exceeded first in small pieces, and the size of a message in large ones.
    let (large, small) = (16 * 1024, 1000);
    for (encoding, body, piece, code, reason) in [
        ("gzip", &bomb[..], small, Code::ResourceExhausted, "MESSAGE_TOO_DENSE"),
        ("gzip", &bomb, large, Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        ("gzip", truncated, small, invalid, "MESSAGE_MALFORMED"),
        ("gzip", &compressed(b"plain"), small, invalid, "MESSAGE_MALFORMED"),
        ("identity", &whole, small, invalid, "MESSAGE_MALFORMED"),
        ("deflate", &whole, small, unsupported, "COMPRESSION_UNSUPPORTED"),
    ] {
        let answer = send(&client, encoding, body, piece).await;
        assert_eq!(code_and_reason(answer.headers()), (code, reason.to_owned()), "{encoding}");
        let accepted = answer.headers().get("grpc-accept-encoding");
        assert_eq!(accepted.is_some(), code == unsupported, "{accepted:?}");
    }
    // The connection goes on.
    assert!(!client.get("k", &[]).await.headers().contains_key("grpc-status"));
    stub.stop().await;
}
