//! The context of a role: the shared state that its process gives it.

use clap::Args;
use dataflow_settings::{Dynamic, Live};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::breaker::Breakers;
use crate::dependencies::{Criticality, Dependencies};
use crate::descriptors::Methods;
use crate::load::Load;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::open_files::OpenFiles;
use crate::outbound::CallObserver;
use crate::process_status::ProcessStatus;
use crate::readiness::{Latch, Readiness};
use crate::tasks::{Task, Tasks};

/// See the module.
#[derive(Debug)]
pub struct Context {
    /// The name of the role, for instance `analysis`: the constant label of its metrics.
    pub role: &'static str,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The process's readiness.
    pub readiness: Readiness,
    /// Canceled when the service stops accepting connections: endless responses must end then.
    pub draining: CancellationToken,
    /// The process's circuit breakers, which the service lists and resets on request.
    pub breakers: Breakers,
    /// The supervisor of the process's background tasks.
    pub tasks: Tasks,
    /// The current values of the process's dynamic flags.
    pub settings: watch::Receiver<Dynamic>,
    /// The process's memory.
    pub memory: Memory,
    /// What the process depends on.
    pub dependencies: Dependencies,
    /// The status of the process.
    pub status: ProcessStatus,
    /// How late the process runs what is due.
    pub(crate) load: Load,
    /// The file descriptors of the process.
    pub(crate) open_files: OpenFiles,
    /// Kept from the start until the service serves, so that a process is not ready while one of its services has not
    /// started yet.
    pub(crate) latch: Latch,
}

// === impl Context ===

impl Context {
    /// Observes the calls of this role to a peer with these services, which `descriptors` describes: their metrics, and
    /// whether the peer responds. The role works without the peer, with less.
    pub fn observer(&self, peer: &str, services: &[impl AsRef<str>], descriptors: &[u8]) -> CallObserver {
        let metrics = self.metrics.client(self.role, &Methods::of(services, descriptors));
        let name = format!("{}/{peer}", self.role);
        CallObserver::new(metrics, self.dependencies.declare(&name, Criticality::Optional))
    }

    /// Dynamic flags: `flags` at first, then updated with the dynamic settings.
    pub fn live<A: Args + Send + Sync + 'static>(&self, flags: A) -> Live<A> {
        let live = Live::fixed(flags);
        let (followed, settings) = (live.clone(), self.settings.clone());
        let follow = move || followed.clone().follow(settings.clone());
        self.tasks.spawn(Task::restarting("dynamic flags", follow));
        live
    }
}
