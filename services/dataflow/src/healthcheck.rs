//! `dataflow healthcheck`: a readiness check that a container runtime without HTTP probes runs inside the container,
//! whose image has no other HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::exit::{Exit, Failure};

/// Timeout of the check.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The flags of `dataflow healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of the process's admin port. If it is unspecified (`0.0.0.0`, `[::]`), loopback is used.
    #[arg(long, env = "DATAFLOW_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    admin: SocketAddr,
}

/// Runs the command. It succeeds if `/readyz` does.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let address = reachable(args.admin);
    let response = tokio::time::timeout(TIMEOUT, get_readyz(address)).await;
    let response = response.unwrap_or_else(|_| Err(anyhow!("no response within {TIMEOUT:?}")));
    match response {
        Ok((status, _)) if status.is_success() => Ok(Exit::Success),
        Ok((status, body)) => Err(anyhow!("http://{address}/readyz: {status}: {}", body.trim()).into()),
        Err(error) => {
            Err(Failure::new(Exit::Unreachable, error.context(format!("http://{address} is unreachable"))))
        }
    }
}

async fn get_readyz(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request =
        Request::get("/readyz").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok((head.status, String::from_utf8(body.into()).context("the response is not text")?))
}

/// The address to connect to for a process that listens on this one.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
