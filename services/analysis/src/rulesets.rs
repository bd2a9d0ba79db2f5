//! The rule sets of this replica: those that the config service pushes, or the built-in ones until it does. A new
//! revision is compiled beside the current one and replaces it atomically.

mod metrics;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use dataflow_mesh::metrics::Metrics;
use dataflow_rules::{Compiled, Overlay, RuleSet};

use crate::Error;
use crate::fingerprint::fingerprint;

use metrics::Gauges;

/// One compiled set.
#[derive(Debug)]
pub struct Ruleset {
    /// Its name.
    pub name: String,
    /// The revision of the shared set in the config service; 0 if built in.
    pub revision: i64,
    /// The revision of the changes of the tenant that it is for; 0 for the shared set.
    pub overlay_revision: i64,
    /// Identifies its content. Revisions alone do not: two releases may have different built-in sets, and share one
    /// cache.
    pub fingerprint: [u8; 32],
    /// The set to compile, or why a set of a later release cannot be read.
    source: Result<RuleSet, String>,
    /// The engine, or its compile error, so that callers see it and not only the log. Compiled on first use: the
    /// built-in sets are never used while the config service responds.
    compiled: OnceLock<Result<Compiled, String>>,
}

/// All sets that this replica can use at present.
#[derive(Debug)]
pub struct Rulesets {
    current: ArcSwap<CurrentSets>,
    gauges: Gauges,
}

#[derive(Debug, Clone, Default)]
struct CurrentSets {
    by_name: BTreeMap<String, Arc<Ruleset>>,
    /// Whether the config service has sent rules. Its last sets stay in use when it becomes unavailable.
    received: bool,
}

// === impl Ruleset ===

impl Ruleset {
    /// A set of the config service, or why it cannot be read.
    pub fn new(name: String, revision: i64, source: Result<RuleSet, String>) -> Self {
        let fingerprint = source.as_ref().map(of_rules).unwrap_or_default();
        Self { name, revision, overlay_revision: 0, fingerprint, source, compiled: OnceLock::new() }
    }

    /// This set with the changes of a tenant.
    ///
    /// # Errors
    ///
    /// As [`Ruleset::rules`].
    pub fn with(&self, overlay: &Overlay, overlay_revision: i64) -> Result<Self, Error> {
        let changed = overlay.apply(self.rules()?);
        Ok(Self { overlay_revision, ..Self::new(self.name.clone(), self.revision, Ok(changed)) })
    }

    /// A set of this release, at revision 0: the config service counts from 1.
    fn built_in(set: RuleSet) -> Self {
        Self::new(set.name.clone(), 0, Ok(set))
    }

    /// The rules.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetUnusable`] if a later release wrote them.
    pub fn rules(&self) -> Result<&RuleSet, Error> {
        self.source.as_ref().map_err(|problem| self.unusable(problem))
    }

    /// The engine. The first call compiles it, which takes milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetUnusable`] if the set does not compile.
    pub fn compiled(&self) -> Result<&Compiled, Error> {
        let compiled = self.compiled.get_or_init(|| {
            let source = self.source.as_ref().map_err(String::clone);
            let compiled = source.and_then(|set| Compiled::new(set).map_err(|error| error.to_string()));
            if let Err(problem) = &compiled {
                tracing::warn!(
                    ruleset = self.name,
                    revision = self.revision,
                    problem,
                    "rule sets: set does not compile"
                );
            }
            compiled
        });
        compiled.as_ref().map_err(|problem| self.unusable(problem))
    }

    fn unusable(&self, problem: &str) -> Error {
        Error::RulesetUnusable { name: self.name.clone(), problem: problem.to_owned() }
    }
}

/// A digest of the rules of a set, independent of its revision.
fn of_rules(set: &RuleSet) -> [u8; 32] {
    fingerprint((&set.name, set.mode, &set.rules))
}

// === impl Rulesets ===

impl Rulesets {
    /// Starts with the built-in sets.
    pub fn new(built_in: impl IntoIterator<Item = RuleSet>) -> Self {
        let sets = built_in.into_iter().map(Ruleset::built_in);
        let by_name = sets.map(|set| (set.name.clone(), Arc::new(set))).collect();
        let gauges = Gauges::default();
        gauges.show(&by_name);
        Self { current: ArcSwap::from_pointee(CurrentSets { by_name, received: false }), gauges }
    }

    /// Registers the metrics of these sets.
    pub fn register(&self, metrics: &Metrics) {
        self.gauges.register(metrics);
    }

    /// The sets in use, with their revisions.
    pub fn revisions(&self) -> Vec<(String, i64)> {
        let current = self.current.load();
        current.by_name.values().map(|set| (set.name.clone(), set.revision)).collect()
    }

    /// The set with this name.
    ///
    /// # Errors
    ///
    /// [`Error::RulesetNotFound`].
    pub fn get(&self, name: &str) -> Result<Arc<Ruleset>, Error> {
        let found = self.current.load().by_name.get(name).cloned();
        found.ok_or_else(|| Error::RulesetNotFound { name: name.to_owned() })
    }

    /// Whether the built-in sets are in use, because the config service has not sent any.
    pub fn built_in(&self) -> bool {
        !self.current.load().received
    }

    /// Compiles sets and swaps them in atomically. A snapshot replaces all sets; otherwise the other sets stay.
    pub fn update(&self, sets: Vec<Ruleset>, is_snapshot: bool) {
        let sets: Vec<_> = sets.into_iter().map(Arc::new).collect();
        for set in &sets {
            // A set that does not compile is used too: silently using an older one would be worse.
            self.compile_one(set);
        }
        // Revision 0 is a built-in set: a config service without its store has nothing newer.
        let received = sets.iter().any(|set| set.revision > 0);
        self.current.rcu(|current| {
            if current.received && !received {
                return CurrentSets::clone(current);
            }
            let mut by_name = if is_snapshot { BTreeMap::new() } else { current.by_name.clone() };
            by_name.extend(sets.iter().map(|set| (set.name.clone(), Arc::clone(set))));
            CurrentSets { by_name, received }
        });
        self.gauges.show(&self.current.load().by_name);
        if received {
            self.gauges.received();
        }
        for set in sets {
            tracing::debug!(ruleset = set.name, revision = set.revision, "rule sets: set in use");
        }
    }

    /// Compiles every set that has not been compiled yet.
    pub fn compile(&self) {
        for set in self.current.load().by_name.values() {
            self.compile_one(set);
        }
    }

    fn compile_one(&self, set: &Ruleset) {
        let (is_new, start) = (set.compiled.get().is_none(), Instant::now());
        let _ = set.compiled();
        if is_new {
            self.gauges.compiled(start.elapsed());
        }
    }
}
