//! Flags that may change at run time, and the handle with which code reads them.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use clap::{Args, Command};
use tokio::sync::watch;

use super::field::with_values;
use super::source::Source;

/// Dynamic flags that the config service pushes: values as on the command line, by flag name without leading dashes.
/// Lowest precedence, above the defaults.
pub type Pushed = BTreeMap<String, String>;

/// The dynamic flags and their current values. Values from a Secret are omitted, because these values are shown to
/// callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// By flag name without leading dashes.
    pub settings: BTreeMap<String, Current>,
}

/// The current value of a dynamic flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The value as on the command line; empty if there is none.
    pub value: String,
    /// Its source.
    pub source: Source,
}

/// Dynamic flags with their current values. Cheap to clone.
#[derive(Debug)]
pub struct Live<A>(Arc<ArcSwap<A>>);

// === impl Dynamic ===

impl Dynamic {
    /// Parses the flags of `A`, all of which should be dynamic. A flag that the process does not have keeps its
    /// default.
    fn read<A: Args>(&self) -> Result<A, clap::Error> {
        let command = A::augment_args(Command::new("dynamic").no_binary_name(true)).mut_args(|arg| {
            let current = arg.get_long().and_then(|long| self.settings.get(long));
            let value = current.map(|current| &current.value).filter(|value| !value.is_empty());
            let value = value.map(slice::from_ref);
            with_values(arg, value)
        });
        A::from_arg_matches(&command.try_get_matches_from::<_, &str>([])?)
    }
}

// === impl Live ===

impl<A> Live<A> {
    /// A fixed set of values, which changes only if [`Live::follow`] runs.
    pub fn fixed(flags: A) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(flags)))
    }

    /// The current values.
    pub fn load(&self) -> Guard<Arc<A>> {
        self.0.load()
    }
}

impl<A: Args> Live<A> {
    /// Keeps the values current as `settings` change, until the sender is dropped.
    pub async fn follow(self, mut settings: watch::Receiver<Dynamic>) {
        while settings.changed().await.is_ok() {
            let read = settings.borrow_and_update().read();
            match read {
                Ok(flags) => self.0.store(Arc::new(flags)),
                // Each flag has validated its own value before; this error concerns several together.
                Err(error) => {
                    tracing::warn!(%error, "settings: change rejected, values contradict each other")
                }
            }
        }
    }
}

impl<A> Clone for Live<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
