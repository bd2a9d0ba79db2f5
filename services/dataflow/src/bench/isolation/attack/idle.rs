//! Clients that do little: they do not read, do not send, or send a byte now and then.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::google::api::HttpBody;
use futures_util::future::try_join_all;
use tokio::time::{Interval, interval};

use crate::bench::document::document;
use crate::bench::frame::framed;

use super::ANALYZE;
use super::connection::{Connection, send_all};

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Clients that do not read, and clients that send slowly.
const SLOW: usize = 50;

/// Streams that one connection opens: as many as it may have.
const STREAMS_OF_ONE: usize = 250;
const WATCHES: usize = 5_000;
const SILENT: usize = 1_000;

/// The pause before what was cut is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The same for a watch that was refused: the first backoff of clients of gRPC.
const BACKOFF: Duration = Duration::from_secs(1);

/// What an upload sends before it holds the permits of a call and of an upload: more than 64 KiB.
const BEGINNING: usize = 100_000;

pub(super) async fn slow_readers(address: SocketAddr) -> anyhow::Result<()> {
    let document = framed(&upload(document(3_000).into()));
    try_join_all((0..SLOW).map(|_| again(|| slow_reader(address, document.clone())))).await.map(drop)
}

/// Calls again whenever the service has cut the call before.
async fn slow_reader(address: SocketAddr, document: Bytes) -> anyhow::Result<()> {
    let client = Connection::open(address).await?;
    loop {
        let (answer, mut body) = client.begin(ANALYZE).await?;
        body.send_data(document.clone(), true)?;
        let Ok(answer) = answer.await else { continue };
        // Not read: its window is never opened again.
        let mut unread = answer.into_body();
        while unread.data().await.is_some() {}
    }
}

pub(super) async fn slow_uploads(address: SocketAddr) -> anyhow::Result<()> {
    try_join_all((0..SLOW).map(|_| again(|| slow_upload(address, Bytes::new())))).await.map(drop)
}

pub(super) async fn held_uploads(address: SocketAddr) -> anyhow::Result<()> {
    let mut beginning = document(1_000).into_bytes();
    beginning.truncate(BEGINNING);
    let beginning = framed(&upload(beginning.into()));
    try_join_all((0..SLOW).map(|_| again(|| slow_upload(address, beginning.clone())))).await.map(drop)
}

/// Begins to send again whenever the service has ended the upload before.
async fn slow_upload(address: SocketAddr, beginning: Bytes) -> anyhow::Result<()> {
    let client = Connection::open(address).await?;
    let slowly = framed(&upload(vec![b' '; BEGINNING].into()));
    loop {
        let (_answer, mut body) = client.begin(ANALYZE).await?;
        let mut rest = slowly.clone();
        let mut tick = pace();
        if send_all(&mut body, beginning.clone()).await.is_ok() {
            while !rest.is_empty() && body.send_data(rest.split_to(1), false).is_ok() {
                tick.tick().await;
            }
        }
        // So that rejections do not turn it into another attack.
        tick.tick().await;
    }
}

pub(super) async fn watches(address: SocketAddr) -> anyhow::Result<()> {
    let connections = (0..WATCHES / STREAMS_OF_ONE).map(|_| again(|| streams(address, WATCH, true, BACKOFF)));
    try_join_all(connections).await.map(drop)
}

pub(super) async fn silent_streams(address: SocketAddr) -> anyhow::Result<()> {
    let connections = (0..SILENT / STREAMS_OF_ONE).map(|_| again(|| streams(address, REFLECT, false, PAUSE)));
    try_join_all(connections).await.map(drop)
}

/// Streams that stay open as long as the service lets them; each is replaced when it has ended, after a pause.
async fn streams(address: SocketAddr, path: &str, has_message: bool, pause: Duration) -> anyhow::Result<()> {
    let client = Connection::open(address).await?;
    let stream = async || {
        let mut tick = interval(pause);
        loop {
            tick.tick().await;
            let (answer, mut body) = client.begin(path).await?;
            if has_message {
                body.send_data(Bytes::from_static(&[0; 5]), true)?;
            }
            let Ok(answer) = answer.await else { continue };
            let mut received = answer.into_body();
            while let Some(Ok(data)) = received.data().await {
                received.flow_control().release_capacity(data.len())?;
            }
        }
    };
    try_join_all((0..STREAMS_OF_ONE).map(|_| stream())).await.map(|_: Vec<()>| ())
}

/// Attacks over one connection after the other: the service closes those that cost it too much.
async fn again<F: Future<Output = anyhow::Result<()>>>(attack: impl Fn() -> F) -> anyhow::Result<()> {
    let mut tick = pace();
    loop {
        tick.tick().await;
        drop(attack().await);
    }
}

fn pace() -> Interval {
    interval(PAUSE)
}

fn upload(data: Bytes) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data, ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}
