//! Flags that may change while the process runs, and how the code that obeys them reads them.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use clap::{Args, Command};
use tokio::sync::watch;

use super::field::with_values;
use super::source::Source;

/// The heading of the help text under which these flags stand, each by its own `help_heading`: one for a whole struct would
/// hold for whatever comes after it. To stand there is what makes a flag dynamic, so that nothing is followed that does not
/// say so.
pub const DYNAMIC: &str = "Dynamic options, followed while a service runs";

/// What the config service says of dynamic flags, by their names without dashes before them, as it would be typed. It
/// holds where nothing in or around the process says otherwise.
pub type Pushed = BTreeMap<String, String>;

/// The dynamic flags, as they hold from now on. What comes from among secrets is not among them: they are told to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dynamic {
    /// Each by its name without dashes before it.
    pub settings: BTreeMap<String, Held>,
}

/// One dynamic flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// As it would be typed; one that the flag takes, or empty when it has none.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// Dynamic flags as they are at the moment of asking. Cheap to clone.
#[derive(Debug)]
pub struct Live<A>(Arc<ArcSwap<A>>);

// === impl Dynamic ===

impl Dynamic {
    /// The flags of `A`, all of which should be dynamic. One that the process does not have is as it is by default.
    fn read<A: Args>(&self) -> Result<A, clap::Error> {
        let command = A::augment_args(Command::new("dynamic").no_binary_name(true)).mut_args(|arg| {
            let held = arg.get_long().and_then(|long| self.settings.get(long));
            let value = held.filter(|held| !held.value.is_empty()).map(|held| slice::from_ref(&held.value));
            with_values(arg, value)
        });
        A::from_arg_matches(&command.try_get_matches_from::<_, &str>([])?)
    }
}

// === impl Live ===

impl<A> Live<A> {
    /// Flags that do not change.
    pub fn fixed(flags: A) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(flags)))
    }

    /// As they are.
    pub fn load(&self) -> Guard<Arc<A>> {
        self.0.load()
    }
}

impl<A: Args + Send + Sync + 'static> Live<A> {
    /// `flags` to begin with, then what `settings` say, for as long as anybody says anything. Must be called within a
    /// tokio runtime.
    pub fn following(flags: A, mut settings: watch::Receiver<Dynamic>) -> Self {
        let live = Self::fixed(flags);
        let current = Arc::clone(&live.0);
        tokio::spawn(async move {
            while settings.changed().await.is_ok() {
                let read = settings.borrow_and_update().read();
                match read {
                    Ok(flags) => current.store(Arc::new(flags)),
                    // Each value was tried on its own flag before; this is about several together.
                    Err(error) => tracing::warn!(%error, "settings that changed do not go together"),
                }
            }
        });
        live
    }
}

impl<A> Clone for Live<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
