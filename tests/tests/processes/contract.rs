//! The contract of each service on the wire, with one service or a few at a time, on loopback in this process.

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis::Degradation;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::config::v1 as config;
use dataflow_proto::google::api::HttpBody;
use dataflow_proto::r#type::v1::Category;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::services::{self, Service};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const CATALOGUE: &str = r#"<m:Structure xmlns:m="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message"
  xmlns:s="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/structure"
  xmlns:c="http://www.sdmx.org/resources/sdmxml/schemas/v2_1/common"><m:Structures><s:Dataflows>
  <s:Dataflow id="22_289" agencyID="IT1" version="1.5"><c:Name xml:lang="it">Popolazione residente</c:Name>
    <s:Structure><Ref id="DCIS_POPRES1" agencyID="IT1" version="1.5"/></s:Structure></s:Dataflow>
  <s:Dataflow agencyID="IT1"><c:Name xml:lang="en">Nameless</c:Name></s:Dataflow>
  <s:Dataflow id="X" agencyID="IT1"><c:Annotations><c:Annotation>
    <c:AnnotationType>DATAFLOW_HIDDEN</c:AnnotationType></c:Annotation></c:Annotations>
    <c:Name xml:lang="en">Health care expenditure</c:Name></s:Dataflow>
</s:Dataflows></m:Structures></m:Structure>"#;

async fn analyze(service: &Service, ruleset: &str, pieces: &[&str]) -> Result<pb::Analysis, Status> {
    let options = pb::AnalyzeCatalogueRequest { ruleset: ruleset.to_owned(), ..Default::default() };
    let documents: Vec<_> = pieces.iter().map(|piece| piece.as_bytes().to_vec()).map(message).collect();
    let messages = tokio_stream::iter([options].into_iter().chain(documents));
    let mut client = AnalysisServiceClient::new(service.channel());
    Ok(client
        .analyze_catalogue(messages)
        .await?
        .into_inner()
        .analysis
        .expect("a response contains an analysis"))
}

fn message(data: Vec<u8>) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data: data.into(), ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("every failure has a reason").reason.clone()
}

#[tokio::test]
async fn a_complete_mesh_returns_complete_analyses_and_caches_them() {
    let (config, cache) = (services::config([]).await, services::cache().await);
    let (config_url, cache_url) = (config.upstream.to_string(), cache.upstream.to_string());
    let peers = ["--config-url", &config_url, "--cache-url", &cache_url];
    let analysis = services::analysis(&[&peers[..], &services::LONG_TIMEOUT].concat()).await;

    let first = analyze(&analysis, "", &[CATALOGUE]).await.unwrap();
    assert_eq!((first.total, first.cached, first.degraded.as_slice()), (2, false, [].as_slice()));
    assert_eq!(
        (first.provider.as_str(), first.rules_revision, first.ruleset.as_str()),
        ("IT1", 1, "default")
    );
    assert_eq!(first.counts.len(), 7);
    assert_eq!((first.counts["POPULATION"], first.counts["HEALTH"]), (1, 1));
    assert_eq!(first.dataflows[0].category(), Category::Population);
    assert_eq!(first.dataflows[1].flags, [i32::from(pb::dataflow::Flag::Hidden)]);
    assert_eq!(first.diagnostics.len(), 1);
    let diagnostic = &first.diagnostics[0];
    assert_eq!((diagnostic.reason.as_str(), diagnostic.line), ("DATAFLOW_WITHOUT_ID", 6));
    assert_eq!(&CATALOGUE[usize::try_from(diagnostic.offset).unwrap()..][..11], "<s:Dataflow");

    let second = analyze(&analysis, "", &[&CATALOGUE[..100], "", &CATALOGUE[100..]]).await.unwrap();
    assert_eq!(second, pb::Analysis { cached: true, ..first.clone() });

    let legacy = analyze(&analysis, "legacy", &[CATALOGUE]).await.unwrap();
    assert!(!legacy.cached && legacy.analysis != first.analysis);
    assert_eq!(legacy.dataflows[0].legacy.as_ref().unwrap().name_it, "Popolazione residente");
    assert_eq!(legacy.dataflows[0].score, 20);
}

#[tokio::test]
async fn without_peers_the_analysis_is_complete_and_degraded() {
    let nowhere = services::closed_port();
    let address = nowhere.upstream.to_string();
    let missing = [Degradation::CacheUnavailable, Degradation::BuiltInRules, Degradation::BuiltInThemes];
    let missing = missing.map(i32::from);
    let gone = ["--config-url", address.as_str(), "--cache-url", address.as_str()];
    for flags in [&[][..], &gone[..]] {
        let analysis = services::analysis(flags).await;
        let reply = analyze(&analysis, "", &[CATALOGUE]).await.unwrap();
        assert_eq!((reply.total, reply.rules_revision, reply.cached), (2, 0, false));
        assert_eq!(reply.degraded, missing);
    }
}

#[tokio::test]
async fn received_rules_stay_in_use_without_the_config_service() {
    let config = services::config([]).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    config.stop().await;
    let reply = analyze(&analysis, "", &[CATALOGUE]).await.unwrap();
    assert_eq!((reply.rules_revision, reply.degraded), (1, vec![i32::from(Degradation::CacheUnavailable)]));
}

#[tokio::test]
async fn a_rule_set_that_does_not_compile_is_rejected_by_name() {
    let rule = config::Rule {
        rule_id: "a".to_owned(),
        category: Category::Health.into(),
        keywords: vec!["*".to_owned()],
        priority: 5,
        ..Default::default()
    };
    let mode = config::ruleset::Mode::Words.into();
    let broken = config::Ruleset {
        ruleset: "broken".to_owned(),
        mode,
        revision: 1,
        rules: vec![rule],
        ..Default::default()
    };
    let config = services::unvalidated_config(vec![broken]).await;
    let analysis = services::analysis(&["--config-url", &config.upstream.to_string()]).await;
    let status = analyze(&analysis, "broken", &[CATALOGUE]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "RULESET_UNUSABLE"));
    assert!(status.message().contains("rules[0].keywords[0]"), "{status}");
}

#[tokio::test]
async fn an_unreadable_document_is_rejected_with_its_position() {
    let analysis = services::analysis(&["--max-document-bytes", "2000B", "--max-depth", "8"]).await;
    let deep = "<a>".repeat(9);
    let long = format!(
        "<m:Structure xmlns:m=\"http://www.sdmx.org/resources/sdmxml/schemas/v2_1/message\">{}",
        " ".repeat(2000)
    );
    let check = async |document: &str, code: Code, expected: &str| {
        let status = analyze(&analysis, "", &[document]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{document:.40}: {status}");
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.domain, "dataflow.analysis.v1");
        info.metadata["offset"].parse::<u64>().unwrap();
        info.metadata["line"].parse::<u64>().unwrap();
        assert!(status.message().contains("expected"), "{status}");
    };
    check("", Code::InvalidArgument, "EMPTY_DOCUMENT").await;
    check("Service unavailable", Code::InvalidArgument, "NOT_XML").await;
    check("<html><body/></html>", Code::InvalidArgument, "NOT_A_STRUCTURE_MESSAGE").await;
    check(&CATALOGUE[..500], Code::InvalidArgument, "TRUNCATED_DOCUMENT").await;
    check(&format!("<!DOCTYPE a>{CATALOGUE}"), Code::InvalidArgument, "DTD_REFUSED").await;
    check(&long, Code::ResourceExhausted, "DOCUMENT_TOO_LARGE").await;
    check(&deep, Code::ResourceExhausted, "NESTED_TOO_DEEP").await;
}

#[tokio::test]
async fn errors_of_invalid_requests_name_the_field() {
    let analysis = services::analysis(&[]).await;
    let mut client = AnalysisServiceClient::new(analysis.channel());
    let field = |status: &Status| {
        let details = status.get_error_details();
        details.bad_request().map(|bad| bad.field_violations[0].field.clone()).unwrap_or_default()
    };

    let status = client.categorize_dataflow(pb::CategorizeDataflowRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), field(&status).as_str()), (Code::InvalidArgument, "dataflow"));
    let nameless =
        pb::CategorizeDataflowRequest { dataflow: Some(pb::Dataflow::default()), ..Default::default() };
    let status = client.categorize_dataflow(nameless).await.unwrap_err();
    assert_eq!((status.code(), field(&status).as_str()), (Code::InvalidArgument, "dataflow.id"));
    let status = analyze(&analysis, "unheard-of", &[CATALOGUE]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RULESET_NOT_FOUND"));

    let options = pb::AnalyzeCatalogueRequest { provider: "x".repeat(65), ..Default::default() };
    let status = client.analyze_catalogue(tokio_stream::iter([options])).await.unwrap_err();
    assert_eq!(field(&status), "provider");
}

#[tokio::test]
async fn one_dataflow_is_categorized_with_evidence_in_any_language() {
    let analysis = services::analysis(&[]).await;
    let mut client = AnalysisServiceClient::new(analysis.channel());
    let mut check = async |language: &str, name: &str, expected: Category| {
        let names = [(language.to_owned(), name.to_owned())].into();
        let dataflow = Some(pb::Dataflow { id: "X".to_owned(), names, ..Default::default() });
        let request = pb::CategorizeDataflowRequest { dataflow, ..Default::default() };
        let reply = client.categorize_dataflow(request).await.unwrap().into_inner();
        assert_eq!(reply.category(), expected, "{name}: {reply:?}");
        let Some(pb::evidence::Kind::Rule(rule)) = &reply.evidence[0].kind else { panic!("{reply:?}") };
        assert_eq!(
            rule.field,
            if language == "und" { "name".to_owned() } else { format!("name.{language}") }
        );
        assert!(reply.score > 0 && reply.confidence > 0.0);
    };
    check("it", "Popolazione residente al 1° gennaio", Category::Population).await;
    check("en", "Unemployment rate by sex and age", Category::Labour).await;
    check("fr", "Établissements scolaires", Category::Education).await;
    check("und", "Hospital beds", Category::Health).await;
}

#[tokio::test]
async fn a_call_past_its_deadline_ends_with_deadline_exceeded() {
    let analysis = services::analysis(&[]).await;
    // The document never ends, so neither does the call.
    let stalled =
        tokio_stream::StreamExt::chain(tokio_stream::iter([message(b"<".to_vec())]), tokio_stream::pending());
    let mut request = tonic::Request::new(stalled);
    request.set_timeout(std::time::Duration::from_millis(50));
    let mut client = AnalysisServiceClient::new(analysis.channel());
    let status = client.analyze_catalogue(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_stopping_service_lets_a_call_in_flight_finish() {
    let analysis = services::analysis(&[]).await;
    let (pieces, messages) = tokio::sync::mpsc::channel(1);
    let mut client = AnalysisServiceClient::new(analysis.channel());
    pieces.send(message(CATALOGUE.as_bytes()[..50].to_vec())).await.unwrap();
    let call = tokio::spawn(async move {
        client.analyze_catalogue(tokio_stream::wrappers::ReceiverStream::new(messages)).await
    });
    // The channel has capacity again: the first chunk is sent, so the call has begun.
    let permit = pieces.reserve().await.unwrap();
    let metrics = analysis.metrics.clone();
    let begun = async || metrics.encode().contains("grpc_server_in_flight{");
    eventually(TIMEOUT, "the call has begun", begun).await;
    let readiness = analysis.readiness.clone();
    let stopping = tokio::spawn(analysis.stop());
    eventually(TIMEOUT, "it drains", async || !readiness.ready()).await;
    permit.send(message(CATALOGUE.as_bytes()[50..].to_vec()));
    drop(pieces);
    let reply = call.await.unwrap().unwrap().into_inner();
    assert_eq!(reply.analysis.unwrap().total, 2);
    stopping.await.unwrap();
}
