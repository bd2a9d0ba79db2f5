//! Permits that connections and tenants share. Any of them may have all permits up to the limit; beyond it there is a
//! reserve for those that have less than a quarter of it, so that they are not rejected because of the others. A tenant
//! with more has only a small part of the reserve, on any number of connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Extensions;

use crate::identity::{CallerId, Identity};
use crate::load::Load;

/// Counts the permits that are out, by connection and tenant. Cheap to clone: clones count together.
#[derive(Debug, Clone, Default)]
pub struct Shares {
    counts: Arc<Mutex<Counts>>,
    /// Makes limits smaller under overload.
    load: Load,
}

/// The permits that are out. Bounded by their number: what has none is not in the maps.
#[derive(Debug, Default)]
struct Counts {
    total: u32,
    /// How often there was no permit.
    refused: u64,
    by_connection: HashMap<u64, Connection>,
    /// On all connections, without callers that have no tenant.
    by_tenant: HashMap<Arc<str>, u32>,
}

#[derive(Debug, Default)]
struct Connection {
    total: u32,
    by_tenant: HashMap<Arc<str>, u32>,
}

/// Who asks for a permit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimant {
    /// The connection of the call.
    pub connection: u64,
    /// Its tenant; empty without one.
    pub tenant: Arc<str>,
    /// Whether it is a service of the mesh.
    pub is_peer: bool,
    /// Whether the call is bulk, which leaves a quarter of the permits to other calls.
    pub is_bulk: bool,
}

/// One permit, until it is dropped.
#[derive(Debug)]
pub struct SharePermit {
    shares: Shares,
    claimant: Claimant,
}

// === impl Claimant ===

impl Claimant {
    /// The caller of a request with these extensions.
    pub fn of(extensions: &Extensions, is_bulk: bool) -> Self {
        let Identity { tenant, caller, is_peer, .. } = Identity::of(extensions);
        let connection = caller.or_else(|| extensions.get().copied()).map_or(0, |CallerId(id)| id);
        Self { connection, tenant, is_peer, is_bulk }
    }
}

// === impl Shares ===

impl Shares {
    /// Permits whose limits shrink with the load of the process.
    pub(crate) fn of(load: Load) -> Self {
        Self { load, ..Self::default() }
    }

    /// A permit, unless `limit` permits are out, and for those that have less than a quarter of them, a reserve beyond
    /// it: an eighth for a tenant on a shared connection, a quarter for a connection, three eighths for peers; a
    /// sixteenth for a connection of a tenant that has more in all.
    pub fn try_acquire(&self, limit: u32, claimant: Claimant) -> Option<SharePermit> {
        let mut counts = self.counts();
        if !counts.has_room(self.load.limited(limit), &claimant) {
            counts.refused += 1;
            return None;
        }
        counts.total += 1;
        let connection = counts.by_connection.entry(claimant.connection).or_default();
        connection.total += 1;
        *connection.by_tenant.entry(Arc::clone(&claimant.tenant)).or_default() += 1;
        if !claimant.tenant.is_empty() {
            *counts.by_tenant.entry(Arc::clone(&claimant.tenant)).or_default() += 1;
        }
        drop(counts);
        Some(SharePermit { shares: self.clone(), claimant })
    }

    /// Whether there is such a permit at present.
    pub(crate) fn has_room(&self, limit: u32, claimant: &Claimant) -> bool {
        self.counts().has_room(self.load.limited(limit), claimant)
    }

    /// The part of a limit that is in force at present.
    pub(crate) fn in_force(&self, limit: u32) -> u32 {
        self.load.limited(limit)
    }

    /// The number of permits that are out.
    pub fn total(&self) -> u32 {
        self.counts().total
    }

    /// How often there was no permit for a call that asked for one.
    pub(crate) fn refused(&self) -> u64 {
        self.counts().refused
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Counts ===

impl Counts {
    fn has_room(&self, limit: u32, claimant: &Claimant) -> bool {
        let limit_of_all = if claimant.is_bulk { limit - limit / 4 } else { limit };
        if self.total < limit_of_all {
            return true;
        }
        let share = limit / 4;
        let connection = self.by_connection.get(&claimant.connection);
        let of_tenant = match &*claimant.tenant {
            // Callers without a tenant are not one party.
            "" => connection.and_then(|connection| connection.by_tenant.get("")),
            tenant => self.by_tenant.get(tenant),
        };
        let is_tenant_within = of_tenant.copied().unwrap_or_default() < share;
        let is_connection_within = connection.map_or(0, |connection| connection.total) < share;
        let is_within = is_connection_within && (is_tenant_within || claimant.tenant.is_empty());
        let reserve = match () {
            () if claimant.is_peer => share + limit / 8,
            () if is_within => share,
            () if is_tenant_within => limit / 8,
            () if is_connection_within => limit / 16,
            () => 0,
        };
        self.total < limit_of_all.saturating_add(reserve)
    }
}

impl Drop for SharePermit {
    fn drop(&mut self) {
        let Claimant { connection: id, tenant, .. } = &self.claimant;
        let mut counts = self.shares.counts();
        counts.total -= 1;
        if let Some(of_tenant) = counts.by_tenant.get_mut(tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                counts.by_tenant.remove(tenant);
            }
        }
        let Some(connection) = counts.by_connection.get_mut(id) else { return };
        connection.total -= 1;
        if connection.total == 0 {
            counts.by_connection.remove(id);
        } else if let Some(of_tenant) = connection.by_tenant.get_mut(tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                connection.by_tenant.remove(tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(connection: u64, tenant: &str) -> Claimant {
        Claimant { connection, tenant: tenant.into(), ..Claimant::default() }
    }

    /// As many permits as there are for a claimant.
    fn all(shares: &Shares, limit: u32, claimant: &Claimant) -> Vec<SharePermit> {
        std::iter::from_fn(|| shares.try_acquire(limit, claimant.clone())).collect()
    }

    #[test]
    fn one_connection_has_all_permits_and_others_still_get_some() {
        let shares = Shares::default();
        let hog = all(&shares, 16, &claimant(1, ""));
        assert_eq!(hog.len(), 16);
        let peer = Claimant { is_peer: true, ..claimant(1, "") };
        let within = [claimant(1, "other"), claimant(2, ""), peer];
        let permits: Vec<_> = within.iter().map(|claimant| all(&shares, 16, claimant)).collect();
        assert_eq!(permits.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(shares.refused(), 4, "the last of each");
        drop((hog, permits));
        assert!(shares.counts().by_connection.is_empty() && shares.counts().total == 0);
    }

    #[test]
    fn who_has_more_than_a_quarter_gives_way_to_others() {
        let shares = Shares::default();
        let (first, second) = (claimant(1, ""), claimant(2, ""));
        let mut hog = all(&shares, 16, &first);
        let mut others = all(&shares, 16, &second);
        assert_eq!((hog.len(), others.len()), (16, 4), "a quarter");
        // Each permit that the first returns is for those that have less than a quarter, until there are enough again.
        for third in 1..=4 {
            hog.pop();
            assert!(shares.try_acquire(16, first.clone()).is_none());
            assert!(
                shares.try_acquire(16, second.clone()).is_none(),
                "not more than its share of the reserve"
            );
            others.extend(shares.try_acquire(16, claimant(2 + third, "")));
        }
        assert_eq!((hog.len(), others.len()), (12, 8));
    }

    #[test]
    fn bulk_calls_leave_a_quarter_to_others() {
        let shares = Shares::default();
        let (hog, other) = (claimant(1, ""), claimant(2, ""));
        let bulk = |claimant: &Claimant| Claimant { is_bulk: true, ..claimant.clone() };
        let permits = all(&shares, 16, &bulk(&hog));
        assert_eq!((permits.len(), all(&shares, 16, &hog).len()), (12, 4));
        // Another connection has its reserve for them too.
        assert_eq!(all(&shares, 16, &bulk(&other)).len(), 4);
        let full = all(&shares, 16, &hog);
        assert!(all(&shares, 16, &bulk(&other)).is_empty(), "calls for which somebody waits come first");
        assert_eq!((full.len(), all(&shares, 16, &other).len()), (4, 4));
        drop((permits, full));
        assert_eq!(all(&shares, 1, &bulk(&hog)).len(), 1, "a quarter of few is none");
    }

    #[test]
    fn a_tenant_on_many_connections_leaves_permits_to_others() {
        let shares = Shares::default();
        // None of its connections has a quarter.
        let mut hog: Vec<_> =
            (1..=100).filter_map(|connection| shares.try_acquire(16, claimant(connection, "acme"))).collect();
        assert_eq!(hog.len(), 17, "everything if no other asks, and a sixteenth");
        let bolt: Vec<_> =
            (200..300).filter_map(|one| shares.try_acquire(16, claimant(one, "bolt"))).collect();
        assert_eq!(bolt.len(), 3, "up to a quarter beyond the limit");
        // What the first returns is for those that have less than a quarter.
        drop(hog.pop());
        assert!(shares.try_acquire(16, claimant(300, "acme")).is_none());
        let fourth = shares.try_acquire(16, claimant(300, "bolt"));
        assert!(fourth.is_some() && shares.try_acquire(16, claimant(301, "bolt")).is_none());
        drop((hog, bolt, fourth));

        // On a connection that the other tenant fills, too.
        let hog = all(&shares, 16, &claimant(1, "acme"));
        let more: Vec<_> = (2..50).filter_map(|one| shares.try_acquire(16, claimant(one, "acme"))).collect();
        let bolt = all(&shares, 16, &claimant(1, "bolt"));
        assert_eq!((hog.len(), more.len(), bolt.len()), (16, 1, 1));
        drop((hog, more, bolt));
        assert!(shares.counts().by_tenant.is_empty() && shares.counts().by_connection.is_empty());
    }

    #[test]
    fn a_limit_below_four_has_no_reserve() {
        let shares = Shares::default();
        let permit = shares.try_acquire(1, claimant(1, ""));
        assert!(permit.is_some() && shares.try_acquire(1, claimant(2, "")).is_none());
        drop(permit);
        assert!(shares.try_acquire(1, claimant(2, "")).is_some());
    }

    #[test]
    fn a_limit_is_in_force_from_the_moment_it_is_set() {
        let shares = Shares::default();
        let one = claimant(1, "");
        let permits = all(&shares, 3, &one);
        let more = shares.try_acquire(4, one.clone());
        assert!(permits.len() == 3 && more.is_some());
        assert!(shares.try_acquire(2, one.clone()).is_none());
        drop((more, permits));
        assert_eq!(all(&shares, 2, &one).len(), 2);
    }
}
