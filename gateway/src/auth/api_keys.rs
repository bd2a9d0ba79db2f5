//! The API keys that the config service has created. It pushes those that are valid, after every change, so that a call
//! looks its key up here, by the digest, and a revoked one is refused within a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use dataflow_mesh::access::Scope;
use dataflow_mesh::backoff::Backoff;
use dataflow_mesh::identity::Principal;
use dataflow_mesh::outbound::{CallObserver, Outbound, Upstream};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use tokio::time::Instant;
use tonic::Status;

use super::digest::Digest;
use super::error::AuthError;
use super::key_uses::{KeyUses, LastNoted};
use crate::caller::Caller;

/// How long keys count while the config service is out of reach: no revocation arrives meanwhile.
const GRACE: Duration = Duration::from_secs(60);

/// The most keys that are held; the config service creates no more.
const MAX_KEYS: usize = 10_000;

/// The valid keys. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ApiKeys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Outbound,
    /// None until the first list has come.
    keys: ArcSwapOption<HashMap<Digest, ApiKey>>,
    uses: KeyUses,
    /// Since when the config service is out of reach.
    lost: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct ApiKey {
    key_id: String,
    caller: Caller,
    /// Never, if there is none.
    expires: Option<SystemTime>,
    /// Shared with the same key of later lists.
    last_noted: Arc<LastNoted>,
}

// === impl ApiKeys ===

impl ApiKeys {
    pub(super) fn new(config: &Upstream) -> Self {
        let (config, keys) = (Outbound::watching(config), ArcSwapOption::empty());
        Self(Arc::new(Shared { config, keys, uses: KeyUses::default(), lost: Mutex::default() }))
    }

    /// When the keys are used.
    pub(super) fn uses(&self) -> &KeyUses {
        &self.0.uses
    }

    /// The caller that presents a key.
    ///
    /// # Errors
    ///
    /// If the key is not valid, or the config service is out of reach and may know it.
    pub(super) fn caller(&self, key: &str) -> Result<Caller, AuthError> {
        let keys = self.0.keys.load();
        let keys = keys.as_ref().ok_or(AuthError::ApiKeysUnavailable)?;
        let (lost, now) = (*self.0.lost(), SystemTime::now());
        match (keys.get(&Digest::of(key)), lost) {
            (Some(key), _) if key.expires.is_some_and(|end| end <= now) => Err(AuthError::KeyUnknown),
            (Some(_), Some(since)) if since.elapsed() >= GRACE => Err(AuthError::ApiKeysUnavailable),
            (Some(key), _) => {
                self.0.uses.note(&key.key_id, &key.last_noted, now);
                Ok(key.caller.clone())
            }
            (None, Some(_)) => Err(AuthError::ApiKeysUnavailable),
            (None, None) => Err(AuthError::KeyUnknown),
        }
    }

    /// Takes the keys that the config service pushes, without end. `observer` observes the calls for them.
    pub(super) async fn follow(self, observer: CallObserver) {
        let mut client = KeyServiceClient::new(self.0.config.clone().observed(&observer));
        let mut backoff = Backoff::default();
        loop {
            let error = self.watch(&mut client, &mut backoff).await.err();
            let error = error.map(|status| status.message().to_owned()).unwrap_or_default();
            // The time counts from the first failure.
            if self.0.lost().is_none() {
                *self.0.lost() = Some(Instant::now());
                tracing::warn!(error, "api keys: config service unavailable, keys count for 60 s more");
            }
            backoff.wait().await;
        }
    }

    /// Takes the keys of one stream, until it ends.
    async fn watch(
        &self,
        client: &mut KeyServiceClient<Outbound>,
        backoff: &mut Backoff,
    ) -> Result<(), Status> {
        let mut stream = client.watch_keys(pb::WatchKeysRequest::default()).await?.into_inner();
        let mut keys = HashMap::new();
        while let Some(part) = stream.message().await? {
            keys.extend(part.keys.into_iter().take(MAX_KEYS - keys.len().min(MAX_KEYS)).filter_map(read));
            if part.complete {
                let count = keys.len();
                self.take(std::mem::take(&mut keys));
                if self.0.lost().take().is_some() {
                    tracing::info!(keys = count, "api keys: config service available again");
                }
                backoff.reset();
            }
        }
        Ok(())
    }

    /// Takes a new list. A key that was known keeps the time of its last use.
    fn take(&self, mut keys: HashMap<Digest, ApiKey>) {
        if let Some(known) = &*self.0.keys.load() {
            for (digest, key) in &mut keys {
                if let Some(known) = known.get(digest) {
                    key.last_noted = Arc::clone(&known.last_noted);
                }
            }
        }
        self.0.keys.store(Some(Arc::new(keys)));
    }
}

/// A key with its digest, not used yet; none if this release cannot read it, so that nothing is granted.
fn read(key: pb::WatchedKey) -> Option<(Digest, ApiKey)> {
    let scope = Scope::from_wire(key.scope)?;
    let expires = key.expire_time.map(SystemTime::try_from).transpose().ok()?;
    let digest = Digest::read(&key.digest)?;
    // The config service has validated both.
    let rate =
        Some(key.rate_limit).filter(|rate| !rate.is_empty()).map(|rate| rate.parse()).transpose().ok()?;
    let burst = u32::try_from(key.rate_burst).ok()?;
    let burst = (burst > 0).then_some(burst);
    let principal = Principal { subject: key.subject, tenant: key.tenant, scope: Some(scope), rate, burst };
    Some((
        digest,
        ApiKey { key_id: key.key_id, caller: principal.into(), expires, last_noted: Arc::default() },
    ))
}

// === impl Shared ===

impl Shared {
    fn lost(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(expires: Option<SystemTime>) -> ApiKeys {
        let keys = ApiKeys::new(&"http://127.0.0.1:1".parse().unwrap());
        let principal =
            Principal { subject: "key:k-1".to_owned(), scope: Some(Scope::Read), ..Principal::default() };
        let (key_id, last_noted) = ("k-1".to_owned(), Arc::default());
        let known = ApiKey { key_id, caller: principal.into(), expires, last_noted };
        keys.take(HashMap::from([(Digest::of("dfk_known"), known)]));
        keys
    }

    #[test]
    fn a_use_is_noted_once_also_when_a_new_list_has_come() {
        let (one, other) = (keys(None), keys(None));
        assert_eq!(one.uses().take(10), []);
        for _ in 0..3 {
            one.caller("dfk_known").unwrap();
        }
        assert!(one.caller("dfk_other").is_err());
        let noted = one.uses().take(10);
        assert_eq!(noted.iter().map(|(key_id, _)| key_id.as_str()).collect::<Vec<_>>(), ["k-1"]);
        let list = Arc::into_inner(other.0.keys.swap(None).unwrap()).unwrap();
        one.take(list);
        one.caller("dfk_known").unwrap();
        assert_eq!(one.uses().take(10), []);
        let expired = keys(Some(SystemTime::UNIX_EPOCH));
        assert!(expired.caller("dfk_known").is_err());
        assert_eq!(expired.uses().take(10), [], "it was not used");
    }

    #[test]
    fn a_key_counts_until_it_expires() {
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        for (expires, is_valid) in [(None, true), (Some(now + hour), true), (Some(now - hour), false)] {
            let found = keys(expires).caller("dfk_known").map(|caller| caller.subject.clone());
            assert_eq!(found.ok().as_deref(), is_valid.then_some("key:k-1"), "{expires:?}");
        }
        assert_eq!(keys(None).caller("dfk_other"), Err(AuthError::KeyUnknown));
        let none = ApiKeys::new(&"http://127.0.0.1:1".parse().unwrap());
        assert_eq!(none.caller("dfk_known"), Err(AuthError::ApiKeysUnavailable));
    }

    #[tokio::test(start_paused = true)]
    async fn known_keys_count_for_a_while_without_the_config_service() {
        let keys = keys(None);
        *keys.0.lost() = Some(Instant::now());
        tokio::time::advance(GRACE - Duration::from_millis(1)).await;
        assert!(keys.caller("dfk_known").is_ok());
        assert_eq!(keys.caller("dfk_other"), Err(AuthError::ApiKeysUnavailable));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(keys.caller("dfk_known"), Err(AuthError::ApiKeysUnavailable));
    }

    #[test]
    fn a_key_that_cannot_be_read_grants_nothing() {
        let key = |scope: i32, digest: &[u8]| {
            read(pb::WatchedKey { scope, digest: digest.to_vec().into(), ..Default::default() }).is_some()
        };
        assert!(key(1, &[7; 32]) && key(3, &[7; 32]));
        let rate = |rate: &str, burst: i32| {
            let (digest, rate_limit) = (vec![7; 32].into(), rate.to_owned());
            let read = read(pb::WatchedKey {
                scope: 1,
                digest,
                rate_limit,
                rate_burst: burst,
                ..Default::default()
            });
            read.map(|(_, key)| (key.caller.rate.map(|rate| rate.to_string()), key.caller.burst))
        };
        assert_eq!(rate("", 0), Some((None, None)));
        assert_eq!(rate("50/m", 7), Some((Some("50/m".to_owned()), Some(7))));
        assert_eq!((rate("50/day", 0), rate("50/m", -1)), (None, None), "in a later form");
        assert!(!key(0, &[7; 32]) && !key(4, &[7; 32]) && !key(9, &[7; 32]) && !key(1, &[7; 31]));
    }
}
