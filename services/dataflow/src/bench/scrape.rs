//! Time and size of a scrape of `/metrics`, after calls of every kind.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_transcode::Schema;
use http::Request;
use http::header::{CONTENT_TYPE, TE};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::body::Body;
use tower::ServiceExt;

use super::frame::framed;
use super::median;
use super::service_process::ServiceProcess;

/// The flags of `dataflow bench scrape`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of scrapes; the result is the median of their times.
    #[arg(long, default_value_t = 101, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    scrapes: u16,
}

/// Timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Calls every method through a gateway, the role with the most series, and scrapes it.
pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    // Without services behind it: a call that fails has more series than one that is served.
    let closed = ["--analysis-url", "--cache-url", "--config-url"].map(|flag| [flag, "http://127.0.0.1:1"]);
    let gateway = ServiceProcess::service("gateway", closed.as_flattened()).await?;
    let channel = Outbound::new(&gateway.address, TIMEOUT);
    let mut methods = 0;
    for service in Schema::new(FILE_DESCRIPTOR_SET)?.services() {
        for method in &service.methods {
            let body = Full::new(framed(&()));
            let request = Request::post(format!("/{}/{}", service.full_name, method.name))
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(Body::new(body))?;
            drop(channel.clone().oneshot(request).await);
            methods += 1;
        }
    }
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..args.scrapes {
        let start = Instant::now();
        let mut stream = TcpStream::connect(&gateway.admin).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await?;
        times.push(start.elapsed());
        ensure!(text.starts_with(b"HTTP/1.0 200"), "the scrape failed");
        size = text.len();
    }
    gateway.stop().await?;
    let time = median(times).context("no scrape")?;
    Ok(format!(
        "gateway, after calls of {methods} methods, median of {} scrapes\n\
         time of a scrape {time:>10.1?} (below 5 ms)\n\
         its size         {:>7} KiB (below 195 KiB)\n",
        args.scrapes,
        size / 1024,
    ))
}
