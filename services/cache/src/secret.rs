//! The secret of the store, with which the names of internal entries are authenticated (HMAC-SHA-256): a caller who
//! knows everything that a result depends on still cannot compute the key under which it is stored. The secret is
//! created once and shared by all replicas.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::{Key as StoreKey, Space};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::key::Key;

/// The store's space of the secret. Durable: with another secret, no internal entry is found.
const SECRETS: Space = Space::durable("secret");

/// The name of the secret.
const NAME: &str = "cache";

/// Length of the secret in bytes: that of the digest (RFC 2104, 3).
const LENGTH: usize = 32;

/// Age from which the secret is read again. A store that lost its data has another secret, and replicas that use
/// different ones do not find each other's entries.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Computes the store keys of entries. Cheap to clone; clones share the secret.
#[derive(Debug, Clone)]
pub(crate) struct StoreKeys {
    store: Arc<dyn Store>,
    current: Arc<ArcSwapOption<Secret>>,
    /// One caller reads the secret; the others wait, or use the previous one.
    reading: Arc<Mutex<()>>,
}

struct Secret {
    mac: Hmac<Sha256>,
    read: Instant,
}

// === impl StoreKeys ===

impl StoreKeys {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, current: Arc::default(), reading: Arc::default() }
    }

    /// The store key of an entry.
    ///
    /// # Errors
    ///
    /// Those of the store, if the entry is internal and the secret was never read.
    pub(crate) async fn of(&self, key: &Key) -> Result<StoreKey, dataflow_store::Error> {
        if !key.namespace().is_internal() {
            return Ok(key.store_key(key.name()));
        }
        let secret = self.secret().await?;
        // The tenant's name is escaped, so that the separator cannot occur in it.
        let text = format!("{}:{key}", key.namespace().tenant());
        let code = secret.mac.clone().chain_update(text).finalize().into_bytes();
        let name: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(key.store_key(&name))
    }

    async fn secret(&self) -> Result<Arc<Secret>, dataflow_store::Error> {
        let fresh = |secret: &Arc<Secret>| secret.read.elapsed() < MAX_AGE;
        let current = self.current.load_full();
        if let Some(secret) = current.as_ref().filter(|secret| fresh(secret)) {
            return Ok(Arc::clone(secret));
        }
        let _reading = match (self.reading.try_lock(), current) {
            (Ok(reading), _) => reading,
            (Err(_), Some(previous)) => return Ok(previous),
            (Err(_), None) => self.reading.lock().await,
        };
        let current = self.current.load_full();
        if let Some(secret) = current.as_ref().filter(|secret| fresh(secret)) {
            return Ok(Arc::clone(secret));
        }
        match self.read_or_create().await {
            Ok(bytes) => {
                let mac = Hmac::new_from_slice(&bytes).expect("HMAC takes keys of any length");
                let secret = Arc::new(Secret { mac, read: Instant::now() });
                self.current.store(Some(Arc::clone(&secret)));
                Ok(secret)
            }
            Err(error) => current.ok_or(error),
        }
    }

    /// The stored secret. Of several replicas that start on an empty store, one creates it.
    async fn read_or_create(&self) -> Result<Bytes, dataflow_store::Error> {
        let key = SECRETS.key(NAME);
        let mut bytes = [0; LENGTH];
        // Once more if another replica has created it in between.
        for _ in 0..2 {
            let stored = self.store.get(std::slice::from_ref(&key)).await?.into_iter().next().flatten();
            if let Some(stored) = stored {
                return Ok(stored.value);
            }
            getrandom::fill(&mut bytes).expect("the operating system provides random numbers");
            let created = Bytes::copy_from_slice(&bytes);
            if let Outcome::Done(_) = self.store.set(&key, created.clone(), None, Condition::Absent).await? {
                return Ok(created);
            }
        }
        let stored = self.store.get(std::slice::from_ref(&key)).await?.into_iter().next().flatten();
        stored.map(|stored| stored.value).ok_or_else(|| dataflow_store::Error::Unreadable {
            key: key.to_string(),
            problem: "it is created and lost again".to_owned(),
        })
    }
}

// === impl Secret ===

/// Never the secret itself.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use dataflow_store::embedded::Embedded;

    use super::*;
    use crate::key::Caller;

    fn key(text: &str) -> Key {
        Caller { tenant: "acme".into(), internal: true }.key(text).unwrap()
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(Embedded::new(1 << 20))
    }

    #[tokio::test]
    async fn the_name_of_an_internal_entry_depends_on_the_secret_of_the_store() {
        let (one, other) = (store(), store());
        let (a, b, elsewhere) =
            (StoreKeys::new(Arc::clone(&one)), StoreKeys::new(one), StoreKeys::new(other));
        let internal = key("results/v1/x");
        let stored = a.of(&internal).await.unwrap();
        assert_eq!(b.of(&internal).await.unwrap(), stored, "replicas share the secret");
        assert_ne!(elsewhere.of(&internal).await.unwrap(), stored);
        assert!(stored.name.starts_with("acme:results/") && !stored.name.contains("v1"), "{stored}");
        assert_eq!(stored.name.len(), "acme:results/".len() + 64);
        assert_eq!(a.of(&key("user/x")).await.unwrap().name, "acme:user/x");
    }

    #[tokio::test(start_paused = true)]
    async fn the_secret_of_a_store_that_lost_its_data_is_read_within_a_minute() {
        let store = store();
        let keys = StoreKeys::new(Arc::clone(&store));
        let internal = key("results/x");
        let before = keys.of(&internal).await.unwrap();
        store.delete(&SECRETS.key(NAME), Condition::Always).await.unwrap();
        assert_eq!(keys.of(&internal).await.unwrap(), before);
        tokio::time::advance(MAX_AGE).await;
        assert_ne!(keys.of(&internal).await.unwrap(), before);
    }
}
