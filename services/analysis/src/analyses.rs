//! The operations of AnalysisService. AnalyzeCatalogue looks the document up in the cache, or parses it as it arrives
//! and stores the result.

mod metrics;
mod parts;
mod spool;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dataflow_mesh::inbound::{Claimant, SharePermit, Shares};
use dataflow_mesh::long_work;
use dataflow_mesh::memory_shares::MemoryShares;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::panics;
use dataflow_mesh::process_status::ProcessStatus;
use dataflow_mesh::telemetry::{Attribute, Stage};
use dataflow_proto::analysis::v1 as pb;
use dataflow_rules::Subject;
use dataflow_sdmx::Limits;
use dataflow_settings::Live;
use futures_util::{Stream, StreamExt, stream};
use prost::Message;
use tokio::sync::Semaphore;

use crate::Error;
use crate::args::{Args, DocumentArgs};
use crate::budget::{Budget, Canceled, ResultMemory};
use crate::catalogue::{self, Catalogue};
use crate::categorizer::Categorizer;
use crate::convert;
use crate::convert::evaluation::EvaluationRequest;
use crate::document::{self, Fingerprint, Part};
use crate::evaluation::{self, Evaluation};
use crate::mappings::Mapping;
use crate::options::Options;
use crate::results::{Inputs, Key, Lookup, Results};
use crate::rulesets::Ruleset;
use crate::seat::Seat;
use crate::selection::{Selected, SelectedThemes, Selection};

pub use metrics::LABELLED_PROVIDERS;
use metrics::{Analyzed, Permits};
use parts::{at_most, in_time, send_all};
use spool::{BEGUN, Spool};

/// What a dataflow of a result typically has, in bytes.
const DATAFLOW_BYTES: usize = 512;

/// Chunk size in which a buffered document is passed to the parser, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Analyzes catalogues and categorizes single dataflows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Analyses {
    rules: Selection,
    results: Results,
    documents: Live<DocumentArgs>,
    /// Bytes of a document that are buffered for a cache lookup before parsing starts.
    spool_bytes: usize,
    /// Maximum size of a result, in bytes of its message.
    max_result: usize,
    /// The memory of all results.
    memory: MemoryShares,
    /// Idle timeout of an upload: the longest wait for the next piece of a document.
    idle_timeout: Duration,
    /// One permit per upload, acquired when the document has begun to arrive: a client that sends nothing has none.
    uploads: Shares,
    max_uploads: u32,
    refused_uploads: Arc<AtomicU64>,
    /// One permit per parser thread.
    parsers: Arc<Semaphore>,
    max_parsers: usize,
    analyzed: Analyzed,
}

// === impl Analyses ===

impl Analyses {
    /// Creates the service with the limits of `args` and results of at most `max_result` bytes, whose `memory` all share;
    /// `documents` are the limits of a single document.
    pub fn new(
        args: &Args,
        max_result: usize,
        memory: MemoryShares,
        documents: Live<DocumentArgs>,
        rules: Selection,
        results: Results,
    ) -> Self {
        let max_uploads = u32::try_from(args.uploads.max_uploads.get()).unwrap_or(u32::MAX);
        Self {
            rules,
            results,
            documents,
            spool_bytes: usize::try_from(args.analysis.spool_bytes.as_u64()).unwrap_or(usize::MAX),
            max_result,
            memory,
            idle_timeout: args.uploads.upload_idle_timeout,
            uploads: Shares::default(),
            max_uploads,
            refused_uploads: Arc::default(),
            parsers: Arc::new(Semaphore::new(args.analysis.parsers())),
            max_parsers: args.analysis.parsers(),
            analyzed: Analyzed::default(),
        }
    }

    /// Registers the metrics of these analyses, and shows their permits in the status.
    pub fn register(&self, metrics: &Metrics, status: &ProcessStatus) {
        self.analyzed.register(metrics);
        let permits = Permits {
            uploads: (self.uploads.clone(), self.max_uploads),
            parsers: (Arc::clone(&self.parsers), self.max_parsers),
            refused_uploads: Arc::clone(&self.refused_uploads),
            results: self.memory.clone(),
        };
        let shown = permits.clone();
        status.add_quotas(move || shown.quotas());
        metrics.collect(permits);
    }

    /// Acquires an upload permit, when the document is complete or its beginning has arrived. Rejects at once if there
    /// is none for this caller: a waiting call would keep the caller's bytes in memory.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyUploads`].
    pub fn acquire_upload(&self, claimant: Claimant) -> Result<SharePermit, Error> {
        self.uploads.try_acquire(self.max_uploads, claimant).ok_or_else(|| {
            self.refused_uploads.fetch_add(1, Ordering::Relaxed);
            Error::TooManyUploads { limit: self.max_uploads }
        })
    }

    /// Analyzes one catalogue, with the themes in further documents.
    ///
    /// # Errors
    ///
    /// If the rule set cannot be used, a document cannot be parsed, or the upload is interrupted.
    pub async fn analyze(
        &self,
        options: Options,
        parts: impl Stream<Item = Result<Part, Error>>,
    ) -> Result<(pb::Analysis, ResultMemory), Error> {
        let memory = self.result_memory(&options.claimant.tenant);
        let rules = self.rules.select(&options.claimant.tenant, &options.ruleset).await?;
        let ruleset = &rules.ruleset;
        ruleset.compiled()?;
        let themes = self.rules.select_themes(&options.claimant.tenant).await;
        let mapping = &themes.mapping;
        let (limits, most) = {
            let documents = self.documents.load();
            (documents.limits(), documents.max_documents.get())
        };
        // Fused, because the stream is polled again after its end if the spool contains the whole documents.
        let mut parts = std::pin::pin!(at_most(most, in_time(self.idle_timeout, parts)).fuse());
        let key = |documents| {
            let (provider, tenant) = (options.provider.as_str(), &*options.claimant.tenant);
            Key::of(Inputs { documents, ruleset, mapping, limits: &limits, provider, tenant })
        };

        let mut spool = Spool::default();
        spool.fill(&mut parts, BEGUN.min(self.spool_bytes)).await?;
        let _permit = self.acquire_upload(options.claimant.clone())?;
        Stage::begin("receive").scope(spool.fill(&mut parts, self.spool_bytes)).await?;
        let buffered = spool.parts.clone();
        let documents = match options.digest {
            // The documents are complete: computing the digest is cheap, so an announced one is verified.
            _ if spool.whole => {
                let fingerprint = panics::spawn_blocking(move || document::fingerprint(&buffered)).await;
                options.verify(fingerprint)?;
                fingerprint
            }
            Some(digest) => digest,
            None => {
                let (catalogue, documents, memory) =
                    self.parse((ruleset, mapping), &limits, memory, spool.parts, parts).await?;
                let bytes = catalogue.dataflows.len() * DATAFLOW_BYTES;
                let key = key(documents);
                let convert = || convert::analysis(catalogue, &key, (ruleset, mapping), &options);
                let analysis = long_work::run(bytes, convert).await;
                return self.finish(analysis, memory, (&rules, &themes), true);
            }
        };

        let key = key(documents);
        let lookup = self.results.get(&key).await;
        if let Lookup::Hit(analysis) = lookup {
            if !spool.whole {
                options.verify(document::fingerprint_of(spool.parts, parts).await?)?;
            }
            return self.finish(pb::Analysis { cached: true, ..*analysis }, memory, (&rules, &themes), true);
        }
        let (catalogue, found, memory) =
            self.parse((ruleset, mapping), &limits, memory, spool.parts, parts).await?;
        options.verify(found)?;
        let bytes = catalogue.dataflows.len() * DATAFLOW_BYTES;
        let convert = || convert::analysis(catalogue, &key, (ruleset, mapping), &options);
        let analysis = long_work::run(bytes, convert).await;
        let cache_available = match lookup {
            Lookup::Miss(lease) => lease.write(&analysis).await,
            Lookup::Busy | Lookup::Hit(_) => true,
            Lookup::Unavailable => false,
        };
        self.finish(analysis, memory, (&rules, &themes), cache_available)
    }

    /// Categorizes one dataflow outside of any catalogue.
    ///
    /// # Errors
    ///
    /// If the rule set cannot be used.
    pub async fn categorize(
        &self,
        tenant: &str,
        ruleset: &str,
        subject: &Subject<'_>,
    ) -> Result<(Selected, catalogue::Filing), Error> {
        let rules = self.rules.select(tenant, ruleset).await?;
        let (filing, _) = Categorizer::new(rules.ruleset.compiled()?).file(subject);
        Ok((rules, filing))
    }

    /// Evaluates how proposed rules would change the result for a catalogue.
    ///
    /// # Errors
    ///
    /// If the rule set cannot be used, the proposal does not compile, or the document cannot be parsed.
    pub(crate) async fn evaluate(
        &self,
        tenant: &Arc<str>,
        request: EvaluationRequest,
    ) -> Result<(Selected, Evaluation, ResultMemory), Error> {
        let EvaluationRequest { ruleset, proposal, between_categories, document } = request;
        let selected = self.rules.select(tenant, &ruleset).await?;
        let seat = Seat::take(&self.parsers).await;
        let (limits, rules) = (self.documents.load().limits(), Arc::clone(&selected.ruleset));
        // In pieces, although the document is complete: the parser notices before each that the call was canceled.
        let canceled = Canceled::default();
        let _guard = canceled.on_drop();
        let (sender, reader) = document::channel(canceled.clone(), seat);
        let mut budget = Budget::new(self.max_result, canceled).sharing(self.result_memory(tenant));
        let parser = panics::spawn_blocking(move || {
            let before = rules.compiled()?;
            let after = proposal.compile(rules.rules()?.clone())?;
            let evaluation =
                evaluation::evaluate(reader, before, &after, between_categories, limits, &mut budget)?;
            Ok::<_, Error>((evaluation, budget.into_memory()))
        });
        let pieces = (0..document.len()).step_by(CHUNK_BYTES).map(|at| {
            let end = document.len().min(at + CHUNK_BYTES);
            Ok(Part::Bytes(document.slice(at..end)))
        });
        send_all(sender, stream::iter(pieces)).await?;
        let (evaluation, memory) = parser.await?;
        Ok((selected, evaluation, memory))
    }

    /// Rejects a response of this size if it is above the message limit.
    ///
    /// # Errors
    ///
    /// [`Error::ResultTooLarge`].
    pub fn check_size(&self, size: usize) -> Result<(), Error> {
        if size > self.max_result {
            return Err(Error::ResultTooLarge { limit: self.max_result });
        }
        Ok(())
    }

    /// The dependencies that this response lacked. One without a catalogue uses no themes.
    pub fn degraded(
        &self,
        rules: &Selected,
        themes: Option<&SelectedThemes>,
        cache_available: bool,
    ) -> Vec<i32> {
        let missing = [
            (!cache_available, pb::analysis::Degradation::CacheUnavailable),
            (self.rules.is_built_in(), pb::analysis::Degradation::BuiltInRules),
            (rules.lacks_overlay, pb::analysis::Degradation::SharedRules),
            (themes.is_some() && self.rules.has_built_in_themes(), pb::analysis::Degradation::BuiltInThemes),
            (themes.is_some_and(|themes| themes.lacks_overlay), pb::analysis::Degradation::SharedThemes),
        ];
        missing.into_iter().filter(|(missing, _)| *missing).map(|(_, what)| what.into()).collect()
    }

    /// Parses the buffered and the remaining parts on a blocking thread. The thread keeps its seat when the call is
    /// canceled, until it has stopped; while it waits for the client, another one has it.
    async fn parse(
        &self,
        (ruleset, mapping): (&Arc<Ruleset>, &Arc<Mapping>),
        limits: &Limits,
        memory: ResultMemory,
        buffered: Vec<Part>,
        rest: impl Stream<Item = Result<Part, Error>>,
    ) -> Result<(Catalogue, Fingerprint, ResultMemory), Error> {
        let waiting = Stage::begin("wait for a parser");
        let seat = waiting.scope(Seat::take(&self.parsers)).await;
        drop(waiting);
        let parsing = Stage::begin("parse and categorize");
        let canceled = Canceled::default();
        let _guard = canceled.on_drop();
        let (sender, reader) = document::channel(canceled.clone(), seat);
        let mut budget = Budget::new(self.max_result, canceled).sharing(memory);
        let (limits, rules, mapping) = (limits.clone(), Arc::clone(ruleset), Arc::clone(mapping));
        let parser = panics::spawn_blocking(move || {
            let mut reader = document::FingerprintReader::new(reader);
            let rules = rules.compiled()?;
            let mapping = mapping.compiled();
            let catalogue = catalogue::analyze_all(&mut reader, rules, mapping, limits, &mut budget)?;
            Ok::<_, Error>((catalogue, reader.fingerprint(), budget.into_memory()))
        });
        // An interrupted upload is reported first: it is the cause of the truncated document that the parser reports.
        let sent = send_all(sender, stream::iter(buffered.into_iter().map(Ok)).chain(rest));
        parsing.scope(sent).await?;
        let (catalogue, fingerprint, memory) = parsing.scope(parser).await?;
        parsing.set("dataflows", Attribute::Number(catalogue.dataflows.len() as i64));
        Ok((catalogue, fingerprint, memory))
    }

    fn finish(
        &self,
        mut analysis: pb::Analysis,
        mut memory: ResultMemory,
        (rules, themes): (&Selected, &SelectedThemes),
        cache_available: bool,
    ) -> Result<(pb::Analysis, ResultMemory), Error> {
        analysis.degraded = self.degraded(rules, Some(themes), cache_available);
        let size = analysis.encoded_len();
        self.check_size(size)?;
        memory.take_up_to(size as u64)?;
        self.analyzed.count(&analysis);
        Ok((analysis, memory))
    }

    fn result_memory(&self, tenant: &Arc<str>) -> ResultMemory {
        ResultMemory::of(&self.memory.of(tenant))
    }
}
