//! The operations of AnalysisService. AnalyzeCatalogue looks the document up in the cache, or parses it as it arrives
//! and stores the result.

mod metrics;
mod spool;

use std::sync::Arc;

use dataflow_mesh::inbound::{Claimant, SharePermit};
use dataflow_mesh::long_work;
use dataflow_mesh::metrics::Metrics;
use dataflow_mesh::panics;
use dataflow_mesh::telemetry::{Attribute, Stage};
use dataflow_proto::analysis::v1 as pb;
use dataflow_rules::Subject;
use dataflow_sdmx::Limits;
use dataflow_uploads::budget::{Budget, ResultMemory};
use dataflow_uploads::document::{self, Fingerprint, Part};
use dataflow_uploads::{Error as UploadError, Uploads};
use futures_util::{Stream, StreamExt, stream};
use prost::Message;

use crate::Error;
use crate::args::Args;
use crate::catalogue::{self, Catalogue};
use crate::categorizer::Categorizer;
use crate::convert;
use crate::convert::evaluation::EvaluationRequest;
use crate::evaluation::{self, Evaluation};
use crate::mappings::Mapping;
use crate::options::Options;
use crate::results::{Inputs, Key, Lookup, Results};
use crate::rulesets::Ruleset;
use crate::selection::{Selected, SelectedThemes, Selection};

use metrics::Analyzed;
pub use metrics::LABELLED_PROVIDERS;
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
    uploads: Uploads,
    /// Bytes of a document that are buffered for a cache lookup before parsing starts.
    spool_bytes: usize,
    /// Maximum size of a result, in bytes of its message.
    max_result: usize,
    analyzed: Analyzed,
}

// === impl Analyses ===

impl Analyses {
    /// Creates the service with the limits of `args` and results of at most `max_result` bytes.
    pub fn new(args: &Args, max_result: usize, uploads: Uploads, rules: Selection, results: Results) -> Self {
        Self {
            rules,
            results,
            uploads,
            spool_bytes: usize::try_from(args.analysis.spool_bytes.as_u64()).unwrap_or(usize::MAX),
            max_result,
            analyzed: Analyzed::default(),
        }
    }

    /// Registers the metrics of these analyses.
    pub fn register(&self, metrics: &Metrics) {
        self.analyzed.register(metrics);
    }

    /// An upload permit; see [`Uploads::acquire`].
    ///
    /// # Errors
    ///
    /// If there is none for this caller.
    pub fn acquire_upload(&self, claimant: Claimant) -> Result<SharePermit, Error> {
        Ok(self.uploads.acquire(claimant)?)
    }

    /// Analyzes one catalogue, with the themes in further documents.
    ///
    /// # Errors
    ///
    /// If the rule set cannot be used, a document cannot be parsed, or the upload is interrupted.
    pub async fn analyze(
        &self,
        options: Options,
        parts: impl Stream<Item = Result<Part, UploadError>>,
    ) -> Result<(pb::Analysis, ResultMemory), Error> {
        let memory = self.uploads.result_memory(&options.claimant.tenant);
        let rules = self.rules.select(&options.claimant.tenant, &options.ruleset).await?;
        let ruleset = &rules.ruleset;
        ruleset.compiled()?;
        let themes = self.rules.select_themes(&options.claimant.tenant).await;
        let mapping = &themes.mapping;
        let limits = self.uploads.limits();
        // Fused, because the stream is polled again after its end if the spool contains the whole documents.
        let mut parts = std::pin::pin!(self.uploads.received(parts).fuse());
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

    /// The rules and the mapping of themes by which a call of the tenant that names no rules is analyzed.
    ///
    /// # Errors
    ///
    /// If the rule set cannot be used.
    pub async fn in_use(&self, tenant: &str) -> Result<(Arc<Ruleset>, Arc<Mapping>), Error> {
        let rules = self.rules.select(tenant, "").await?;
        rules.ruleset.compiled()?;
        Ok((rules.ruleset, self.rules.select_themes(tenant).await.mapping))
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
        let seat = self.uploads.seat().await;
        let (limits, rules) = (self.uploads.limits(), Arc::clone(&selected.ruleset));
        let (memory, max_result) = (self.uploads.result_memory(tenant), self.max_result);
        // In pieces, although the document is complete: the parser notices before each that the call was canceled.
        let pieces = (0..document.len()).step_by(CHUNK_BYTES).map(|at| {
            let end = document.len().min(at + CHUNK_BYTES);
            Ok(Part::Bytes(document.slice(at..end)))
        });
        let parse = move |reader, canceled| {
            let mut budget = Budget::new(max_result, canceled).sharing(memory);
            let before = rules.compiled()?;
            let after = proposal.compile(rules.rules()?.clone())?;
            let evaluation =
                evaluation::evaluate(reader, before, &after, between_categories, limits, &mut budget)?;
            Ok::<_, Error>((evaluation, budget.into_memory()))
        };
        let (evaluation, memory) = self.uploads.parse(seat, stream::iter(pieces), parse).await?;
        Ok((selected, evaluation, memory))
    }

    /// Rejects a response of this size if it is above the message limit.
    ///
    /// # Errors
    ///
    /// [`UploadError::ResultTooLarge`].
    pub fn check_size(&self, size: usize) -> Result<(), Error> {
        if size > self.max_result {
            return Err(UploadError::ResultTooLarge { limit: self.max_result }.into());
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

    /// Parses the buffered and the remaining parts on a blocking thread.
    async fn parse(
        &self,
        (ruleset, mapping): (&Arc<Ruleset>, &Arc<Mapping>),
        limits: &Limits,
        memory: ResultMemory,
        buffered: Vec<Part>,
        rest: impl Stream<Item = Result<Part, UploadError>>,
    ) -> Result<(Catalogue, Fingerprint, ResultMemory), Error> {
        let waiting = Stage::begin("wait for a parser");
        let seat = waiting.scope(self.uploads.seat()).await;
        drop(waiting);
        let parsing = Stage::begin("parse and categorize");
        let (limits, rules, mapping) = (limits.clone(), Arc::clone(ruleset), Arc::clone(mapping));
        let max_result = self.max_result;
        let parse = move |reader, canceled| {
            let mut budget = Budget::new(max_result, canceled).sharing(memory);
            let mut reader = document::FingerprintReader::new(reader);
            let rules = rules.compiled()?;
            let mapping = mapping.compiled();
            let catalogue = catalogue::analyze_all(&mut reader, rules, mapping, limits, &mut budget)?;
            Ok::<_, Error>((catalogue, reader.fingerprint(), budget.into_memory()))
        };
        let parts = stream::iter(buffered.into_iter().map(Ok)).chain(rest);
        let parsed = parsing.scope(self.uploads.parse(seat, parts, parse)).await?;
        let (catalogue, fingerprint, memory) = parsed;
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
}
