//! Catalogues of a hundred thousand dataflows: stored, compared, and refused where the answer would be too large.

use dataflow_proto::catalogue::v1 as pb;
use dataflow_proto::catalogue::v1::catalogue_service_client::CatalogueServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_tests::catalogues::{catalogue, numbered};
use dataflow_tests::services::{self, Service};
use tonic::Status;
use tonic_types::StatusExt;

/// The most dataflows that a document may have by default.
const MOST: usize = 100_000;

/// Pieces of a document, of which each is a message.
const PIECE: usize = 1 << 20;

async fn create(service: &Service, document: &str) -> Result<pb::Snapshot, Status> {
    let piece = |piece: &[u8]| {
        let document = HttpBody { data: piece.to_vec().into(), ..Default::default() };
        pb::CreateSnapshotRequest { document: Some(document), ..Default::default() }
    };
    let options = pb::CreateSnapshotRequest { provider: "IT1".to_owned(), ..Default::default() };
    let messages: Vec<_> =
        [options].into_iter().chain(document.as_bytes().chunks(PIECE).map(piece)).collect();
    let mut client = CatalogueServiceClient::new(service.channel());
    let created = client.create_snapshot(tokio_stream::iter(messages)).await?;
    Ok(created.into_inner().snapshot.unwrap())
}

async fn diff(service: &Service) -> Result<pb::Diff, Status> {
    let request = pb::DiffSnapshotsRequest { provider: "IT1".to_owned(), ..Default::default() };
    let mut client = CatalogueServiceClient::new(service.channel()).max_decoding_message_size(usize::MAX);
    Ok(client.diff_snapshots(request).await?.into_inner().diff.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_dataflows_are_stored_and_compared() {
    let analysis = services::analysis(&[]).await;
    let before = create(&analysis, &numbered("IT1", MOST, "before")).await.unwrap();
    assert_eq!(before.dataflows, 100_000);
    assert!(before.stored_bytes < 4_000_000, "{}", before.stored_bytes);
    create(&analysis, &numbered("IT1", MOST, "after")).await.unwrap();
    let renamed = diff(&analysis).await.unwrap();
    assert_eq!((renamed.counts["RENAMED"], renamed.changes.len()), (100_000, MOST));
    let empty = create(&analysis, &catalogue("1", "IT1", &[])).await.unwrap();
    assert!(empty.suspicious);
    assert_eq!(diff(&analysis).await.unwrap().counts["REMOVED"], 100_000);
    let refused = create(&analysis, &numbered("IT1", MOST + 1, "more")).await.unwrap_err();
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "TOO_MANY_DATAFLOWS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_above_the_message_size_is_rejected() {
    // A piece of a document is a message too.
    let analysis = services::analysis(&["--max-message-bytes", "64KiB"]).await;
    for ending in ["before", "after"] {
        let document = numbered("IT1", 1_500, ending);
        let pieces = document.as_bytes().chunks(32 * 1024).map(|piece| pb::CreateSnapshotRequest {
            provider: "IT1".to_owned(),
            document: Some(HttpBody { data: piece.to_vec().into(), ..Default::default() }),
            ..Default::default()
        });
        let messages: Vec<_> = pieces.collect();
        assert!(messages.len() > 3);
        let mut client = CatalogueServiceClient::new(analysis.channel());
        client.create_snapshot(tokio_stream::iter(messages)).await.unwrap();
    }
    let refused = diff(&analysis).await.unwrap_err();
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "RESULT_TOO_LARGE");
    assert!(refused.message().contains("--max-message-bytes"), "{refused}");
}
