//! Results kept in the cache service, so that no replica analyses the same document under the same rules twice, and of
//! all that are asked for the same at once only one does.

use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::tasks::Task;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::args::PeerArgs;
use crate::document::Fingerprint;
use crate::rulesets::Ruleset;
use dataflow_sdmx::Limits;

/// Changes whenever a stored analysis would be read differently: two releases share one cache during every rollout.
const STORED_VERSION: u8 = 1;

const CONTENT_TYPE: &str = "application/x-protobuf; messageType=dataflow.analysis.v1.Analysis";

/// How long one analysis has before another replica does it too, and how long that one waits for it: longer than the
/// largest document takes on a busy machine.
const LEASE_TIME: Duration = Duration::from_secs(60);

/// What a result depends on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The document's content.
    pub document: Fingerprint,
    /// The rules.
    pub ruleset: &'a Ruleset,
    /// How much of the document is read and kept.
    pub limits: &'a Limits,
    /// The provider that the request names.
    pub provider: &'a str,
    /// Whose result it is; empty without tenants.
    pub tenant: &'a str,
}

/// The place of one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    digest: [u8; 32],
}

/// What the cache said.
#[derive(Debug)]
pub enum Lookup {
    /// It has the result.
    Hit(Box<pb::Analysis>),
    /// It does not, and ours is to be kept.
    Miss(Box<WriteLease>),
    /// Somebody else has been analysing the same for so long that we do it too, and leave the keeping to them.
    Busy,
    /// It is not there, or did not answer in time.
    Unavailable,
}

/// The results of all replicas.
#[derive(Debug, Clone)]
pub struct Results {
    client: Option<CacheServiceClient<Outbound>>,
    /// How long one answer of the cache may take.
    timeout: Duration,
    ttl: Duration,
}

/// The right, and the duty, to compute a result that others may be waiting for. Dropped without a result it lets them
/// compute it.
#[derive(Debug)]
pub struct WriteLease {
    client: CacheServiceClient<Outbound>,
    entry: String,
    ttl: Duration,
    /// None where what is kept cannot be read, and is to be overwritten.
    lease: Option<cache::Lease>,
}

// === impl Key ===

impl Key {
    /// The key of what depends on these inputs.
    pub fn of(inputs: Inputs<'_>) -> Self {
        let Inputs { document, ruleset, limits, provider, tenant } = inputs;
        let mut hasher = Sha256::new();
        hasher.update([STORED_VERSION]);
        hasher.update(document);
        hasher.update(ruleset.fingerprint);
        hasher.update(ruleset.revision.to_be_bytes());
        limits.numbers().iter().for_each(|limit| hasher.update(limit.to_be_bytes()));
        // With their lengths, or two pairs of texts could run together into one.
        for text in [ruleset.name.as_str(), provider, tenant] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        Self { digest: hasher.finalize().into() }
    }

    /// The name of the analysis: the same inputs, the same name.
    pub fn analysis(&self) -> String {
        format!("a-{}", hex(&self.digest[..16]))
    }

    fn entry(&self) -> String {
        format!("results/v{STORED_VERSION}/{}", hex(&self.digest))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl Results ===

impl Results {
    /// Results in the cache that `args` name, if any.
    pub fn new(args: &PeerArgs) -> Self {
        let client = args.cache_url.as_ref().map(|upstream| {
            CacheServiceClient::new(Outbound::new(upstream, args.peer_timeout))
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX)
        });
        Self { client, timeout: args.peer_timeout, ttl: args.result_ttl }
    }

    /// Looks a result up; while somebody else computes it, waits for theirs.
    pub async fn get(&self, key: &Key) -> Lookup {
        let Some(mut client) = self.client.clone() else { return Lookup::Unavailable };
        let entry = key.entry();
        let give_up = Instant::now() + LEASE_TIME;
        loop {
            let request = cache::LeaseEntryRequest {
                key: entry.clone(),
                hold: duration(LEASE_TIME),
                // Well before the call's own time is up, so that waiting is not taken for silence.
                wait: duration(self.timeout / 2),
                ..Default::default()
            };
            let reply = match client.lease_entry(request).await {
                Ok(reply) => reply.into_inner(),
                Err(status) if is_gone(&status) => {
                    tracing::info!(code = ?status.code(), "cache does not answer: computing");
                    return Lookup::Unavailable;
                }
                Err(status) => {
                    let (code, message) = (status.code(), status.message());
                    tracing::warn!(?code, message, "cache refuses what it is asked: computing");
                    return Lookup::Unavailable;
                }
            };
            let write_lease =
                |lease| WriteLease { client: client.clone(), entry: entry.clone(), ttl: self.ttl, lease };
            match reply {
                cache::LeaseEntryResponse { entry: Some(kept), .. } => {
                    return match pb::Analysis::decode(kept.value) {
                        Ok(analysis) => Lookup::Hit(Box::new(analysis)),
                        Err(error) => {
                            tracing::warn!(%error, "a stored result cannot be read: computing it again");
                            Lookup::Miss(Box::new(write_lease(None)))
                        }
                    };
                }
                cache::LeaseEntryResponse { lease: Some(lease), .. } => {
                    return Lookup::Miss(Box::new(write_lease(Some(lease))));
                }
                cache::LeaseEntryResponse { degraded: true, .. } => return Lookup::Unavailable,
                _ if Instant::now() >= give_up => return Lookup::Busy,
                _ => {}
            }
        }
    }
}

// === impl WriteLease ===

impl WriteLease {
    /// Keeps a result, if the cache takes it; whether the cache answered.
    pub async fn write(mut self, analysis: &pb::Analysis) -> bool {
        let entry = cache::Entry {
            key: self.entry.clone(),
            value: analysis.encode_to_vec().into(),
            content_type: CONTENT_TYPE.to_owned(),
            ttl: duration(self.ttl),
            ..Default::default()
        };
        let token = self.lease.as_ref().map(|lease| lease.token.clone()).unwrap_or_default();
        let request = cache::SetEntryRequest { entry: Some(entry), token, generations: Vec::new() };
        match self.client.set_entry(request).await {
            Ok(reply) => {
                let cache::SetEntryResponse { stored, degraded, .. } = reply.into_inner();
                if !stored {
                    tracing::info!(degraded, "the result is not kept");
                }
                // Stored, or no longer ours to store: either way nobody waits for us.
                if !degraded {
                    self.lease = None;
                }
                !degraded
            }
            Err(status) => {
                tracing::info!(code = ?status.code(), message = status.message(), "the result is not kept");
                !is_gone(&status)
            }
        }
    }
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let (mut client, key) = (self.client.clone(), std::mem::take(&mut self.entry));
        // Those who wait would otherwise do so until the lease ends by itself, which it does if this is lost.
        let release = async move {
            let request = cache::ReleaseLeaseRequest { key, token: lease.token };
            if let Err(status) = client.release_lease(request).await {
                tracing::debug!(code = ?status.code(), "a lease is not given back");
            }
        };
        Task::logged("release lease", release).detach();
    }
}

/// A cache that refuses, for instance because the result is too large, is there all the same.
fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}
