//! The work behind AnalyzeCatalogue: look the document up, or parse it as it arrives, and keep the result.

use std::sync::Arc;

use bytes::Bytes;
use dataflow_proto::analysis::v1 as pb;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::Error;
use crate::args::AnalysisArgs;
use crate::catalogue;
use crate::convert;
use crate::document::{self, Feed, ReaderGone};
use crate::results::{Inputs, Key, Lookup, Results};
use crate::rules::{Scratch, Subject};
use crate::rulesets::{Ruleset, Rulesets};
use crate::sdmx::Limits;

/// What a caller may say about a catalogue besides the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The rule set's name; empty for the default one.
    pub ruleset: String,
    /// The provider's name; empty to take it from the document.
    pub provider: String,
    /// Whose request it is; empty without tenants.
    pub tenant: String,
}

/// Analyses catalogues and single dataflows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Analyses {
    rulesets: Arc<Rulesets>,
    results: Results,
    limits: Limits,
    /// How much of a document is held to look it up before it is parsed.
    spool: usize,
    /// One permit a parser. Taken before the first byte is read, so that a waiting upload costs no memory here.
    parsers: Arc<Semaphore>,
}

// === impl Analyses ===

impl Analyses {
    /// Analyses within the limits of `args`.
    pub fn new(args: &AnalysisArgs, rulesets: Arc<Rulesets>, results: Results) -> Self {
        Self {
            rulesets,
            results,
            limits: args.limits(),
            spool: usize::try_from(args.spool_bytes.as_u64()).unwrap_or(usize::MAX),
            parsers: Arc::new(Semaphore::new(args.parsers())),
        }
    }

    /// Analyses one catalogue.
    ///
    /// # Errors
    ///
    /// When the rule set cannot be used, the document cannot be read, or the upload breaks off.
    pub async fn analyse(
        &self,
        options: Options,
        pieces: impl Stream<Item = Result<Bytes, Error>>,
    ) -> Result<pb::Analysis, Error> {
        let ruleset = self.rulesets.get(&options.ruleset)?;
        ruleset.compiled()?;
        let _permit = self.parsers.acquire().await.expect("the semaphore is never closed");
        let mut pieces = std::pin::pin!(pieces);
        let key = |document| {
            let (provider, tenant) = (options.provider.as_str(), options.tenant.as_str());
            Key::of(Inputs { document, ruleset: &ruleset, provider, tenant })
        };

        let mut hasher = Sha256::new();
        let mut spooled = Vec::new();
        let mut size = 0;
        let mut whole = false;
        while size <= self.spool && !whole {
            match pieces.next().await.transpose()? {
                Some(piece) => {
                    hasher.update(&piece);
                    size += piece.len();
                    spooled.push(piece);
                }
                None => whole = true,
            }
        }

        let mut cache_answers = true;
        if whole {
            let key = key(hasher.clone().finalize().into());
            match self.results.get(&key).await {
                Lookup::Hit(analysis) => {
                    return Ok(pb::Analysis { cached: true, degraded: self.degraded(true), ..*analysis });
                }
                Lookup::Miss => {}
                Lookup::Unavailable => cache_answers = false,
            }
        }

        let (feed, reader) = document::channel();
        let limits = self.limits.clone();
        let rules = Arc::clone(&ruleset);
        let parser = tokio::task::spawn_blocking(move || {
            let compiled = rules.compiled()?;
            catalogue::analyse(reader, compiled, limits).map_err(Error::Document)
        });
        let rest = pieces.inspect(|piece| {
            if let Ok(piece) = piece {
                hasher.update(piece);
            }
        });
        let sent = send_all(feed, futures_util::stream::iter(spooled.into_iter().map(Ok)).chain(rest)).await;
        // What broke off the upload matters more than that the parser then saw a document without an end.
        sent?;
        let catalogue = parser.await.map_err(Error::ParserDied)??;

        let key = key(hasher.finalize().into());
        let mut analysis = convert::analysis(catalogue, &key, &ruleset, &options);
        let kept = cache_answers && self.results.set(&key, &analysis).await;
        analysis.degraded = self.degraded(kept);
        Ok(analysis)
    }

    /// Categorises one dataflow that is not part of any catalogue.
    ///
    /// # Errors
    ///
    /// When the rule set cannot be used.
    pub fn categorise(
        &self,
        ruleset: &str,
        subject: &Subject<'_>,
    ) -> Result<(Arc<Ruleset>, catalogue::Filing), Error> {
        let ruleset = self.rulesets.get(ruleset)?;
        let filing = catalogue::Filing::of(subject, ruleset.compiled()?, &mut Scratch::default());
        Ok((ruleset, filing))
    }

    /// What this service has to do without.
    pub fn degraded(&self, cache_answers: bool) -> Vec<i32> {
        let missing = [
            (!cache_answers, pb::analysis::Degradation::CacheUnavailable),
            (self.rulesets.built_in(), pb::analysis::Degradation::BuiltInRules),
        ];
        missing.into_iter().filter(|(missing, _)| *missing).map(|(_, what)| what.into()).collect()
    }
}

/// Passes every piece to the parser; stops early, and well, when the parser has read enough.
async fn send_all(feed: Feed, pieces: impl Stream<Item = Result<Bytes, Error>>) -> Result<(), Error> {
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await.transpose()? {
        if feed.send(piece).await == Err(ReaderGone) {
            break;
        }
    }
    Ok(())
}
