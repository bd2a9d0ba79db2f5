//! The rule sets that the service holds, and the channel through which every watcher learns of a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Error;
use crate::ruleset::Ruleset;

/// All sets by name, at one moment.
pub type Snapshot = Arc<BTreeMap<String, Arc<Ruleset>>>;

/// The current sets. A watch channel, because a slow watcher may skip to the newest state but must end on it.
#[derive(Debug)]
pub struct Rulesets {
    current: watch::Sender<Snapshot>,
}

// === impl Rulesets ===

impl Rulesets {
    /// Holds these sets; of two with one name the later stays.
    ///
    /// # Errors
    ///
    /// When a set is invalid.
    pub fn new(sets: impl IntoIterator<Item = Ruleset>) -> Result<Self, Error> {
        let mut by_name = BTreeMap::new();
        for set in sets {
            set.validate()?;
            by_name.insert(set.name.clone(), Arc::new(set));
        }
        Ok(Self { current: watch::Sender::new(Arc::new(by_name)) })
    }

    /// The sets as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.current.borrow().clone()
    }

    /// The sets as they are now, and each later state.
    pub fn watch(&self) -> watch::Receiver<Snapshot> {
        self.current.subscribe()
    }
}
