//! The cost of a small call over REST where it is observed as in production, and where it is not, measured alternately:
//! logs of failures, and traces of one call in a hundred. Calls are counted in both, since that cannot be switched off,
//! and `dataflow bench scrape` has the cost of reading the counts.

use std::convert::Infallible;
use std::iter::{once, repeat_n};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::load::{self, Load, RestRequest};
use super::server::{Server, free_addresses};
use super::{Cost, Line, Round, role_command};

/// The flags of `dataflow bench observability`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of rounds; the result is the median of their ratios.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Calls to each gateway per round; rounded up to a multiple of 16.
    #[arg(long, default_value_t = 4000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
}

/// A gateway and the service behind it.
struct Mesh {
    analysis: Server,
    gateway: Server,
    rest: Load,
}

/// The costs of both processes and of the gateway alone.
struct Costs {
    both: Cost,
    gateway: Cost,
}

/// Starts two meshes, of which one is observed, and calls both.
pub(in crate::bench) async fn measure(args: &Args) -> anyhow::Result<String> {
    let (directory, collector) = (tempfile::tempdir()?, collector().await?);
    let observed = ["--log", "info", "--otlp-endpoint", &collector, "--trace-ratio", "0.01"];
    let mut observed = Mesh::start(&observed, directory.path()).await?;
    let mut plain = Mesh::start(&["--log", "off"], directory.path()).await?;

    let (mut both, mut gateway) = (Vec::new(), Vec::new());
    for calls in once(args.calls.div_ceil(10)).chain(repeat_n(args.calls, args.rounds.into())) {
        let (theirs, ours) = (plain.costs(calls).await?, observed.costs(calls).await?);
        both.push(Round { ours: ours.both, theirs: theirs.both });
        gateway.push(Round { ours: ours.gateway, theirs: theirs.gateway });
    }
    for mesh in [observed, plain] {
        mesh.gateway.stop().await?;
        mesh.analysis.stop().await?;
    }
    let mut report = format!(
        "one call in a hundred traced; one worker each; medians of {} rounds of {} calls\n",
        args.rounds,
        load::rounded_up(args.calls),
    );
    let cpu = |cost: &Cost| cost.cpu.as_secs_f64() * 1e6;
    // The warm-up fills caches and pools and is not measured.
    for (what, rounds, bar) in [
        ("REST CPU, gateway and analysis", &both[1..], " (at most 1.10)"),
        ("REST CPU, gateway", &gateway[1..], ""),
    ] {
        report.push_str(&Line::new(rounds, cpu)?.render(what, "us", bar, ["observed", "not"]));
    }
    Ok(report)
}

// === impl Mesh ===

impl Mesh {
    async fn start(flags: &[&str], directory: &Path) -> anyhow::Result<Self> {
        let [behind, address] = free_addresses()?;
        let command = |role, address: SocketAddr| {
            let mut command = role_command(role, address)?;
            command.args(flags).env("TOKIO_WORKER_THREADS", "1").env("OTEL_BSP_SCHEDULE_DELAY", "100");
            anyhow::Ok(command)
        };
        let mut analysis = Server::start("analysis", command("analysis", behind)?, directory)?;
        analysis.until_ok(|| Load::grpc(behind, None)).await?;
        let mut gateway = command("gateway", address)?;
        gateway.args(["--analysis-url", &format!("http://{behind}")]);
        let mut gateway = Server::start("gateway", gateway, directory)?;
        let request = RestRequest::categorize(address, None)?;
        let rest = gateway.until_ok(|| Load::rest(address, request.clone())).await?;
        Ok(Self { analysis, gateway, rest })
    }

    /// The costs of so many calls.
    async fn costs(&mut self, calls: u32) -> anyhow::Result<Costs> {
        let (start, before) = (Instant::now(), [self.gateway.cpu()?, self.analysis.cpu()?]);
        self.rest.run(calls).await?;
        let took = start.elapsed();
        let gateway = self.gateway.cpu()? - before[0];
        let both = gateway + self.analysis.cpu()? - before[1];
        let calls = load::rounded_up(calls);
        let [both, gateway] = [both, gateway].map(|cpu| Cost { cpu: cpu / calls, took: took / calls });
        Ok(Costs { both, gateway })
    }
}

/// A collector that takes all spans and forgets them, and its URL.
async fn collector() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(take)));
        }
    });
    Ok(url)
}

/// Takes one batch of spans: the reply is an empty message.
async fn take(
    batch: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, hyper::Error> {
    batch.into_body().collect().await?;
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let message = Full::new(Bytes::from_static(&[0; 5]));
    let mut response = Response::new(message.with_trailers(std::future::ready(Some(Ok(trailers)))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
