//! `dataflow healthcheck`: what a container runtime without probes of its own runs inside the container, where there is no
//! other program to ask with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::exit::{Exit, Failure};

/// How long the process may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The flags of `dataflow healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of the admin port of the process to ask about; of one that listens on all addresses, loopback is asked.
    #[arg(long, env = "DATAFLOW_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    admin: SocketAddr,
}

/// Runs the command: done when `/readyz` says so.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let address = reachable(args.admin);
    let asked = tokio::time::timeout(TIMEOUT, ask(address)).await;
    let asked = asked.unwrap_or_else(|_| Err(anyhow!("no answer within {TIMEOUT:?}")));
    match asked {
        Ok((status, _)) if status.is_success() => Ok(Exit::Done),
        Ok((status, body)) => Err(anyhow!("http://{address}/readyz: {status}: {}", body.trim()).into()),
        Err(error) => {
            Err(Failure::new(Exit::Unreachable, error.context(format!("http://{address} is out of reach"))))
        }
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request =
        Request::get("/readyz").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok((head.status, String::from_utf8(body.into()).context("the answer is no text")?))
}

/// The address by which a process is reached that listens on this one.
fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
