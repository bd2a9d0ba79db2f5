//! The file descriptors of the process. Connections may not use all of them: health checks, peers and the store need
//! some, also while callers open as many connections as they can.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::limiter::{Limiter, Permit};

/// The descriptors that connections of callers leave free, or half of all where there are few.
const RESERVED: u64 = 128;

/// The descriptors for connections of callers, of all services of a process. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub(crate) struct OpenFiles {
    connections: Limiter,
    limit: u32,
}

/// Raises the limit of descriptors to what the operating system allows: the default dates from programs that cannot
/// have more than 1,024.
pub(crate) fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| {
        setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
        Ok(most)
    });
    match raised {
        Ok(limit) => tracing::debug!(limit, "process: limit of file descriptors"),
        Err(error) => tracing::debug!(%error, "process: limit of file descriptors not raised"),
    }
}

// === impl OpenFiles ===

impl OpenFiles {
    /// A descriptor for a connection, unless too few would be left.
    pub(crate) fn take(&self) -> Option<Permit> {
        self.connections.try_acquire(self.limit)
    }
}

/// By the limit of the process.
impl Default for OpenFiles {
    fn default() -> Self {
        let all = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(limit, _)| limit);
        let limit = all.saturating_sub(RESERVED.min(all / 2));
        Self { connections: Limiter::default(), limit: u32::try_from(limit).unwrap_or(u32::MAX) }
    }
}
