//! Use of the cache by analysis: concurrent uploads of a document are parsed once, and a document with a digest header
//! is not parsed if its result is cached.

use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis;
use dataflow_tests::services::{self, Service};
use dataflow_uploads::{digest, document};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};
use tonic::{Code, Request};

use super::caller::Failure;
use super::replicas::Replicas;

/// A catalogue with this number of dataflows.
fn catalogue(flows: usize) -> String {
    let flow = |id| format!("<Dataflow id='F{id}' agencyID='A'><Name>Health {id}</Name></Dataflow>");
    let flows: String = (0..flows).map(flow).collect();
    format!("<Structure><Dataflows>{flows}</Dataflows></Structure>")
}

/// The digest of a document, as its header value.
fn digest_of(document: &str) -> String {
    digest::format(&document::fingerprint(&[document::Part::Bytes(Bytes::copy_from_slice(
        document.as_bytes(),
    ))]))
}

/// Sends a document, with a digest header if there is one.
async fn analyze(service: &Service, document: &str, digest: Option<&str>) -> Result<pb::Analysis, Failure> {
    let piece = |data: &[u8]| {
        let document = HttpBody { data: Bytes::copy_from_slice(data), ..Default::default() };
        pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
    };
    let pieces: Vec<_> = document.as_bytes().chunks(1 << 16).map(piece).collect();
    let mut request = Request::new(tokio_stream::iter(pieces));
    if let Some(digest) = digest {
        request.metadata_mut().insert(digest::HEADER, digest.parse().unwrap());
    }
    let mut client = AnalysisServiceClient::new(service.channel());
    Ok(client.analyze_catalogue(request).await?.into_inner().analysis.unwrap())
}

/// Two analysis services, each with its own replica of the cache. Their peer timeout is long: on a busy machine a
/// healthy cache may be slow.
async fn analysis_services(replicas: &Replicas, flags: &[&str]) -> [Service; 2] {
    let start = async |cache: &Service| {
        let url = cache.upstream.to_string();
        services::analysis(&[&["--cache-url", &url], &services::LONG_TIMEOUT, flags].concat()).await
    };
    [start(&replicas.a.service).await, start(&replicas.b.service).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_uploads_of_one_document_are_parsed_once() {
    let check = async |replicas: Replicas| {
        let analysis_services = analysis_services(&replicas, &["--max-uploads", "100"]).await;
        let document = catalogue(500);
        let begun = Instant::now();
        let calls = (0..100).map(|index| analyze(&analysis_services[index % 2], &document, None));
        let analyses: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        println!("100 uploads of {} bytes took {:?}", document.len(), begun.elapsed());
        // Degraded only by what is built in, since there is no config service; the cache is available.
        let built_in = [pb::analysis::Degradation::BuiltInRules, pb::analysis::Degradation::BuiltInThemes]
            .map(i32::from);
        let degraded = analyses.iter().filter(|analysis| analysis.degraded != built_in).count();
        let parsed = analyses.iter().filter(|analysis| !analysis.cached).count();
        assert_eq!((degraded, parsed), (0, 1), "of 100: degraded without the cache, and parsed");
        let first = pb::Analysis { cached: true, ..analyses[0].clone() };
        assert_eq!(first.total, 500);
        let same = |analysis| pb::Analysis { cached: true, ..analysis } == first;
        assert!(analyses.into_iter().all(same), "all have the same result");
    };
    check(Replicas::embedded(&[]).await).await;
    if redis::available() {
        check(Replicas::redis(&[]).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_document_does_not_block_other_uploads() {
    let replicas = Replicas::embedded(&[]).await;
    let analysis_services = analysis_services(&replicas, &[]).await;
    let document = catalogue(10);
    let broken = &document[..document.len() - 20];
    let begun = Instant::now();
    let calls = (0..10).map(|index| analyze(&analysis_services[index % 2], broken, None));
    // The holder releases its lease; otherwise each of the others would wait a minute.
    let answers = timeout(Duration::from_secs(30), join_all(calls)).await.expect("no upload waits");
    for answer in answers {
        let refusal = answer.unwrap_err();
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "TRUNCATED_DOCUMENT"));
    }
    println!("10 uploads that cannot be parsed took {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_fails_no_analysis() {
    if !redis::available() {
        return;
    }
    let mut replicas = Replicas::redis(&[]).await;
    let analysis_services = analysis_services(&replicas, &[]).await;
    let [one, other] = &analysis_services;
    let document = catalogue(10);
    let is_degraded = |analysis: &pb::Analysis| {
        analysis.degraded.contains(&i32::from(pb::analysis::Degradation::CacheUnavailable))
    };
    let first = analyze(one, &document, None).await.unwrap();
    let second = analyze(other, &document, None).await.unwrap();
    assert!(!first.cached && second.cached && !is_degraded(&first) && !is_degraded(&second));

    replicas.redis.as_mut().unwrap().kill();
    for index in 0..20 {
        let document = catalogue(20 + index);
        let analysis = analyze(&analysis_services[index % 2], &document, None).await.unwrap();
        assert!(!analysis.cached && is_degraded(&analysis), "{:?}", analysis.degraded);
    }

    replicas.redis.as_mut().unwrap().restart();
    let whole = async || !is_degraded(&analyze(one, &document, None).await.unwrap());
    eventually(TIMEOUT, "the result is cached again", whole).await;
    let found = async || analyze(other, &document, None).await.unwrap().cached;
    eventually(TIMEOUT, "the result is found again", found).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_is_looked_up_by_its_digest_and_verified() {
    let replicas = Replicas::embedded(&[]).await;
    let analysis_services = analysis_services(&replicas, &["--spool-bytes", "1KiB"]).await;
    let [one, other] = &analysis_services;
    let (large, small) = (catalogue(200), catalogue(2));
    assert!(large.len() > 1024 && small.len() < 1024);
    for document in [&large, &small] {
        let right = digest_of(document);
        let first = analyze(one, document, Some(&right)).await.unwrap();
        let second = analyze(other, document, Some(&right)).await.unwrap();
        assert_eq!((first.cached, second.cached), (false, true));
        assert!(pb::Analysis { cached: true, ..first } == second);
        // Among digests of other algorithms, and after an outdated one.
        let among = format!("sha-512=:AA==:, {}, {right}", digest_of("another"));
        assert!(analyze(one, document, Some(&among)).await.unwrap().cached);
    }
    // A digest of an unsupported algorithm is ignored.
    let unannounced = analyze(one, &large, None).await.unwrap();
    let unknown = analyze(one, &large, Some("sha-512=:AA==:")).await.unwrap();
    assert!(!unannounced.cached && !unknown.cached, "a large document without a digest must be parsed");

    let mismatch = async |document: &str, digest: &str| {
        let refusal = analyze(one, document, Some(digest)).await.unwrap_err();
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "DIGEST_MISMATCH"));
        assert_eq!(
            refusal.metadata["digest"],
            digest_of(document),
            "the error has the digest of the received document"
        );
    };
    // The digest of a cached document, and of one that was never sent.
    let next = catalogue(201);
    for announced in [digest_of(&large), digest_of(&small), digest_of(&next)] {
        mismatch(&catalogue(202), &announced).await;
        mismatch(&catalogue(3), &announced).await;
    }
    let first = analyze(one, &next, Some(&digest_of(&next))).await.unwrap();
    assert_eq!((first.cached, first.total), (false, 201), "nothing was cached under a wrong digest");

    let not_base64 = "sha-256=:!:".to_owned();
    let too_short = "sha-256=:AA==:".to_owned();
    let unwrapped = digest_of(&large).replace(':', "");
    for malformed in [not_base64, too_short, unwrapped] {
        for document in [&large, &small] {
            let refusal = analyze(one, document, Some(&malformed)).await.unwrap_err();
            let found = (refusal.code, refusal.reason.as_str(), refusal.field.as_str());
            assert_eq!(found, (Code::InvalidArgument, "FIELD_INVALID", "repr-digest"), "{malformed}");
        }
    }
}
