//! The store of the mesh: embedded in this process, or Redis where several processes share it. The only crate that
//! depends on Redis.
//!
//! Each kind of state is a trait: [`entries`] with [`leases`], [`generations`], [`permits`], [`logs`] and [`collections`];
//! [`signals`] is publish/subscribe between replicas. Both backends, [`embedded`] and [`redis`], implement all of them with the same
//! guarantees, and pass the same tests. The space of a [`key`] states whether its data is durable.

pub mod args;
pub mod collections;
pub mod embedded;
pub mod entries;
pub mod error;
pub mod generations;
pub mod key;
pub mod leases;
pub mod logs;
pub mod permits;
pub mod redis;
pub mod revision;
pub mod signals;
pub mod version_counters;

mod record;

use std::fmt;

use tokio::sync::watch;

pub use args::StoreArgs;
pub use error::Error;

/// A backend: all the traits that services need.
pub trait Store:
    entries::Entries
    + leases::Leases
    + generations::Generations
    + permits::Permits
    + logs::Logs
    + collections::Collections
    + signals::Signals
    + Send
    + Sync
{
    /// The version counters, polled continuously. None for the embedded store: its invalidation messages always arrive,
    /// and copies of its entries in the same process would save nothing.
    fn version_counters(&self) -> Option<watch::Receiver<version_counters::VersionCounters>>;
}

impl Store for embedded::Embedded {
    fn version_counters(&self) -> Option<watch::Receiver<version_counters::VersionCounters>> {
        None
    }
}

/// Services that derive `Debug` contain a store.
impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}
