//! How much tenants may write into the journal. It is bounded: what one of them writes takes the place of the oldest
//! changes of all, which are their audit and their revisions.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dataflow_mesh::rate::{Gcra, RateLimit, States};
use tokio::time::Instant;

use crate::Error;
use crate::state::MAX_TENANTS;

/// The unit in which they pay.
const UNIT: usize = 1024;

/// The bytes of a tenant in an hour, and at once: several times what the largest changes take, and a small part of the
/// journal.
const BYTES_PER_HOUR: u32 = 2 << 20;
const BURST: u32 = 4 << 20;

/// What each tenant has written, in this process.
#[derive(Debug)]
pub(super) struct Pace(Mutex<States<String, Gcra>>);

// === impl Pace ===

impl Pace {
    /// Takes the bytes of a change from what a tenant may write.
    ///
    /// # Errors
    ///
    /// [`Error::TenantTooFast`].
    pub(super) fn take(&self, tenant: &str, bytes: usize) -> Result<(), Error> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let (now, limit) = (Instant::now(), limit());
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.get(tenant.to_owned(), now, Gcra::default);
        let remaining = state.remaining(limit, now);
        if remaining < units {
            let retry_after = limit.interval * (units - remaining).min(limit.burst);
            return Err(Error::TenantTooFast { retry_after });
        }
        state.take(limit, units, now);
        Ok(())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(States::new(MAX_TENANTS)))
    }
}

fn limit() -> RateLimit {
    let units = |bytes: u32| bytes / UNIT as u32;
    RateLimit { interval: Duration::from_secs(3600) / units(BYTES_PER_HOUR), burst: units(BURST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a tenant may write this many bytes now.
    fn writes(pace: &Pace, tenant: &str, bytes: usize) -> usize {
        (0..10_000).take_while(|_| pace.take(tenant, bytes).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_writes_a_burst_and_then_at_its_rate() {
        let pace = Pace::default();
        assert_eq!(writes(&pace, "acme", 512 << 10), 8);
        assert_eq!(writes(&pace, "acme", 1), 0);
        assert_eq!(writes(&pace, "bolt", 200), 4096, "another tenant, in whole units");
        tokio::time::advance(Duration::from_secs(1800)).await;
        assert_eq!(writes(&pace, "acme", 512 << 10), 2, "a megabyte in half an hour");
        let Err(Error::TenantTooFast { retry_after }) = pace.take("acme", 512 << 10) else { panic!() };
        tokio::time::advance(retry_after).await;
        assert_eq!(writes(&pace, "acme", 512 << 10), 1);
    }
}
