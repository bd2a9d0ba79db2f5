//! The operations of CatalogueService.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_mesh::inbound::Claimant;
use dataflow_mesh::panics;
use dataflow_sdmx::Timestamp;
use dataflow_uploads::budget::{Budget, ResultMemory};
use dataflow_uploads::document::{Fingerprint, FingerprintReader, Part, Received};
use dataflow_uploads::{Error as UploadError, Uploads};
use futures_util::{Stream, StreamExt, stream};

use crate::Error;
use crate::categories::Categories;
use crate::diff::{self, Diff, Side};
use crate::metrics::SnapshotMetrics;
use crate::reading::{self, ReadCatalogue};
use crate::registry::{Provider, Registry};
use crate::snapshots::{LATEST, Snapshots, find};
use crate::stored::Unreadable;
use crate::stored::packed::{self, Packed};
use crate::stored::record::{Document, Receipt, Record};

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogues {
    uploads: Uploads,
    snapshots: Snapshots,
    registry: Registry,
    categories: Arc<dyn Categories>,
    metrics: SnapshotMetrics,
}

/// Who uploads a catalogue, and of which provider.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Whose upload it is, with the tenant.
    pub claimant: Claimant,
    /// The provider's identifier.
    pub provider: String,
    /// The request.
    pub request_id: String,
    /// The digest that the caller announced for the documents.
    pub digest: Option<Fingerprint>,
}

/// A difference, and what was compared.
#[derive(Debug)]
pub struct Compared {
    /// The earlier snapshot.
    pub base: Record,
    /// The later one.
    pub head: Record,
    /// The difference.
    pub diff: Diff,
    /// The memory of it.
    pub memory: ResultMemory,
}

/// A snapshot, and the hash of what is in the store.
#[derive(Debug)]
pub struct Verified {
    /// The snapshot.
    pub record: Record,
    /// `None` if its content cannot be read.
    pub found: Option<[u8; 32]>,
}

/// The most agencies that an error lists.
const LISTED: usize = 3;

/// The bytes of an upload at which it has begun, as in analysis: one less than the flow-control window of a stream, at
/// which a call gets its permit.
const BEGUN: usize = 64 * 1024 - 1;

// === impl Catalogues ===

impl Catalogues {
    /// Catalogues that are received by `uploads`.
    pub fn new(
        uploads: Uploads,
        snapshots: Snapshots,
        registry: Registry,
        categories: Arc<dyn Categories>,
        metrics: SnapshotMetrics,
    ) -> Self {
        Self { uploads, snapshots, registry, categories, metrics }
    }

    /// The snapshots.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Stores a catalogue. `sources` are the names of the documents once all have been received. Returns the record, and
    /// whether the content is new.
    ///
    /// # Errors
    ///
    /// If the catalogue cannot be received, is of another provider, or cannot be stored.
    pub async fn create(
        &self,
        upload: Upload,
        parts: impl Stream<Item = Result<Part, UploadError>>,
        sources: impl FnOnce() -> Vec<String>,
    ) -> Result<(Record, bool), Error> {
        let stored = self.receive(upload, parts, sources).await;
        if matches!(stored, Err(Error::ProviderMismatch { .. } | Error::SnapshotsFull { .. })) {
            self.metrics.refused();
        }
        stored
    }

    async fn receive(
        &self,
        upload: Upload,
        parts: impl Stream<Item = Result<Part, UploadError>>,
        sources: impl FnOnce() -> Vec<String>,
    ) -> Result<(Record, bool), Error> {
        let Upload { claimant, provider, request_id, digest } = upload;
        let tenant = claimant.tenant.clone();
        let provider = self.registry.provider(&provider).await?;
        let memory = self.uploads.result_memory(&tenant);
        let mut parts = std::pin::pin!(self.uploads.received(parts).fuse());
        let (mut begun, mut size) = (Vec::new(), 0);
        while size <= BEGUN
            && let Some(part) = parts.next().await.transpose()?
        {
            size += if let Part::Bytes(bytes) = &part { bytes.len() } else { 0 };
            begun.push(part);
        }
        let _permit = self.uploads.acquire(claimant)?;
        let seat = self.uploads.seat().await;
        let limits = self.uploads.limits();
        let parse = move |reader, canceled| {
            let mut budget = Budget::new(usize::MAX, canceled).sharing(memory);
            let mut reader = FingerprintReader::new(reader);
            let catalogue = reading::read(&mut reader, &limits, &mut budget)?;
            let (documents, found) = reader.into_documents();
            if digest.is_some_and(|digest| digest != found) {
                return Err(UploadError::DigestMismatch { found }.into());
            }
            Ok::<_, Error>((catalogue, documents, budget.into_memory()))
        };
        let parts = stream::iter(begun.into_iter().map(Ok)).chain(parts);
        let (catalogue, documents, _memory) = self.uploads.parse(seat, parts, parse).await?;
        check_provider(&provider, &catalogue)?;
        let receipt = receipt(&provider, request_id, catalogue.warnings, documents, sources());
        self.snapshots.create(&tenant, &provider.id, &catalogue.packed, receipt).await
    }

    /// Computes the hash of what is in the store.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotNotFound`], and those of the store.
    pub async fn verify(&self, tenant: &Arc<str>, provider: &str, snapshot: &str) -> Result<Verified, Error> {
        let record = self.snapshots.get(tenant, provider, snapshot).await?;
        let mut memory = self.uploads.result_memory(tenant);
        memory.take_up_to(record.content_bytes.saturating_add(record.stored_bytes))?;
        let chunks = match self.snapshots.chunks(tenant, provider, &record).await {
            Err(Error::SnapshotUnreadable { .. }) => return Ok(Verified { record, found: None }),
            chunks => chunks?,
        };
        let _seat = self.uploads.seat().await;
        let bytes = record.content_bytes;
        let work = move || packed::decompress(&chunks, bytes).ok().map(|content| packed::hash(&content));
        Ok(Verified { found: panics::spawn_blocking(work).await, record })
    }

    /// Compares two snapshots of a provider. An empty `head` is the last one, an empty `base` the one received before
    /// `head`.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotNotFound`], [`Error::BaseMissing`], and those of the store.
    pub async fn diff(
        &self,
        tenant: &Arc<str>,
        provider: &str,
        (base, head): (&str, &str),
    ) -> Result<Compared, Error> {
        let all = self.snapshots.list(tenant, provider).await?;
        let head = if head.is_empty() { LATEST } else { head };
        let head = find(all.clone(), provider, head)?;
        let base = match base {
            "" => {
                let missing =
                    || Error::BaseMissing { provider: provider.to_owned(), head: head.snapshot_id() };
                let earlier = all.into_iter().find(|record| record.sequence < head.sequence);
                earlier.ok_or_else(missing)?
            }
            base => find(all, provider, base)?,
        };
        let mut memory = self.uploads.result_memory(tenant);
        // The contents, and while one is decompressed its chunks; the difference has less than one content.
        let bytes = [&base, &head].map(|record| record.content_bytes.saturating_add(record.stored_bytes));
        memory.take_up_to(bytes[0].saturating_add(bytes[1]))?;
        let before = self.content(tenant, provider, &base).await?;
        let after = self.content(tenant, provider, &head).await?;
        let (of_base, of_head) = match base.hash == head.hash {
            true => (None, None),
            false => {
                let before = self.categories.of(tenant, base.hash, Arc::clone(&before)).await;
                (before, self.categories.of(tenant, head.hash, Arc::clone(&after)).await)
            }
        };
        let _seat = self.uploads.seat().await;
        let snapshot = head.snapshot_id();
        let compare = move || {
            let [of_base, of_head] = [&of_base, &of_head].map(|categories| categories.as_deref());
            let base = Side { content: &before, categories: of_base };
            diff::compare(base, Side { content: &after, categories: of_head }, now())
        };
        let diff = panics::spawn_blocking(compare).await;
        let diff = diff.map_err(|problem| Error::SnapshotUnreadable { snapshot, problem })?;
        self.metrics.compared();
        Ok(Compared { base, head, diff, memory })
    }

    /// The content of a snapshot.
    async fn content(&self, tenant: &str, provider: &str, record: &Record) -> Result<Arc<Packed>, Error> {
        let chunks = self.snapshots.chunks(tenant, provider, record).await?;
        let _seat = self.uploads.seat().await;
        let (bytes, snapshot) = (record.content_bytes, record.snapshot_id());
        let read = move || Packed::read(packed::decompress(&chunks, bytes)?);
        let read: Result<_, Unreadable> = panics::spawn_blocking(read).await;
        read.map(Arc::new).map_err(|problem| Error::SnapshotUnreadable { snapshot, problem })
    }
}

/// Checks that a catalogue is of a provider: some of its dataflows have its agency, or it has none.
fn check_provider(provider: &Provider, catalogue: &ReadCatalogue) -> Result<(), Error> {
    let agencies = &catalogue.agencies;
    if agencies.is_empty() || agencies.keys().any(|agency| provider.is_of(agency)) {
        return Ok(());
    }
    let mut found: Vec<_> = agencies.iter().collect();
    found.sort_by(|(one, of_one), (other, of_other)| of_other.cmp(of_one).then(one.cmp(other)));
    let names = found.iter().take(LISTED).map(|(agency, _)| match agency.as_str() {
        "" => "none",
        agency => agency,
    });
    let mut names = names.collect::<Vec<_>>().join(", ");
    if found.len() > LISTED {
        names.push_str(&format!(" and {} more", found.len() - LISTED));
    }
    let (provider, agency) = (provider.id.clone(), provider.agency.clone());
    Err(Error::ProviderMismatch { provider, agency, found: names })
}

fn receipt(
    provider: &Provider,
    request_id: String,
    warnings: u32,
    documents: Vec<Received>,
    sources: Vec<String>,
) -> Receipt {
    let sources = sources.into_iter().chain(std::iter::repeat(String::new()));
    let documents = documents.into_iter().zip(sources);
    let document = |(Received { bytes, sha256 }, source)| Document { source, bytes, sha256 };
    Receipt {
        time: to_milliseconds(SystemTime::now()),
        request_id,
        documents: documents.map(document).collect(),
        warnings,
        suspicious: false,
        terms: provider.terms.clone(),
    }
}

/// A time as it is stored.
fn to_milliseconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The present time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { seconds, nanos: since.subsec_nanos() }
}
