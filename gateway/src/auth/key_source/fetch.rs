//! Fetches a document over HTTP, from exactly one URL. The server is not trusted with more than the content of the set:
//! it cannot send the client elsewhere, keep it waiting, or fill its memory.

use std::error::Error;

use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::telemetry::{Attribute, OutgoingSpan};
use http::StatusCode;
use http::header::ACCEPT;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use reqwest::redirect::Policy;
use reqwest::{Client, Url, retry};

use super::super::jwt::key_set::MAX_BYTES;
use super::Timing;
use super::problem::Problem;

/// The media type of JWK Sets (RFC 7517, 8.5), and the one that most servers send instead.
const ACCEPTED: &str = "application/jwk-set+json, application/json";

/// Some firewalls reject requests without one.
const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The most characters of an error that the HTTP client has: parts of it may come from the server.
const MAX_DETAIL: usize = 200;

/// What has become of fetches. Those of an invalid document are `fetched`; it is not taken.
const OUTCOMES: [&str; 7] =
    ["fetched", "no_connection", "no_response", "redirect", "status", "too_long", "broken"];

/// Counts fetches by their outcome. At 0 from the start, also where the set comes from a file.
#[derive(Debug)]
pub(super) struct Fetches(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// The client of one URL.
pub(super) struct Fetcher {
    client: Client,
    url: Url,
    timing: Timing,
}

// === impl Fetcher ===

impl Fetcher {
    pub(super) fn new(url: Url, timing: &Timing) -> Result<Self, Problem> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            // A second attempt is up to the pace.
            .retry(retry::never())
            // Whatever features another crate of the build enables.
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            // Fetches are minutes apart. A connection of its own finds the server's present address.
            .pool_max_idle_per_host(0)
            .connect_timeout(timing.connect)
            .timeout(timing.total);
        // Without TLS, the certificates of the system need not exist.
        let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
        let client = client.build().map_err(|error| Problem::Client(detail(&error)))?;
        Ok(Self { client, url, timing: *timing })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The document, once, in a trace of its own: no call causes the fetch, or many do.
    pub(super) async fn fetch(&self, fetches: &Fetches) -> Result<Vec<u8>, Problem> {
        let span = OutgoingSpan::alone(|| {
            let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port_or_known_default());
            // Without user and query, which may be secret.
            let url = match self.url.port() {
                Some(port) => format!("{}://{host}:{port}{}", self.url.scheme(), self.url.path()),
                None => format!("{}://{host}{}", self.url.scheme(), self.url.path()),
            };
            let attributes = [
                ("http.request.method", "GET".into()),
                ("server.address", host.into()),
                ("server.port", port.unwrap_or_default().into()),
                ("url.full", Attribute::from(url.as_str())),
            ];
            ("GET".to_owned(), attributes)
        });
        let fetched = span.scope(self.read(&span)).await;
        match &fetched {
            Ok(_) => fetches.count("fetched"),
            Err(problem) => {
                span.failed(problem.outcome());
                fetches.count(problem.outcome());
            }
        }
        fetched
    }

    async fn read(&self, span: &OutgoingSpan) -> Result<Vec<u8>, Problem> {
        let request = self.client.get(self.url.clone()).header(ACCEPT, ACCEPTED);
        let mut response = request.send().await.map_err(|error| self.problem(&error))?;
        span.set("http.response.status_code", response.status().as_u16().into());
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(Problem::Redirect { status }),
            status => return Err(Problem::Status { status }),
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.problem(&error))? {
            if document.len() + chunk.len() > MAX_BYTES {
                return Err(Problem::TooLong);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }

    fn problem(&self, error: &reqwest::Error) -> Problem {
        if !error.is_timeout() {
            Problem::Broken(detail(error))
        } else if error.is_connect() {
            Problem::NoConnection { limit: self.timing.connect }
        } else {
            Problem::NoResponse { limit: self.timing.total }
        }
    }
}

// === impl Fetches ===

impl Default for Fetches {
    fn default() -> Self {
        let family = Family::<Labels, Counter>::default();
        for outcome in OUTCOMES {
            drop(family.get_or_create(&Labels { outcome }));
        }
        Self(family)
    }
}

impl Fetches {
    pub(super) fn register(&self, metrics: &Metrics) {
        let help = "Fetches of the key set of --jwks, by outcome";
        metrics.register("gateway_key_set_fetches", help, self.0.clone());
    }

    fn count(&self, outcome: &'static str) {
        self.0.get_or_create(&Labels { outcome }).inc();
    }

    #[cfg(test)]
    pub(super) fn counted(&self, outcome: &'static str) -> u64 {
        self.0.get_or_create(&Labels { outcome }).get()
    }
}

/// The causes of an error. What the client was doing when it occurred, and the URL, are known.
fn detail(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }.chars().take(MAX_DETAIL).collect()
}
