//! An upstream whose every call takes a fixed time without using a processor.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::bench::service_process::pin;

/// Starts it on a free port, on the processor of the generator. It runs until the process ends.
pub(super) fn start(takes: Duration, processor: usize) -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || -> anyhow::Result<()> {
        pin(Pid::from_raw(0), processor)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(serve(listener, takes))
    });
    Ok(address)
}

async fn serve(listener: std::net::TcpListener, takes: Duration) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await?;
            while let Some(request) = connection.accept().await {
                let (_, response) = request?;
                tokio::spawn(respond(response, takes));
            }
            anyhow::Ok(())
        });
    }
}

/// An empty message.
async fn respond(mut response: SendResponse<Bytes>, takes: Duration) -> anyhow::Result<()> {
    sleep(takes).await;
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut body = response.send_response(head, false)?;
    body.send_data(Bytes::from_static(&[0; 5]), false)?;
    let status = [("grpc-status".parse()?, HeaderValue::from_static("0"))];
    Ok(body.send_trailers(HeaderMap::from_iter(status))?)
}
