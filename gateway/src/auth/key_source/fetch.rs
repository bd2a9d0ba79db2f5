//! Fetches a document over HTTP, from exactly one URL. The server is not trusted with more than the content of the set:
//! it cannot send the client elsewhere, keep it waiting, or fill its memory.

use std::error::Error;

use http::StatusCode;
use http::header::ACCEPT;
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

    /// The document, once.
    pub(super) async fn fetch(&self) -> Result<Vec<u8>, Problem> {
        let request = self.client.get(self.url.clone()).header(ACCEPT, ACCEPTED);
        let mut response = request.send().await.map_err(|error| self.problem(&error))?;
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

/// The causes of an error. What the client was doing when it occurred, and the URL, are known.
fn detail(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }.chars().take(MAX_DETAIL).collect()
}
