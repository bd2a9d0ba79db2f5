//! Snapshots in a store that replicas share, or that a process is killed over: one content and a receipt for each upload,
//! whole or absent, and honest failures while Redis is away.

use std::sync::Arc;

use dataflow_mesh::process::Process;
use dataflow_proto::catalogue::v1 as pb;
use dataflow_proto::catalogue::v1::catalogue_service_client::CatalogueServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_store::embedded::Embedded;
use dataflow_tests::binary;
use dataflow_tests::catalogues::numbered;
use dataflow_tests::eventually::{TIMEOUT, eventually};
use dataflow_tests::redis::{self, Server};
use dataflow_tests::services::{self, Service};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Number of kills.
const KILLS: usize = 6;

/// Pieces of a document, of which each is a message.
const PIECE: usize = 60_000;

/// The messages of an upload.
fn messages(document: &str) -> Vec<pb::CreateSnapshotRequest> {
    let piece = |piece: &[u8]| {
        let document = HttpBody { data: piece.to_vec().into(), ..Default::default() };
        pb::CreateSnapshotRequest { document: Some(document), ..Default::default() }
    };
    let options = pb::CreateSnapshotRequest { provider: "IT1".to_owned(), ..Default::default() };
    [options].into_iter().chain(document.as_bytes().chunks(PIECE).map(piece)).collect()
}

async fn create(service: &Service, document: &str) -> Result<pb::CreateSnapshotResponse, Status> {
    let mut client = CatalogueServiceClient::new(service.channel());
    Ok(client.create_snapshot(tokio_stream::iter(messages(document))).await?.into_inner())
}

async fn list(service: &Service) -> Result<Vec<pb::Snapshot>, Status> {
    let request = pb::ListSnapshotsRequest { provider: "IT1".to_owned(), ..Default::default() };
    let mut client = CatalogueServiceClient::new(service.channel());
    Ok(client.list_snapshots(request).await?.into_inner().snapshots)
}

async fn verify(service: &Service, snapshot: &str) -> bool {
    let (provider, snapshot) = ("IT1".to_owned(), snapshot.to_owned());
    let mut client = CatalogueServiceClient::new(service.channel());
    let verified = client.verify_snapshot(pb::VerifySnapshotRequest { provider, snapshot }).await;
    verified.unwrap().into_inner().intact
}

/// Two replicas that store the same at once, and different contents.
async fn check_replicas(replicas: [Service; 2]) {
    let document = numbered("IT1", 2_000, "same");
    let uploads = (0..8).map(|index| create(&replicas[index % 2], &document));
    let created = join_all(uploads).await.into_iter().map(Result::unwrap);
    assert_eq!(created.filter(|response| response.created).count(), 1, "one content");
    let found = list(&replicas[0]).await.unwrap();
    assert_eq!((found.len(), found[0].receipts.len(), found[0].receipts_omitted), (1, 8, 0));
    assert!(verify(&replicas[1], &found[0].snapshot_id).await);

    let documents: Vec<_> = (0..6).map(|index| numbered("IT1", 100, &format!("other {index}"))).collect();
    let uploads =
        documents.iter().enumerate().map(|(index, document)| create(&replicas[index % 2], document));
    assert!(join_all(uploads).await.into_iter().all(|response| response.unwrap().created));
    let found = list(&replicas[1]).await.unwrap();
    assert_eq!(found.len(), 7);
    for snapshot in &found {
        assert!(verify(&replicas[0], &snapshot.snapshot_id).await, "{}", snapshot.snapshot_id);
    }
    assert_eq!(found, list(&replicas[0]).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_one_process_share_a_content() {
    let store = Arc::new(Embedded::new(1 << 20));
    let analysis = async || services::analysis_over(store.clone(), &[]).await;
    check_replicas([analysis().await, analysis().await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_content_in_redis() {
    if !redis::available() {
        return;
    }
    let server = Server::start();
    let processes = [Process::default(), Process::default()];
    let analysis = async |process: &Process| {
        services::analysis_over(services::redis_at(server.url(), process), &[]).await
    };
    let replicas = [analysis(&processes[0]).await, analysis(&processes[1]).await];
    eventually(TIMEOUT, "Redis is connected", async || {
        list(&replicas[0]).await.is_ok() && list(&replicas[1]).await.is_ok()
    })
    .await;
    check_replicas(replicas).await;
    // All of a tenant is in one bucket, and nothing is left of what was staged twice.
    let reply = server.command(&["SCAN", "0", "MATCH", "*:content:*", "COUNT", "10000"]);
    let contents: Vec<_> = reply.items()[1].items().iter().map(|name| name.text().to_owned()).collect();
    assert_eq!(contents.len(), 7, "{contents:?}");
    assert!(contents.iter().all(|name| server.command(&["PTTL", name]).integer() == -1), "none expires");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_calls_fail_honestly() {
    if !redis::available() {
        return;
    }
    let (mut server, process) = (Server::start(), Process::default());
    let analysis = services::analysis_over(services::redis_at(server.url(), &process), &[]).await;
    let document = numbered("IT1", 100, "x");
    eventually(TIMEOUT, "Redis is connected", async || create(&analysis, &document).await.is_ok()).await;
    server.kill();
    for status in [create(&analysis, &document).await.err(), list(&analysis).await.err()] {
        let status = status.expect("there is no store");
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.as_str());
        assert_eq!((status.code(), reason), (Code::Unavailable, Some("STORE_UNAVAILABLE")), "{status}");
        assert!(details.retry_info().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_whole_or_absent_after_a_kill_at_any_moment() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join("state");
    let flags = ["--data-dir", state.to_str().unwrap()];
    let mut acknowledged = Vec::new();
    for kill in 0..=KILLS {
        let service = binary::Service::start("up", &flags);
        let endpoint = format!("http://{}", service.address);
        let mut client = CatalogueServiceClient::connect(endpoint).await.unwrap();
        let request = pb::ListSnapshotsRequest { provider: "IT1".to_owned(), ..Default::default() };
        let found = client.list_snapshots(request).await.unwrap().into_inner().snapshots;
        let ids: Vec<_> = found.iter().map(|snapshot| snapshot.snapshot_id.clone()).collect();
        assert!(acknowledged.iter().all(|id| ids.contains(id)), "{acknowledged:?} {ids:?}");
        for snapshot in ids {
            let request =
                pb::VerifySnapshotRequest { provider: "IT1".to_owned(), snapshot: snapshot.clone() };
            assert!(client.verify_snapshot(request).await.unwrap().into_inner().intact, "{snapshot}");
        }
        if kill == KILLS {
            break;
        }
        let (sender, mut done) = tokio::sync::mpsc::unbounded_channel();
        let mut writer = client.clone();
        let writes = tokio::spawn(async move {
            for write in 0.. {
                let document = numbered("IT1", 3_000, &format!("{kill} {write}"));
                let created = writer.create_snapshot(tokio_stream::iter(messages(&document))).await;
                let Ok(created) = created else { break };
                let snapshot = created.into_inner().snapshot.unwrap().snapshot_id;
                if sender.send(snapshot).is_err() {
                    break;
                }
            }
        });
        // Killed while a later one is read, packed, or written.
        for _ in 0..=fastrand::usize(0..3) {
            acknowledged.push(done.recv().await.expect("it stores until it is killed"));
        }
        service.signal(Signal::SIGKILL);
        writes.await.unwrap();
        while let Ok(snapshot) = done.try_recv() {
            acknowledged.push(snapshot);
        }
        drop(service);
    }
    assert!(acknowledged.len() >= KILLS);
}
