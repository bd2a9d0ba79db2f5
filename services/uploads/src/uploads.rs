//! The uploads of a process: their permits, the parsers' seats, the memory of their results, and the limits of documents.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow_mesh::inbound::{Claimant, SharePermit, Shares};
use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::panics;
use dataflow_mesh::process_status::ProcessStatus;
use dataflow_sdmx::Limits;
use dataflow_settings::Live;
use futures_util::Stream;
use tokio::sync::Semaphore;

use crate::Error;
use crate::args::{DocumentArgs, UploadArgs};
use crate::budget::{Canceled, ResultMemory};
use crate::document::{self, DocumentReader, Part};
use crate::metrics::Permits;
use crate::parts::{at_most, in_time, send_all};
use crate::seat::Seat;

/// See the module. Cheap to clone: clones share everything.
#[derive(Debug, Clone)]
pub struct Uploads {
    documents: Live<DocumentArgs>,
    /// Idle timeout of an upload: the longest wait for the next piece of a document.
    idle_timeout: Duration,
    /// One permit per upload, acquired when the document has begun to arrive: a client that sends nothing has none.
    permits: Shares,
    max: u32,
    refused: Arc<AtomicU64>,
    /// One permit per parser thread.
    parsers: Arc<Semaphore>,
    max_parsers: usize,
    /// The memory of all results.
    memory: MemoryShares,
}

// === impl Uploads ===

impl Uploads {
    /// Uploads with these limits: so many `parsers` at once, and results that share `memory`.
    pub fn new(
        args: &UploadArgs,
        documents: Live<DocumentArgs>,
        parsers: usize,
        memory: MemoryShares,
    ) -> Self {
        Self {
            documents,
            idle_timeout: args.upload_idle_timeout,
            permits: Shares::default(),
            max: u32::try_from(args.max_uploads.get()).unwrap_or(u32::MAX),
            refused: Arc::default(),
            parsers: Arc::new(Semaphore::new(parsers)),
            max_parsers: parsers,
            memory,
        }
    }

    /// Registers the metrics of the permits, and shows them in the status.
    pub fn register(&self, metrics: &Metrics, status: &ProcessStatus) {
        let permits = Permits {
            uploads: (self.permits.clone(), self.max),
            parsers: (Arc::clone(&self.parsers), self.max_parsers),
            refused_uploads: Arc::clone(&self.refused),
            results: self.memory.clone(),
        };
        let shown = permits.clone();
        status.add_quotas(move || shown.quotas());
        metrics.collect(permits);
    }

    /// The limits of documents now.
    pub fn limits(&self) -> Limits {
        self.documents.load().limits()
    }

    /// The memory of a result that has nothing yet.
    pub fn result_memory(&self, tenant: &Arc<str>) -> ResultMemory {
        ResultMemory::of(&self.memory.of(tenant))
    }

    /// Acquires an upload permit, when the document is complete or its beginning has arrived. Rejects at once if there
    /// is none for this caller: a waiting call would keep the caller's bytes in memory.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyUploads`].
    pub fn acquire(&self, claimant: Claimant) -> Result<SharePermit, Error> {
        self.permits.try_acquire(self.max, claimant).ok_or_else(|| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            Error::TooManyUploads { limit: self.max }
        })
    }

    /// The parts of a call, which fail if the next one takes too long, or if there are too many documents.
    pub fn received<'a>(
        &self,
        parts: impl Stream<Item = Result<Part, Error>> + 'a,
    ) -> impl Stream<Item = Result<Part, Error>> + 'a {
        at_most(self.documents.load().max_documents.get(), in_time(self.idle_timeout, parts))
    }

    /// A seat, as soon as there is one.
    pub async fn seat(&self) -> Seat {
        Seat::take(&self.parsers).await
    }

    /// Sends `parts` to `parse` on a blocking thread. The thread keeps its seat when the call is canceled, until it has
    /// stopped; while it waits for the client, another one has it.
    ///
    /// # Errors
    ///
    /// If the upload is interrupted, and those of `parse`.
    pub async fn parse<T: Send + 'static, E: From<Error> + Send + 'static>(
        &self,
        seat: Seat,
        parts: impl Stream<Item = Result<Part, Error>>,
        parse: impl FnOnce(DocumentReader, Canceled) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let canceled = Canceled::default();
        let _guard = canceled.on_drop();
        let (sender, reader) = document::channel(canceled.clone(), seat);
        let parser = panics::spawn_blocking(move || parse(reader, canceled));
        // An interrupted upload is reported first: it is the cause of the truncated document that the parser reports.
        send_all(sender, parts).await?;
        parser.await
    }
}
