//! Time and size of a scrape of `/metrics`, after calls of every method over gRPC and of every route over HTTP.

mod routes;

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
use tokio::time::timeout;
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

/// Timeout of a call. A call of a method that waits, or streams without end, is left.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Calls everything through a gateway and through `dataflow up`, which has the series of all roles, and scrapes both.
pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    // Without services behind it: a call that fails has more series than one that is served.
    let closed = ["--analysis-url", "--cache-url", "--config-url"].map(|flag| [flag, "http://127.0.0.1:1"]);
    let gateway = ServiceProcess::service("gateway", closed.as_flattened()).await?;
    let of_gateway = of("gateway", gateway, args.scrapes).await?;
    let of_up = of("up", ServiceProcess::up().await?, args.scrapes).await?;
    Ok(format!("{of_gateway}{of_up}"))
}

async fn of(name: &str, process: ServiceProcess, scrapes: u16) -> anyhow::Result<String> {
    let schema = Schema::new(FILE_DESCRIPTOR_SET)?;
    let channel = Outbound::new(&process.address, TIMEOUT);
    let mut methods = 0;
    for service in schema.services() {
        for method in &service.methods {
            let body = Full::new(framed(&()));
            let request = Request::post(format!("/{}/{}", service.full_name, method.name))
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(Body::new(body))?;
            drop(timeout(TIMEOUT, channel.clone().oneshot(request)).await);
            methods += 1;
        }
    }
    // Each twice: as it may be served, and with a parameter that no route has, so that it has a second status.
    let routes = routes::all(&schema)?;
    for (verb, path) in &routes {
        for target in [path.clone(), format!("{path}?nonsense=1")] {
            // One that waits for its end is left; it is counted then.
            if let Ok(called) = timeout(TIMEOUT, routes::call(&process.address, verb, &target)).await {
                called?;
            }
        }
    }
    let (mut times, mut plain, mut packed) = (Vec::new(), 0, 0);
    for _ in 0..scrapes {
        // As Prometheus scrapes.
        let start = Instant::now();
        packed = scrape(&process.admin, "accept-encoding: gzip\r\n").await?.len();
        times.push(start.elapsed());
        plain = scrape(&process.admin, "").await?.len();
    }
    process.stop().await?;
    let time = median(times).context("no scrape")?;
    Ok(format!(
        "{name}, after calls of {methods} methods and {} routes, median of {scrapes} scrapes\n\
         time of a scrape {time:>10.1?} (below 5 ms)\n\
         as it is sent    {:>7} KiB (below 195 KiB)\n\
         its text         {:>7} KiB\n",
        routes.len(),
        packed / 1024,
        plain / 1024,
    ))
}

/// The response to a scrape with these headers.
async fn scrape(admin: &str, headers: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\n{headers}\r\n").as_bytes()).await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    ensure!(response.starts_with(b"HTTP/1.0 200"), "the scrape failed");
    Ok(response)
}
