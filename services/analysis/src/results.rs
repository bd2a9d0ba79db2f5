//! Results kept in the cache service, so that no replica analyses the same document under the same rules twice.

use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::cache::v1 as cache;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::args::PeerArgs;
use crate::document::Fingerprint;
use crate::rulesets::Ruleset;

/// Changes whenever a stored analysis would be read differently: two releases share one cache during every rollout.
const FORMAT: u8 = 1;

const CONTENT_TYPE: &str = "application/x-protobuf; messageType=dataflow.analysis.v1.Analysis";

/// What a result depends on.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The document's content.
    pub document: Fingerprint,
    /// The rules.
    pub ruleset: &'a Ruleset,
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
    /// It does not.
    Miss,
    /// It is not there, or did not answer in time.
    Unavailable,
}

/// The results of all replicas.
#[derive(Debug, Clone)]
pub struct Results {
    client: Option<CacheServiceClient<Outbound>>,
    ttl: Duration,
}

// === impl Key ===

impl Key {
    /// The key of what depends on these inputs.
    pub fn of(inputs: Inputs<'_>) -> Self {
        let Inputs { document, ruleset, provider, tenant } = inputs;
        let mut hasher = Sha256::new();
        hasher.update([FORMAT]);
        hasher.update(document);
        hasher.update(ruleset.fingerprint);
        hasher.update(ruleset.revision.to_be_bytes());
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
        format!("results/v{FORMAT}/{}", hex(&self.digest))
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
        Self { client, ttl: args.result_ttl }
    }

    /// Looks a result up.
    pub async fn get(&self, key: &Key) -> Lookup {
        let Some(mut client) = self.client.clone() else { return Lookup::Unavailable };
        match client.get_entry(cache::GetEntryRequest { key: key.entry() }).await {
            Ok(reply) => match reply.into_inner().entry.map(|entry| pb::Analysis::decode(entry.value)) {
                Some(Ok(analysis)) => Lookup::Hit(Box::new(analysis)),
                Some(Err(error)) => {
                    tracing::warn!(%error, "a stored result cannot be read: computing it again");
                    Lookup::Miss
                }
                None => Lookup::Miss,
            },
            Err(status) => {
                tracing::info!(code = ?status.code(), "cache does not answer: computing");
                Lookup::Unavailable
            }
        }
    }

    /// Keeps a result, if the cache takes it; whether the cache answered.
    pub async fn set(&self, key: &Key, analysis: &pb::Analysis) -> bool {
        let Some(mut client) = self.client.clone() else { return false };
        let entry = cache::Entry {
            key: key.entry(),
            value: analysis.encode_to_vec().into(),
            content_type: CONTENT_TYPE.to_owned(),
            ttl: prost_types::Duration::try_from(self.ttl).ok(),
        };
        let Err(status) = client.set_entry(cache::SetEntryRequest { entry: Some(entry) }).await else {
            return true;
        };
        tracing::info!(code = ?status.code(), message = status.message(), "the result is not kept");
        // A cache that refuses, for instance because the result is too large, is there all the same.
        !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
    }
}
