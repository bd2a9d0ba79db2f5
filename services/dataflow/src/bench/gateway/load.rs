//! The load generator: one small `CategorizeDataflow`, over REST as browsers and scripts call it and over gRPC as
//! services do, with constant concurrency.

use std::iter::repeat_n;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use dataflow_proto::FILE_DESCRIPTOR_SET;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_transcode::{Preset, Root, Schema, json_to_wire};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, IF_NONE_MATCH};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};

/// Concurrent calls: one per connection over REST, one per stream over gRPC.
const WORKERS: u32 = 16;
/// Connections that carry the gRPC streams.
const CHANNELS: u32 = 2;

/// Timeout of a call, which takes less than a millisecond.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A dataflow as a client has it from an analysis, so it includes output-only fields.
pub(super) const BODY: &str = r#"{"dataflow":{"id":"151_929_DF_DCCV_TAXDISOCCU1_4","agencyId":"IT1","version":"1.2","names":{"it":"Tasso di disoccupazione per classe di età, titolo di studio e regione","en":"Unemployment rate by age group, level of education and region"},"descriptions":{"it":"Rilevazione sulle forze di lavoro: medie trimestrali, dati grezzi e destagionalizzati. Le persone in cerca di occupazione tra 15 e 74 anni, in percentuale della popolazione attiva residente in famiglia. Dal 2021 secondo il regolamento europeo sulle statistiche sociali.","en":"Labour force survey: quarterly averages, raw and seasonally adjusted. Persons seeking work aged 15 to 74, as a percentage of the active population living in private households. Since 2021 by the European regulation on social statistics."},"structure":{"agencyId":"IT1","id":"DCCV_TAXDISOCCU1","version":"1.4"},"category":"LABOUR","score":94,"confidence":0.875,"flags":["NON_PRODUCTION"],"lastUpdate":"2026-09-11T08:00:00Z","observationCount":"1284416","isFinal":true},"ruleset":"default"}"#;

/// Connections to one server, all with the same protocol.
pub(super) struct Load {
    workers: Vec<Worker>,
    reply: Bytes,
}

/// A request over REST.
#[derive(Clone)]
pub(super) struct RestRequest {
    request: Request<Full<Bytes>>,
    /// Of which each call presents another one, if there are any.
    bearers: Option<Arc<Bearers>>,
    /// The status of its response.
    expected: u16,
}

/// Values of `authorization`, of which each call takes the next one; the only one is taken by all.
pub(super) struct Bearers {
    values: Vec<HeaderValue>,
    next: AtomicUsize,
}

/// Makes one call after the other.
enum Worker {
    Rest(SendRequest<Full<Bytes>>, Box<RestRequest>),
    Grpc(AnalysisServiceClient<Channel>, Box<pb::CategorizeDataflowRequest>, Option<AsciiMetadataValue>),
}

/// The number of calls that [`Load::run`] makes for a requested number: each worker makes the same number.
pub(super) fn rounded_up(calls: u32) -> u32 {
    calls.div_ceil(WORKERS) * WORKERS
}

/// Converts a JSON reply to its canonical protobuf encoding.
pub(super) fn reply_from_json(json: &[u8]) -> anyhow::Result<Bytes> {
    let reply: pb::CategorizeDataflowResponse = from_json("CategorizeDataflowResponse", json)?;
    Ok(reply.encode_to_vec().into())
}

fn from_json<M: Message + Default>(name: &str, json: &[u8]) -> anyhow::Result<M> {
    let schema = Schema::new(FILE_DESCRIPTOR_SET)?;
    let message = schema.message_named(&format!("dataflow.analysis.v1.{name}"));
    let message = message.context("the contract has no such message")?;
    let mut wire = Vec::new();
    json_to_wire(&Preset::new(&schema, message), Root::Message, json, usize::MAX, &mut wire)?;
    Ok(M::decode(&wire[..])?)
}

// === impl RestRequest ===

impl RestRequest {
    /// The small call. `bearer` is the value of `authorization`.
    pub(super) fn categorize(server: SocketAddr, bearer: Option<&str>) -> anyhow::Result<Self> {
        let request = Request::post("/v1/dataflows:categorize").header(HOST, server.to_string());
        let mut request = request.header(CONTENT_TYPE, "application/json");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        let request = request.body(Full::new(Bytes::from_static(BODY.as_bytes())))?;
        Ok(Self { request, bearers: None, expected: 200 })
    }

    /// The same, each time with another of these values.
    pub(super) fn presenting(self, bearers: Arc<Bearers>) -> Self {
        Self { bearers: Some(bearers), ..self }
    }

    /// A read; of a resource that is not to have changed since it had this etag, if there is one.
    pub(super) fn get(server: SocketAddr, target: &str, etag: Option<&str>) -> anyhow::Result<Self> {
        let mut request = Request::get(target).header(HOST, server.to_string());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let expected = if etag.is_some() { 304 } else { 200 };
        Ok(Self { request: request.body(Full::default())?, bearers: None, expected })
    }
}

// === impl Bearers ===

impl Bearers {
    pub(super) fn new(values: &[String]) -> anyhow::Result<Self> {
        let values = values.iter().map(|value| HeaderValue::from_str(value)).collect::<Result<_, _>>()?;
        Ok(Self { values, next: AtomicUsize::new(0) })
    }

    fn next(&self) -> anyhow::Result<HeaderValue> {
        let next = match self.values.len() {
            1 => 0,
            _ => self.next.fetch_add(1, Ordering::Relaxed),
        };
        self.values.get(next).cloned().context("every token was presented")
    }
}

// === impl Load ===

impl Load {
    /// Connects for HTTP/1.1 with keep-alive.
    pub(super) async fn rest(server: SocketAddr, request: RestRequest) -> anyhow::Result<Self> {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let connection = TcpStream::connect(server).await?;
            connection.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
            // If the connection fails, its call fails too.
            tokio::spawn(connection);
            workers.push(Worker::Rest(sender, Box::new(request.clone())));
        }
        Self::over(workers).await
    }

    /// Connects for HTTP/2. `bearer` is the value of `authorization`.
    pub(super) async fn grpc(server: SocketAddr, bearer: Option<&str>) -> anyhow::Result<Self> {
        let bearer = bearer.map(str::parse::<AsciiMetadataValue>).transpose()?;
        let request: pb::CategorizeDataflowRequest = from_json("CategorizeDataflowRequest", BODY.as_bytes())?;
        let endpoint = Endpoint::try_from(format!("http://{server}"))?.tcp_nodelay(true);
        let mut workers = Vec::new();
        for _ in 0..CHANNELS {
            let client = AnalysisServiceClient::new(endpoint.connect().await?);
            let streams = repeat_n(client, (WORKERS / CHANNELS) as usize);
            let worker = |client| Worker::Grpc(client, Box::new(request.clone()), bearer.clone());
            workers.extend(streams.map(worker));
        }
        Self::over(workers).await
    }

    async fn over(mut workers: Vec<Worker>) -> anyhow::Result<Self> {
        let first = workers.first_mut().context("there are workers")?;
        let reply = timeout(TIMEOUT, first.call()).await??;
        Ok(Self { workers, reply })
    }

    /// The reply to every call, as received over REST or re-encoded over gRPC.
    pub(super) fn reply(&self) -> &Bytes {
        &self.reply
    }

    /// Makes this many calls, 16 concurrently. Every reply must equal the first one.
    pub(super) async fn run(&mut self, calls: u32) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for mut worker in self.workers.drain(..) {
            let expected = self.reply.clone();
            running.spawn(async move {
                for _ in 0..calls.div_ceil(WORKERS) {
                    let reply = timeout(TIMEOUT, worker.call()).await.context("call timed out")??;
                    ensure!(reply == expected, "the reply differs from the first one");
                }
                anyhow::Ok(worker)
            });
        }
        while let Some(ended) = running.join_next().await {
            self.workers.push(ended??);
        }
        Ok(())
    }
}

// === impl Worker ===

impl Worker {
    async fn call(&mut self) -> anyhow::Result<Bytes> {
        match self {
            Worker::Rest(connection, rest) => {
                connection.ready().await?;
                let mut request = rest.request.clone();
                if let Some(bearers) = &rest.bearers {
                    request.headers_mut().insert(AUTHORIZATION, bearers.next()?);
                }
                let (head, body) = connection.send_request(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                if head.status.as_u16() != rest.expected {
                    bail!("{}: {}", head.status, String::from_utf8_lossy(&body));
                }
                Ok(body)
            }
            Worker::Grpc(client, request, bearer) => {
                let mut request = tonic::Request::new((**request).clone());
                if let Some(bearer) = bearer {
                    request.metadata_mut().insert("authorization", bearer.clone());
                }
                let reply = client.categorize_dataflow(request).await?.into_inner();
                Ok(reply.encode_to_vec().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_valid_request_of_about_one_kilobyte() {
        assert!((900..1100).contains(&BODY.len()), "{}", BODY.len());
        let request: pb::CategorizeDataflowRequest =
            from_json("CategorizeDataflowRequest", BODY.as_bytes()).unwrap();
        assert_eq!(request.dataflow.unwrap().names.len(), 2);
    }

    #[test]
    fn calls_are_rounded_up_to_a_multiple_of_the_workers() {
        assert_eq!([1, 16, 17, 4000].map(rounded_up), [16, 16, 32, 4000]);
    }
}
