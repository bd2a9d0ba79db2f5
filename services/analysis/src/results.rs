//! Results stored in the cache service, so that no replica analyzes the same document under the same rules twice, and
//! only one of several concurrent requests computes it (single flight).

use std::time::Duration;

use dataflow_mesh::outbound::{CallObserver, Outbound};
use dataflow_mesh::propagation::CallHeaders;
use dataflow_mesh::tasks::Task;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_sdmx::Limits;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::args::PeerArgs;
use crate::mappings::Mapping;
use crate::rulesets::Ruleset;
use dataflow_uploads::document::Fingerprint;

/// Incremented whenever a stored analysis would be read differently: two releases share one cache during every rollout.
const STORED_VERSION: u8 = 3;

const CONTENT_TYPE: &str = "application/x-protobuf; messageType=dataflow.analysis.v1.Analysis";

/// Duration of a lease, after which another replica computes the same analysis, and the longest time that a replica
/// waits for it: longer than the largest document takes on a busy machine.
const LEASE_DURATION: Duration = Duration::from_secs(60);

/// Everything that a result depends on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The content of all documents.
    pub documents: Fingerprint,
    /// The rule set.
    pub ruleset: &'a Ruleset,
    /// The mapping of themes.
    pub mapping: &'a Mapping,
    /// The limits of the parser.
    pub limits: &'a Limits,
    /// The provider that the request states.
    pub provider: &'a str,
    /// The tenant of the result; empty without tenants.
    pub tenant: &'a str,
}

/// The cache key of one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    digest: [u8; 32],
}

/// The outcome of a cache lookup.
#[derive(Debug)]
pub enum Lookup {
    /// The result is cached.
    Hit(Box<pb::Analysis>),
    /// The result is not cached, and the caller got the lease to write it.
    Miss(Box<WriteLease>),
    /// Another caller has had the lease for so long that this one computes the result too, without storing it.
    Busy,
    /// There is no cache, or it did not respond within the timeout.
    Unavailable,
}

/// The results of all replicas, in the cache service.
#[derive(Debug, Clone)]
pub struct Results {
    client: Option<CacheServiceClient<Outbound>>,
    /// Timeout of one call to the cache.
    timeout: Duration,
    ttl: Duration,
}

/// The right to compute and store a result that other callers may be waiting for. Dropping it without a result releases
/// the lease, so that another caller computes it.
#[derive(Debug)]
pub struct WriteLease {
    client: CacheServiceClient<Outbound>,
    entry: String,
    ttl: Duration,
    /// `None` if the cached value cannot be decoded and will be overwritten.
    lease: Option<cache::Lease>,
    /// Those of the call that got the lease, to release it as its tenant.
    headers: CallHeaders,
}

// === impl Key ===

impl Key {
    /// The key for these inputs.
    pub fn of(inputs: Inputs<'_>) -> Self {
        let Inputs { documents, ruleset, mapping, limits, provider, tenant } = inputs;
        let mut hasher = Sha256::new();
        hasher.update([STORED_VERSION]);
        hasher.update(documents);
        hasher.update(mapping.fingerprint);
        hasher.update(mapping.source.revision.to_be_bytes());
        hasher.update(mapping.overlay_revision.to_be_bytes());
        hasher.update(ruleset.fingerprint);
        hasher.update(ruleset.revision.to_be_bytes());
        // Not hashed without changes of a tenant, so that the keys are those of the previous release.
        if ruleset.overlay_revision > 0 {
            hasher.update(ruleset.overlay_revision.to_be_bytes());
        }
        limits.numbers().iter().for_each(|limit| hasher.update(limit.to_be_bytes()));
        // With their lengths, so that different texts cannot produce the same bytes.
        for text in [ruleset.name.as_str(), provider, tenant] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        Self { digest: hasher.finalize().into() }
    }

    /// The name of the analysis: the same inputs give the same name.
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
    /// Uses the cache service in `args`, if there is one, and observes the calls to it.
    pub fn new(args: &PeerArgs, observer: Option<&CallObserver>) -> Self {
        let client = args.cache_url.as_ref().map(|upstream| {
            let channel = Outbound::new(upstream, args.peer_timeout);
            let channel = observer.map_or(channel.clone(), |observer| channel.observed(observer));
            CacheServiceClient::new(channel)
                .max_decoding_message_size(usize::MAX)
                .max_encoding_message_size(usize::MAX)
        });
        Self { client, timeout: args.peer_timeout, ttl: args.result_ttl }
    }

    /// Looks up a result; while another caller computes it, waits for that result.
    pub async fn get(&self, key: &Key) -> Lookup {
        let Some(mut client) = self.client.clone() else { return Lookup::Unavailable };
        let entry = key.entry();
        let deadline = Instant::now() + LEASE_DURATION;
        loop {
            let request = cache::LeaseEntryRequest {
                key: entry.clone(),
                hold: duration(LEASE_DURATION),
                // Well below the call's own timeout, so that waiting is not mistaken for an unresponsive cache.
                wait: duration(self.timeout / 2),
                ..Default::default()
            };
            let response = match client.lease_entry(request).await {
                Ok(response) => response.into_inner(),
                Err(status) if is_unavailable(&status) => {
                    tracing::info!(code = ?status.code(), "result cache: unavailable, computing");
                    return Lookup::Unavailable;
                }
                Err(status) => {
                    let (code, message) = (status.code(), status.message());
                    tracing::warn!(?code, message, "result cache: call rejected, computing");
                    return Lookup::Unavailable;
                }
            };
            let write_lease = |lease| WriteLease {
                client: client.clone(),
                entry: entry.clone(),
                ttl: self.ttl,
                lease,
                headers: CallHeaders::current(),
            };
            match response {
                cache::LeaseEntryResponse { entry: Some(cached), .. } => {
                    return match pb::Analysis::decode(cached.value) {
                        Ok(analysis) => Lookup::Hit(Box::new(analysis)),
                        Err(error) => {
                            tracing::warn!(%error, "result cache: stored result not decodable, computing again");
                            Lookup::Miss(Box::new(write_lease(None)))
                        }
                    };
                }
                cache::LeaseEntryResponse { lease: Some(lease), .. } => {
                    return Lookup::Miss(Box::new(write_lease(Some(lease))));
                }
                cache::LeaseEntryResponse { degraded: true, .. } => return Lookup::Unavailable,
                _ if Instant::now() >= deadline => return Lookup::Busy,
                _ => {}
            }
        }
    }
}

// === impl WriteLease ===

impl WriteLease {
    /// Stores a result, if the cache accepts it. Returns whether the cache responded.
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
            Ok(response) => {
                let cache::SetEntryResponse { stored, degraded, .. } = response.into_inner();
                if !stored {
                    tracing::info!(degraded, "result cache: result not stored");
                }
                // Stored, or the lease is no longer ours: in both cases no other caller waits for this one.
                if !degraded {
                    self.lease = None;
                }
                !degraded
            }
            Err(status) => {
                tracing::info!(code = ?status.code(), message = status.message(), "result cache: result not stored");
                !is_unavailable(&status)
            }
        }
    }
}

impl Drop for WriteLease {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        let (mut client, key) = (self.client.clone(), std::mem::take(&mut self.entry));
        // Otherwise, waiting callers would wait until the lease expires, which it does if this call is lost.
        let release = async move {
            let request = cache::ReleaseLeaseRequest { key, token: lease.token };
            if let Err(status) = client.release_lease(request).await {
                tracing::debug!(code = ?status.code(), "result cache: lease not released");
            }
        };
        Task::logged("release lease", self.headers.clone().scope(release)).detach();
    }
}

/// A cache that rejects a call, for instance because the result is too large, is available.
fn is_unavailable(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
}

fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}
