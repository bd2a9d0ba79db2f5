//! Where the mesh keeps its state: in this process, or in Redis when it is shared by several. The one crate that knows
//! Redis.
//!
//! Four kinds of state and one means to tell of them, each a trait: [`entries`] with [`leases`], [`generations`],
//! [`logs`], [`signals`]. Both backends, [`embedded`] and [`redis`], keep the same promises, and the same tests hold
//! them to it. A [`key`] says whether what it names must last.

pub mod args;
pub mod embedded;
pub mod entries;
pub mod error;
pub mod generations;
pub mod key;
pub mod leases;
pub mod logs;
pub mod redis;
pub mod signals;
pub mod version_counters;

mod record;

use std::fmt;

use tokio::sync::watch;

pub use args::StoreArgs;
pub use error::Error;

/// A backend: everything that state needs.
pub trait Store:
    entries::Entries + leases::Leases + generations::Generations + logs::Logs + signals::Signals + Send + Sync
{
    /// How far the store has come, read again and again. None where the store is this process itself: there signals
    /// arrive, and a copy of what it holds would be of no use.
    fn version_counters(&self) -> Option<watch::Receiver<version_counters::VersionCounters>>;
}

impl Store for embedded::Embedded {
    fn version_counters(&self) -> Option<watch::Receiver<version_counters::VersionCounters>> {
        None
    }
}

/// Services hold one and are shown in logs themselves.
impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
