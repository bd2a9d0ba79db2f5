//! What the attackers do, until they are stopped.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::google::api::HttpBody;
use futures_util::future::try_join_all;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use tokio::net::TcpStream;
use tokio::time::interval;

use crate::bench::document::document;
use crate::bench::frame::framed;

const ANALYZE: &str = "/dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue";
const CATEGORIZE: &str = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Clients that do not read, and clients that send slowly.
const SLOW: usize = 50;

/// Watches, and how many of them a connection opens.
const WATCHES: usize = 5_000;
const WATCHES_OF_ONE: usize = 250;

/// One kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Attack {
    /// Clients that do not read a large response
    SlowReaders,
    /// Uploads that arrive byte by byte
    SlowUploads,
    /// Calls that are reset at once
    HangUps,
    /// Health watches
    Watches,
    /// Tokens that no key has signed, each another one
    InvalidTokens,
}

/// A connection, and what its calls need to stay open.
pub(in crate::bench) struct Client(SendRequest<Bytes>);

/// An open call.
pub(in crate::bench) type Open = (ResponseFuture, SendStream<Bytes>);

// === impl Attack ===

impl Attack {
    pub(super) const ALL: [Self; 5] =
        [Self::SlowReaders, Self::SlowUploads, Self::HangUps, Self::Watches, Self::InvalidTokens];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SlowReaders => "50 clients that do not read a large response",
            Self::SlowUploads => "50 uploads of a byte now and then",
            Self::HangUps => "1,000 calls a second that are reset at once",
            Self::Watches => "5,000 health watches",
            Self::InvalidTokens => "2,000 calls a second with other invalid tokens",
        }
    }

    /// Attacks until it is dropped, or the service cannot be reached.
    pub(super) async fn run(self, address: SocketAddr) -> anyhow::Result<()> {
        match self {
            Self::SlowReaders => {
                let document = framed(&upload(document(3_000).into()));
                let readers = (0..SLOW).map(|_| slow_reader(address, document.clone()));
                try_join_all(readers).await.map(drop)
            }
            Self::SlowUploads => try_join_all((0..SLOW).map(|_| slow_upload(address))).await.map(drop),
            Self::HangUps => hang_ups(address).await,
            Self::Watches => {
                let clients = (0..WATCHES / WATCHES_OF_ONE).map(|_| watches(address));
                try_join_all(clients).await.map(drop)
            }
            Self::InvalidTokens => invalid_tokens(address).await,
        }
    }
}

/// Calls again whenever the service has cut the call before.
async fn slow_reader(address: SocketAddr, document: Bytes) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    loop {
        let (answer, mut body) = client.open(ANALYZE).await?;
        body.send_data(document.clone(), true)?;
        let Ok(answer) = answer.await else { continue };
        // Not read: its window is never opened again.
        let mut unread = answer.into_body();
        while unread.data().await.is_some() {}
    }
}

async fn slow_upload(address: SocketAddr) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    let begun = framed(&upload(vec![b' '; 100_000].into()));
    loop {
        let (_answer, mut body) = client.open(ANALYZE).await?;
        let mut rest = begun.clone();
        let mut tick = interval(Duration::from_millis(100));
        while !rest.is_empty() && body.send_data(rest.split_to(1), false).is_ok() {
            tick.tick().await;
        }
    }
}

async fn hang_ups(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Client::connect(address).await?;
    let mut tick = interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        for _ in 0..10 {
            match client.open(CATEGORIZE).await {
                Ok((_answer, mut body)) => body.send_reset(Reason::CANCEL),
                // The service has closed the connection of this client.
                Err(_) => client = Client::connect(address).await?,
            }
        }
    }
}

/// Each token has the form of a valid one, and a key that the service knows, so that its signature is verified.
async fn invalid_tokens(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Client::connect(address).await?;
    let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
    let mut number = 0_u64;
    let mut tick = interval(Duration::from_millis(10));
    loop {
        tick.tick().await;
        for _ in 0..20 {
            number += 1;
            let claims = format!(r#"{{"sub":"{number}","exp":4000000000}}"#);
            let header = encode(r#"{"alg":"EdDSA","kid":"EdDSA"}"#);
            let signature = URL_SAFE_NO_PAD.encode(number.to_be_bytes().repeat(8));
            let bearer = format!("Bearer {header}.{}.{signature}", encode(&claims));
            match client.present(&bearer).await {
                Ok((answer, mut body)) => {
                    // It is refused whether or not a message comes.
                    let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
                    tokio::spawn(answer);
                }
                // The service has closed the connection of this client.
                Err(_) => client = Client::connect(address).await?,
            }
        }
    }
}

async fn watches(address: SocketAddr) -> anyhow::Result<()> {
    let client = Client::connect(address).await?;
    let mut open = Vec::new();
    for _ in 0..WATCHES_OF_ONE {
        let (answer, mut body) = client.open(WATCH).await?;
        body.send_data(Bytes::from_static(&[0; 5]), true)?;
        open.push(answer);
    }
    std::future::pending::<()>().await;
    drop(open);
    Ok(())
}

// === impl Client ===

impl Client {
    pub(in crate::bench) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(Self(requests))
    }

    async fn open(&self, path: &str) -> anyhow::Result<Open> {
        self.begin(path, HeaderMap::new()).await
    }

    /// Begins a small call with this credential.
    pub(in crate::bench) async fn present(&self, bearer: &str) -> anyhow::Result<Open> {
        self.begin(CATEGORIZE, [(AUTHORIZATION, HeaderValue::from_str(bearer)?)].into_iter().collect()).await
    }

    async fn begin(&self, path: &str, headers: HeaderMap) -> anyhow::Result<Open> {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut request = request.body(())?;
        request.headers_mut().extend(headers);
        Ok(self.0.clone().ready().await?.send_request(request, false)?)
    }
}

fn upload(data: Bytes) -> pb::AnalyzeCatalogueRequest {
    let document = HttpBody { data, ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}
