//! The snapshots of tenants in the store.
//!
//! All snapshots of a tenant are one collection, whose items are named `PROVIDER/SNAPSHOT`. A change is decided by all of
//! them (what is kept, and whether there is room) and made only if they are still those, else decided again.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::collections::{Applied, Change, Collection, ContentId};
use dataflow_store::key::{Key, Space};

use crate::Error;
use crate::args::CatalogueArgs;
use crate::metrics::SnapshotMetrics;
use crate::retention::{Kept, Limits, is_suspicious};
use crate::stored::Unreadable;
use crate::stored::packing::PackedCatalogue;
use crate::stored::record::{Receipt, Record, snapshot_id};

/// The space of snapshots.
const SPACE: Space = Space::durable("catalogue");

/// How often a change is decided again because others have changed the snapshots.
const ATTEMPTS: usize = 64;

/// The name of the last received snapshot.
pub const LATEST: &str = "latest";

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshots {
    store: Arc<dyn Store>,
    limits: Limits,
    metrics: SnapshotMetrics,
}

/// All snapshots of a tenant, without those that are no longer kept.
struct Tenant {
    key: Key,
    version: u64,
    kept: Vec<Kept>,
    /// Those that the next change removes.
    expired: Vec<Kept>,
}

// === impl Snapshots ===

impl Snapshots {
    /// Snapshots in this store, with these limits.
    pub fn new(store: Arc<dyn Store>, args: &CatalogueArgs, metrics: SnapshotMetrics) -> Self {
        Self { store, limits: args.into(), metrics }
    }

    /// Stores a catalogue with a receipt. Returns its record, and whether its content is new.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotsFull`], [`Error::SnapshotsContended`], and those of the store.
    pub async fn create(
        &self,
        tenant: &str,
        provider: &str,
        packed: &PackedCatalogue,
        receipt: Receipt,
    ) -> Result<(Record, bool), Error> {
        let mut staged = None;
        for _ in 0..ATTEMPTS {
            let Tenant { key, version, kept, expired } = self.tenant(tenant).await?;
            let own = kept.iter().filter(|kept| kept.provider == provider);
            let before = own.max_by_key(|kept| kept.record.sequence).map(|kept| &kept.record);
            let suspicious =
                before.is_some_and(|before| is_suspicious(packed.counts.dataflows, before.counts.dataflows));
            let receipt = Receipt { suspicious, ..receipt.clone() };
            let known = kept.iter().find(|kept| kept.provider == provider && kept.record.hash == packed.hash);
            let is_new = known.is_none();
            let mut record = match known {
                Some(known) => {
                    let mut record = known.record.clone();
                    record.receive(receipt);
                    record
                }
                None => {
                    self.limits.check(&kept, packed.stored_bytes())?;
                    let content = match staged {
                        Some(content) => content,
                        None => *staged.insert(self.stage(&key, packed).await?),
                    };
                    new_record(packed, content, receipt)
                }
            };
            record.sequence = version + 1;
            let (kept_now, surplus) = self.surplus(&kept, provider, &record);
            let mut changes = removals(expired.iter().chain(&surplus));
            debug_assert!(kept_now > 0, "the new snapshot is kept");
            let (item, encoded) = (item(provider, &record.snapshot_id()), record.encode());
            changes.push(Change::Put { item, record: encoded });
            match staged {
                Some(content) if is_new => changes.push(Change::Keep { content, chunks: record.chunks }),
                // Another replica has stored the same content meanwhile.
                Some(content) => changes.push(Change::Drop { content }),
                None => {}
            }
            match self.store.apply(&key, version, changes).await? {
                Applied::At(_) => {
                    self.metrics.stored(is_new, suspicious, record.stored_bytes);
                    self.metrics.removed("retention", expired.len() + surplus.len());
                    return Ok((record, is_new));
                }
                Applied::Behind { .. } => {}
                Applied::Incomplete => staged = None,
            }
        }
        if let Some(content) = staged {
            // Otherwise it expires.
            self.drop_staged(tenant, content).await;
        }
        Err(Error::SnapshotsContended)
    }

    /// The snapshots of a provider, the last received first.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn list(&self, tenant: &str, provider: &str) -> Result<Vec<Record>, Error> {
        let kept = self.tenant(tenant).await?.kept.into_iter();
        let own = kept.filter(|kept| kept.provider == provider).map(|kept| kept.record);
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        Ok(own)
    }

    /// A snapshot of a provider; [`LATEST`] is the last received one.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotNotFound`], and those of the store.
    pub async fn get(&self, tenant: &str, provider: &str, snapshot: &str) -> Result<Record, Error> {
        find(self.list(tenant, provider).await?, provider, snapshot)
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotNotFound`], [`Error::SnapshotsContended`], and those of the store.
    pub async fn delete(&self, tenant: &str, provider: &str, snapshot: &str) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let Tenant { key, version, kept, expired } = self.tenant(tenant).await?;
            let is_it = |kept: &&Kept| kept.provider == provider && kept.record.snapshot_id() == snapshot;
            let found = kept.iter().find(is_it).ok_or_else(|| not_found(provider, snapshot))?;
            let changes = removals(expired.iter().chain([found]));
            if let Applied::At(_) = self.store.apply(&key, version, changes).await? {
                self.metrics.removed("deleted", 1);
                self.metrics.removed("retention", expired.len());
                return Ok(());
            }
        }
        Err(Error::SnapshotsContended)
    }

    /// The chunks of a snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotNotFound`] if it was removed meanwhile, [`Error::SnapshotUnreadable`] if a chunk is gone without
    /// that, and those of the store.
    pub async fn chunks(&self, tenant: &str, provider: &str, record: &Record) -> Result<Vec<Bytes>, Error> {
        let key = key(tenant);
        let mut chunks = Vec::new();
        for index in 0..record.chunks {
            let Some(chunk) = self.store.chunk(&key, record.content, index).await? else {
                let snapshot = record.snapshot_id();
                self.get(tenant, provider, &snapshot).await?;
                let problem = Unreadable::ChunkMissing { index };
                return Err(Error::SnapshotUnreadable { snapshot, problem });
            };
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    async fn tenant(&self, tenant: &str) -> Result<Tenant, Error> {
        let key = key(tenant);
        let Collection { version, items } = self.store.collection(&key).await?;
        let read = |(item, record): (String, Bytes)| {
            let unreadable = |problem| Error::SnapshotUnreadable { snapshot: item.clone(), problem };
            let record = Record::decode(record).map_err(unreadable)?;
            let (provider, _) = item
                .split_once('/')
                .ok_or_else(|| unreadable(Unreadable::Malformed("an item without a provider".to_owned())))?;
            Ok(Kept { provider: provider.to_owned(), record })
        };
        let all = items.into_iter().map(read).collect::<Result<Vec<_>, Error>>()?;
        let (kept, expired) = self.limits.split(all, SystemTime::now());
        Ok(Tenant { key, version, kept, expired })
    }

    /// The number of snapshots that are kept beside a new or renewed one, and those that are not.
    fn surplus(&self, kept: &[Kept], provider: &str, record: &Record) -> (usize, Vec<Kept>) {
        let others = kept.iter().filter(|kept| kept.provider != provider || kept.record.hash != record.hash);
        let new = Kept { provider: provider.to_owned(), record: record.clone() };
        let (kept, surplus) = self.limits.split(others.cloned().chain([new]).collect(), SystemTime::now());
        (kept.len(), surplus)
    }

    async fn stage(&self, key: &Key, packed: &PackedCatalogue) -> Result<ContentId, Error> {
        let content = ContentId::random();
        for (index, chunk) in (0..).zip(&packed.chunks) {
            self.store.stage(key, content, index, chunk.clone()).await?;
        }
        Ok(content)
    }

    async fn drop_staged(&self, tenant: &str, content: ContentId) {
        let key = key(tenant);
        if let Ok(Collection { version, .. }) = self.store.collection(&key).await {
            let dropped = self.store.apply(&key, version, vec![Change::Drop { content }]).await;
            if let Err(error) = dropped {
                tracing::debug!(%error, "snapshots: a content that is not kept expires later");
            }
        }
    }
}

/// The snapshot with this identifier, of those of a provider, the last received first.
///
/// # Errors
///
/// [`Error::SnapshotNotFound`].
pub fn find(records: Vec<Record>, provider: &str, snapshot: &str) -> Result<Record, Error> {
    let mut records = records.into_iter();
    let found = match snapshot {
        LATEST => records.next(),
        id => records.find(|record| record.snapshot_id() == id),
    };
    found.ok_or_else(|| not_found(provider, snapshot))
}

fn new_record(packed: &PackedCatalogue, content: ContentId, receipt: Receipt) -> Record {
    Record {
        hash: packed.hash,
        counts: packed.counts,
        content,
        chunks: u32::try_from(packed.chunks.len()).unwrap_or(u32::MAX),
        stored_bytes: packed.stored_bytes(),
        content_bytes: packed.content_bytes,
        sequence: 0,
        receipts: vec![receipt],
        receipts_omitted: 0,
    }
}

/// The changes that remove snapshots.
fn removals<'a>(snapshots: impl Iterator<Item = &'a Kept>) -> Vec<Change> {
    let removal = |Kept { provider, record }: &Kept| {
        let item = item(provider, &snapshot_id(&record.hash));
        [Change::Remove { item }, Change::Drop { content: record.content }]
    };
    snapshots.flat_map(removal).collect()
}

fn not_found(provider: &str, snapshot: &str) -> Error {
    Error::SnapshotNotFound { provider: provider.to_owned(), snapshot: snapshot.to_owned() }
}

fn item(provider: &str, snapshot: &str) -> String {
    format!("{provider}/{snapshot}")
}

/// The collection of a tenant. Names have no white space, so that other bytes are written as hexadecimal digits.
fn key(tenant: &str) -> Key {
    let escaped = tenant.bytes().fold(String::new(), |mut name, byte| {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => name.push(byte.into()),
            other => name.push_str(&format!("%{other:02x}")),
        }
        name
    });
    SPACE.key(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_have_different_collections() {
        let names = ["", "acme", "ac me", "ac%20me", "ac/me", "à"].map(|tenant| key(tenant).name);
        assert_eq!(names, ["", "acme", "ac%20me", "ac%2520me", "ac%2fme", "%c3%a0"]);
    }
}
