//! Uploads: slow ones, too many of them, truncated ones, and results that exceed the message size.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::http2::{Client, DEFAULT_WINDOW, framed, trailers_only};
use dataflow_tests::services::{self, Service};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const DOCUMENT: &str = "<Structure><Dataflows><Dataflow id='A'/></Dataflows></Structure>";

const ANALYZE: &str = "/dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue";

/// As many bytes as an upload needs to get a permit.
const BEGUN: usize = 64 * 1024;

fn piece(data: &[u8]) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data: data.to_vec().into(), ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}

/// A call with an open document, and the sender of its chunks. The service has begun to process it.
async fn open(service: &Service) -> (mpsc::Sender<pb::AnalyzeCatalogueRequest>, Call) {
    let (pieces, messages) = mpsc::channel(1);
    pieces.send(piece(&[b' '; BEGUN])).await.unwrap();
    let mut client = AnalysisServiceClient::new(service.channel());
    let call = tokio::spawn(async move { client.analyze_catalogue(ReceiverStream::new(messages)).await });
    // The channel has capacity again: the first chunk is sent.
    drop(pieces.reserve().await.unwrap());
    (pieces, Call(call))
}

struct Call(tokio::task::JoinHandle<Result<tonic::Response<pb::AnalyzeCatalogueResponse>, Status>>);

impl Call {
    async fn failure(self) -> (Code, String) {
        let status = self.0.await.unwrap().unwrap_err();
        (status.code(), reason(&status))
    }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

async fn analyze(service: &Service, document: &str) -> Result<pb::Analysis, Status> {
    let mut client = AnalysisServiceClient::new(service.channel());
    let messages = tokio_stream::iter([piece(document.as_bytes())]);
    Ok(client.analyze_catalogue(messages).await?.into_inner().analysis.unwrap())
}

/// Waits until this many uploads are being received.
async fn until_busy(service: &Service, calls: usize) {
    let ending = format!(" {calls}");
    let counts = |line: &str| line.starts_with("grpc_server_in_flight{") && line.ends_with(&ending);
    let busy = async || service.metrics.encode().lines().any(counts);
    eventually(TIMEOUT, "the uploads are in progress", busy).await;
}

#[tokio::test]
async fn stalled_uploads_do_not_block_others() {
    // Also those that are parsed as they arrive: a parser that waits for its client leaves its seat.
    for spool in ["4MiB", "0B"] {
        let service = services::analysis(&["--parsers", "1", "--spool-bytes", spool]).await;
        let open = [open(&service).await, open(&service).await, open(&service).await];
        until_busy(&service, 3).await;
        assert_eq!(analyze(&service, DOCUMENT).await.unwrap().total, 1, "{spool}");
        drop(open);
    }
}

#[tokio::test]
async fn a_connection_with_all_uploads_leaves_some_to_others() {
    let service = services::analysis(&["--max-uploads", "4"]).await;
    let address = service.upstream.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let hog = Client::connect(address, DEFAULT_WINDOW).await;
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let (answer, mut body) = hog.open(ANALYZE, &[]).await.unwrap();
        body.send_data(framed(&piece(&[b' '; BEGUN]).encode_to_vec()), false).unwrap();
        uploads.push((answer, body));
    }
    let receiving = "analysis_uploads 4";
    let has_all = async || service.metrics.encode().lines().any(|line| line == receiving);
    eventually(TIMEOUT, "one connection has all permits", has_all).await;
    let whole = piece(DOCUMENT.as_bytes()).encode_to_vec();
    let refused = hog.send(ANALYZE, &whole, &[]).await.unwrap();
    assert_eq!(trailers_only(&refused), (Code::ResourceExhausted, "TOO_MANY_UPLOADS".to_owned()));
    let other = Client::connect(address, DEFAULT_WINDOW).await;
    let answer = other.send(ANALYZE, &whole, &[]).await.unwrap();
    assert!(!answer.headers().contains_key("grpc-status"), "it has a message: {answer:?}");
    drop(uploads);
}

#[tokio::test]
async fn an_upload_above_the_limit_is_rejected_immediately_with_retry_info() {
    let service = services::analysis(&["--max-uploads", "2"]).await;
    let first = open(&service).await;
    assert_eq!(analyze(&service, DOCUMENT).await.unwrap().total, 1, "the second of two");
    let second = open(&service).await;
    until_busy(&service, 2).await;
    let mut refused = None;
    // Both calls have begun, but both may not have their permits yet.
    eventually(TIMEOUT, "an upload is rejected", async || {
        refused = analyze(&service, DOCUMENT).await.err();
        refused.is_some()
    })
    .await;
    let status = refused.unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_UPLOADS"));
    assert!(status.get_error_details().retry_info().is_some());
    drop((first, second));
}

#[tokio::test]
async fn a_stalled_upload_times_out() {
    let service = services::analysis(&["--upload-idle-timeout", "1s", "--spool-bytes", "0B"]).await;
    for _ in 0..2 {
        let (_pieces, call) = open(&service).await;
        assert_eq!(call.failure().await, (Code::Cancelled, "UPLOAD_STALLED".to_owned()));
    }
    assert_eq!(analyze(&service, DOCUMENT).await.unwrap().total, 1, "its permit is released");
}

#[tokio::test]
async fn a_document_above_the_spool_is_parsed_as_it_arrives() {
    let cache = services::cache().await;
    let url = cache.upstream.to_string();
    let flags = [&["--cache-url", &url, "--spool-bytes", "64B"][..], &services::LONG_TIMEOUT].concat();
    let service = services::analysis(&flags).await;
    let at_the_limit = DOCUMENT;
    assert_eq!(at_the_limit.len(), 64);
    let above = format!("{DOCUMENT}\n");
    for (document, remembered) in [(at_the_limit, true), (above.as_str(), false)] {
        let first = analyze(&service, document).await.unwrap();
        let second = analyze(&service, document).await.unwrap();
        assert_eq!((first.cached, second.cached), (false, remembered));
        assert_eq!((first.analysis, first.total), (second.analysis, second.total));
    }
}

#[tokio::test]
async fn a_result_above_the_message_size_is_rejected() {
    let flows: String =
        (0..200).map(|id| format!("<Dataflow id='{id}'><Name>Health</Name></Dataflow>")).collect();
    let document = format!("<Structure><Dataflows>{flows}</Dataflows></Structure>");
    let refused = services::analysis(&["--max-message-bytes", "12KiB"]).await;
    let status = analyze(&refused, &document).await.map(|analysis| analysis.total).unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "RESULT_TOO_LARGE"));
    let enough = services::analysis(&["--max-message-bytes", "64KiB"]).await;
    assert_eq!(analyze(&enough, &document).await.unwrap().total, 200);
}

#[tokio::test]
async fn options_may_precede_the_document() {
    let service = services::analysis(&[]).await;
    let options = pb::AnalyzeCatalogueRequest { ruleset: "legacy".to_owned(), ..Default::default() };
    let mut document = piece(DOCUMENT.as_bytes());
    document.document.as_mut().unwrap().content_type = "application/xml".to_owned();
    let mut client = AnalysisServiceClient::new(service.channel());
    let reply = client.analyze_catalogue(tokio_stream::iter([options, document])).await.unwrap().into_inner();
    assert_eq!(reply.analysis.unwrap().ruleset, "legacy");
}

#[tokio::test]
async fn a_canceled_call_releases_its_permit() {
    let service = services::analysis(&["--max-uploads", "1"]).await;
    let (pieces, call) = open(&service).await;
    until_busy(&service, 1).await;
    call.0.abort();
    drop(pieces);
    eventually(TIMEOUT, "the permit is released", async || analyze(&service, DOCUMENT).await.is_ok()).await;
}
