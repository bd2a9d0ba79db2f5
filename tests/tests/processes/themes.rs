//! Further documents of a call: the themes in them decide, the cached result and the digest cover all of them, and
//! their number is limited.

mod mapping;

use std::path::Path;

use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::analysis::v1::dataflow::DecidedBy;
use dataflow_proto::analysis::v1::evidence::Kind;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::services::{self, Service};
use dataflow_tests::{corpus, example, in_repository};
use dataflow_uploads::digest;
use dataflow_uploads::document::{Part, fingerprint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::accuracy;

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The catalogue of the examples, and its themes.
fn examples() -> [String; 2] {
    [read(example()), read(in_repository("examples/istat-themes.xml"))]
}

/// The messages of a call: each document begins with a content type, and is sent in pieces of this size.
fn messages(documents: &[&str], size: usize) -> Vec<pb::AnalyzeCatalogueRequest> {
    let message = |content_type: &str, data: &[u8]| {
        let document = HttpBody {
            content_type: content_type.to_owned(),
            data: data.to_vec().into(),
            ..Default::default()
        };
        pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
    };
    let document = |document: &&str| {
        let begin = message("application/xml", &[]);
        let pieces = document.as_bytes().chunks(size).map(|piece| message("", piece));
        [begin].into_iter().chain(pieces).collect::<Vec<_>>()
    };
    documents.iter().flat_map(document).collect()
}

async fn send(
    service: &Service,
    messages: Vec<pb::AnalyzeCatalogueRequest>,
    digest: Option<&str>,
) -> Result<pb::Analysis, Status> {
    let mut request = Request::new(tokio_stream::iter(messages));
    if let Some(digest) = digest {
        request.metadata_mut().insert(digest::HEADER, digest.parse().unwrap());
    }
    let mut client = AnalysisServiceClient::new(service.channel());
    Ok(client.analyze_catalogue(request).await?.into_inner().analysis.unwrap())
}

pub(crate) async fn analyze(service: &Service, documents: &[&str]) -> Result<pb::Analysis, Status> {
    send(service, messages(documents, 64 * 1024), None).await
}

fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    (status.code(), details.error_info().map(|info| info.reason.clone()).unwrap_or_default())
}

fn digest_of(documents: &[&str]) -> String {
    let parts = documents
        .iter()
        .flat_map(|document| [Part::NextDocument, Part::Bytes(document.as_bytes().to_vec().into())]);
    digest::format(&fingerprint(&parts.skip(1).collect::<Vec<_>>()))
}

#[tokio::test]
async fn themes_in_a_further_document_decide() {
    let service = services::analysis(&[]).await;
    let [catalogue, themes] = examples();
    let analysis = analyze(&service, &[&catalogue, &themes]).await.unwrap();
    let alone = analyze(&service, &[&catalogue]).await.unwrap();
    assert_ne!(analysis.analysis, alone.analysis);
    assert_eq!((analysis.total, alone.total), (24, 24));
    assert_eq!((analysis.coverage["THEME"], alone.coverage["THEME"]), (2, 0));
    assert_eq!(analysis.coverage.values().sum::<i32>(), 24);

    let flow = |id: &str| analysis.dataflows.iter().find(|flow| flow.id == id).unwrap();
    let theme = |flow: &pb::Dataflow| match &flow.evidence[0].kind {
        Some(Kind::Theme(theme)) => theme.clone(),
        other => panic!("{other:?}"),
    };
    let residents = flow("22_289");
    assert_eq!(
        (residents.category().as_str_name(), residents.decided_by()),
        ("POPULATION", DecidedBy::Theme)
    );
    assert!(residents.evidence.len() > 1 && residents.score > 0, "the rules agree: {residents:?}");
    let found = theme(residents);
    assert_eq!((found.scheme.as_str(), found.path.join("/")), ("IT1:EXAMPLE(1.0)", "POP/RES".to_owned()));
    assert_eq!(found.names["en"], "Resident population");
    assert_eq!(found.category().as_str_name(), "POPULATION");
    let permits = flow("29_348");
    assert_eq!((permits.category().as_str_name(), permits.score), ("OTHER", 0));
    let [unmapped, ended] = ["24_447", "163_184"].map(|id| (flow(id).decided_by(), theme(flow(id))));
    assert_eq!((unmapped.0, unmapped.1.category().as_str_name()), (DecidedBy::Rules, "CATEGORY_UNSPECIFIED"));
    assert!(ended.0 != DecidedBy::Theme && ended.1.deprecated);
    let diagnosed: Vec<_> =
        analysis.diagnostics.iter().map(|found| (found.reason.as_str(), found.document)).collect();
    assert_eq!(diagnosed, [("DEPRECATED_CATEGORISATION", 1)]);
}

#[tokio::test]
async fn a_cached_result_covers_all_documents() {
    let cache = services::cache().await;
    let url = cache.upstream.to_string();
    for spool in ["4MiB", "64B"] {
        let flags = ["--cache-url", &url, "--spool-bytes", spool, "--max-depth"];
        // Another limit is another result.
        let depth = if spool == "64B" { "63" } else { "64" };
        let service = services::analysis(&[&flags[..], &[depth], &services::LONG_TIMEOUT].concat()).await;
        let [catalogue, themes] = examples();
        let both = [catalogue.as_str(), themes.as_str()];
        let joined = [catalogue.as_str(), themes.as_str()].concat();
        let digest = digest_of(&both);
        let call = async |documents: &[&str], size: usize, digest: &str| {
            send(&service, messages(documents, size), Some(digest)).await
        };
        let first = call(&both, 1000, &digest).await.unwrap();
        let second = call(&both, 777, &digest).await.unwrap();
        assert_eq!((first.cached, second.cached), (false, true), "{spool}");
        assert_eq!((first.coverage["THEME"], second.coverage["THEME"]), (2, 2));
        let alone = call(&both[..1], 1000, &digest_of(&both[..1])).await.unwrap();
        assert_eq!((alone.cached, alone.coverage["THEME"]), (false, 0));
        // The digest tells where documents end.
        for documents in [&both[..1], &[both[1], both[0]], &[joined.as_str()], &[both[0], both[1], ""]] {
            let refused = call(documents, 1000, &digest).await.map(|analysis| analysis.total).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{spool} {} documents", documents.len());
        }
    }
}

#[tokio::test]
async fn the_number_of_documents_is_limited() {
    let service = services::analysis(&["--max-documents", "2"]).await;
    let [catalogue, themes] = examples();
    assert_eq!(analyze(&service, &[&catalogue, &themes]).await.unwrap().coverage["THEME"], 2);
    let refused = analyze(&service, &[&catalogue, &themes, &themes]).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::ResourceExhausted, "TOO_MANY_DOCUMENTS".to_owned()));
    assert!(refused.message().contains("--max-documents"), "{refused:?}");
}

#[tokio::test]
async fn limits_of_themes_are_flags() {
    let [catalogue, themes] = examples();
    let check = async |flag: &str, enough: &str, less: &str, expected: &str| {
        for (limit, reasons) in [(enough, vec![]), (less, vec![expected])] {
            let service = services::analysis(&[flag, limit]).await;
            let analysis = analyze(&service, &[&catalogue, &themes]).await.unwrap();
            let cut = analysis.diagnostics.iter().map(|found| found.reason.as_str());
            let cut: Vec<_> = cut.filter(|reason| reason.ends_with("CUT_SHORT")).collect();
            assert_eq!(cut, reasons, "{flag} {limit}");
        }
    };
    // A scheme and four categories.
    check("--max-categories", "5", "4", "CATEGORIES_CUT_SHORT").await;
    check("--max-categorisations", "4", "3", "CATEGORISATIONS_CUT_SHORT").await;
    check("--max-theme-bytes", "8KiB", "3KiB", "CATEGORISATIONS_CUT_SHORT").await;
}

#[tokio::test]
async fn an_unreadable_further_document_is_named() {
    let service = services::analysis(&[]).await;
    let [catalogue, themes] = examples();
    for (documents, number) in
        [(["prose", &themes], "0"), ([&catalogue, "prose"], "1"), ([&catalogue, ""], "1")]
    {
        let refused = analyze(&service, &documents).await.unwrap_err();
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["document"], number, "{refused:?}");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

/// All 456 dataflows of ISTAT's catalogue of May 2020 have a theme.
#[tokio::test]
async fn every_dataflow_of_istats_catalogue_is_decided_by_its_theme() {
    let Some(corpus) = corpus::directory("ISTAT's own themes are not applied") else { return };
    let [catalogue, scheme, links] =
        [accuracy::CATALOGUE, accuracy::THEMES, accuracy::LINKS].map(|name| read(corpus.join(name)));
    let service = services::analysis(&["--max-message-bytes", "64MiB"]).await;
    let expected = accuracy::themes(&corpus);
    for further in [[&scheme, &links], [&links, &scheme]] {
        let analysis = analyze(&service, &[&catalogue, further[0], further[1]]).await.unwrap();
        assert_eq!((analysis.coverage["THEME"], analysis.total), (456, 456));
        assert!(analysis.diagnostics.iter().all(|found| found.document == 0), "{:?}", analysis.diagnostics);
        for flow in &analysis.dataflows {
            let category = flow.category().as_str_name().parse().unwrap();
            assert!(expected[&flow.id].contains(&category), "{}: {category}", flow.id);
        }
    }
}
