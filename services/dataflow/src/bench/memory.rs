//! How much memory one catalogue costs, as the kernel counts it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::io::ReaderStream;

use super::On;
use super::running::Running;

const LIMIT: Duration = Duration::from_secs(600);

/// Bytes of the file in one piece.
const PIECE: usize = 64 * 1024;

/// Runs `analyze`; then sends the same file to a lone `analysis` over gRPC, and to `up` over REST.
pub(super) async fn measure(on: &On) -> anyhow::Result<String> {
    let ended = Command::new(std::env::current_exe()?)
        .args(["analyze", "--quiet", "--format", "json"])
        .arg(&on.file)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(ended.code().is_some_and(|code| code == 0 || code == 5), "analyze ended with {ended}");
    // So far `analyze` is the only child that has ended. The kernel counts in KiB.
    let analyze = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().unsigned_abs();

    let analysis = Running::analysis().await?;
    let analysis_idle = analysis.memory("VmRSS")?;
    let total = over_grpc(&analysis, on).await?;
    let analysis_peak = analysis.memory("VmHWM")?.saturating_sub(analysis_idle);
    analysis.stop().await?;

    let up = Running::up().await?;
    let up_idle = up.memory("VmRSS")?;
    over_rest(&up, on).await?;
    let up_peak = up.memory("VmHWM")?.saturating_sub(up_idle);
    up.stop().await?;

    let megabytes = |kibibytes: u64| kibibytes as f64 * 1024.0 / 1e6;
    Ok(format!(
        "{total} dataflows in {:.1} MB\n\
         analysis, idle                     {:7.1} MB (below 25)\n\
         analysis, peak over idle, by gRPC  {:7.1} MB (below 64)\n\
         up, idle                           {:7.1} MB (below 40)\n\
         up, peak over idle, by REST        {:7.1} MB (below 96)\n\
         analyze, peak                      {:7.1} MB (below 128)\n",
        std::fs::metadata(&on.file)?.len() as f64 / 1e6,
        megabytes(analysis_idle),
        megabytes(analysis_peak),
        megabytes(up_idle),
        megabytes(up_peak),
        megabytes(analyze),
    ))
}

/// Sends the file; how many dataflows are in it.
async fn over_grpc(service: &Running, on: &On) -> anyhow::Result<i32> {
    let file = tokio::fs::File::open(&on.file).await?;
    let messages = ReaderStream::with_capacity(file, PIECE).map(|piece| {
        let document = HttpBody { data: piece.unwrap_or_default(), ..Default::default() };
        pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
    });
    let mut client = AnalysisServiceClient::new(Outbound::new(&service.address, LIMIT));
    client = client.max_decoding_message_size(usize::MAX);
    let reply = client.analyze_catalogue(messages).await?.into_inner();
    Ok(reply.analysis.context("the reply holds no analysis")?.total)
}

/// Sends the file, and reads the answer piece by piece.
async fn over_rest(service: &Running, on: &On) -> anyhow::Result<()> {
    let address = service.address.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let file = tokio::fs::File::open(&on.file).await?;
    let body = StreamBody::new(ReaderStream::with_capacity(file, PIECE).map_ok(Frame::data));
    let request = hyper::Request::post("/v1/catalogues:analyze").header("host", address).body(body)?;
    let answer = sender.send_request(request).await?;
    ensure!(answer.status().is_success(), "the answer is {}", answer.status());
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
