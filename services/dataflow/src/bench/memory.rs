//! Memory use for one catalogue, as the kernel counts it.

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

use super::CatalogueArgs;
use super::service_process::ServiceProcess;

const TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes of the file per message or frame.
const CHUNK_BYTES: usize = 64 * 1024;

/// Runs `analyze`, then sends the same file to a single `analysis` over gRPC and to `up` over REST.
pub(super) async fn measure(args: &CatalogueArgs) -> anyhow::Result<String> {
    let status = Command::new(std::env::current_exe()?)
        .args(["analyze", "--quiet", "--format", "json"])
        .arg(&args.file)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(status.code().is_some_and(|code| code == 0 || code == 5), "analyze exited with {status}");
    // `analyze` is the only child that has exited so far. The kernel counts in KiB.
    let analyze = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss().unsigned_abs();

    let analysis = ServiceProcess::analysis().await?;
    let analysis_idle = analysis.memory("VmRSS")?;
    let total = over_grpc(&analysis, args).await?;
    let analysis_peak = analysis.memory("VmHWM")?.saturating_sub(analysis_idle);
    analysis.stop().await?;

    let up = ServiceProcess::up().await?;
    let up_idle = up.memory("VmRSS")?;
    over_rest(&up, args).await?;
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
        std::fs::metadata(&args.file)?.len() as f64 / 1e6,
        megabytes(analysis_idle),
        megabytes(analysis_peak),
        megabytes(up_idle),
        megabytes(up_peak),
        megabytes(analyze),
    ))
}

/// Sends the file and returns its number of dataflows.
async fn over_grpc(service: &ServiceProcess, args: &CatalogueArgs) -> anyhow::Result<i32> {
    let file = tokio::fs::File::open(&args.file).await?;
    let messages = ReaderStream::with_capacity(file, CHUNK_BYTES).map(|piece| {
        let document = HttpBody { data: piece.unwrap_or_default(), ..Default::default() };
        pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
    });
    let mut client = AnalysisServiceClient::new(Outbound::new(&service.address, TIMEOUT));
    client = client.max_decoding_message_size(usize::MAX);
    let reply = client.analyze_catalogue(messages).await?.into_inner();
    Ok(reply.analysis.context("the response contains no analysis")?.total)
}

/// Sends the file and reads the response frame by frame.
async fn over_rest(service: &ServiceProcess, args: &CatalogueArgs) -> anyhow::Result<()> {
    let address = service.address.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    tokio::spawn(connection);
    let file = tokio::fs::File::open(&args.file).await?;
    let body = StreamBody::new(ReaderStream::with_capacity(file, CHUNK_BYTES).map_ok(Frame::data));
    let request = hyper::Request::post("/v1/catalogues:analyze").header("host", address).body(body)?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "status {}", response.status());
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}
