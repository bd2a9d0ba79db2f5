//! A memory budget that tenants share. Any of them may hold all of it; beyond it there is a reserve for those that hold
//! less than a quarter, so that they are not rejected because of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process_status::Quota;

/// The part of the budget that the reserve has, and the part that its users hold at most.
const RESERVE: u64 = 8;
const FAIR: u64 = 4;

/// The budget, for one tenant. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub struct MemoryShares {
    held: Arc<Mutex<Held>>,
    /// Its bytes.
    total: u64,
    tenant: Arc<str>,
}

/// The bytes that are held. Bounded by the budget: who holds none is not in the map.
#[derive(Debug, Default)]
struct Held {
    total: u64,
    by_tenant: HashMap<Arc<str>, u64>,
    /// How often there was no room.
    refused: u64,
}

/// Bytes of the budget, until they are dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    shares: MemoryShares,
    bytes: u64,
}

// === impl MemoryShares ===

impl MemoryShares {
    /// A budget of so many bytes, for callers without a tenant.
    pub fn new(total: u64) -> Self {
        Self { held: Arc::default(), total, tenant: Arc::default() }
    }

    /// The same budget, for a tenant.
    #[must_use]
    pub fn of(&self, tenant: &Arc<str>) -> Self {
        Self { held: Arc::clone(&self.held), total: self.total, tenant: Arc::clone(tenant) }
    }

    /// The bytes of the whole budget.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The budget as the quota `held_bytes` of a role.
    pub fn quota(&self, role: &'static str) -> Quota {
        let held = self.held();
        Quota { role, name: "held_bytes", used: held.total, limit: self.total, refused: held.refused }
    }

    /// Has `permit` stand for so many bytes more. Returns false, and changes nothing, if there is no room for them.
    #[must_use]
    pub fn add(&self, permit: &mut Option<MemoryPermit>, bytes: u64) -> bool {
        let mut held = self.held();
        let own = held.by_tenant.get(&self.tenant).copied().unwrap_or_default().saturating_add(bytes);
        let is_fair = own <= self.total / FAIR;
        let limit = if is_fair { self.total.saturating_add(self.total / RESERVE) } else { self.total };
        let total = held.total.saturating_add(bytes);
        if total > limit {
            held.refused += 1;
            return false;
        }
        held.total = total;
        if own > 0 {
            held.by_tenant.insert(Arc::clone(&self.tenant), own);
        }
        drop(held);
        permit.get_or_insert_with(|| MemoryPermit { shares: self.clone(), bytes: 0 }).bytes += bytes;
        true
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl MemoryPermit ===

impl MemoryPermit {
    /// The bytes that it stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        held.total -= self.bytes;
        if let Some(own) = held.by_tenant.get_mut(&self.shares.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                held.by_tenant.remove(&self.shares.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A permit for so many bytes, if there is room.
    fn take(shares: &MemoryShares, bytes: u64) -> Option<MemoryPermit> {
        let mut permit = None;
        shares.add(&mut permit, bytes).then_some(permit).flatten()
    }

    #[test]
    fn one_tenant_holds_all_and_others_still_have_room() {
        let shares = MemoryShares::new(800);
        let [acme, bolt, cog] = ["acme", "bolt", "cog"].map(|tenant| shares.of(&tenant.into()));
        let all: Vec<_> = (0..8).map(|_| take(&acme, 100).unwrap()).collect();
        assert!(take(&acme, 1).is_none());
        // The reserve is an eighth.
        let first = take(&bolt, 60).unwrap();
        assert!(take(&cog, 41).is_none());
        let second = take(&cog, 40).unwrap();
        assert!(take(&bolt, 1).is_none() && take(&acme, 1).is_none());
        drop(first);
        assert!(take(&acme, 1).is_none(), "only for those with less than a quarter");
        let quota = acme.quota("gateway");
        assert_eq!((quota.name, quota.used, quota.limit, quota.refused), ("held_bytes", 840, 800, 5));
        drop((all, second));
        assert!(shares.held().by_tenant.is_empty() && shares.held().total == 0);
    }

    #[test]
    fn who_holds_more_than_a_quarter_has_no_reserve() {
        let shares = MemoryShares::new(800);
        let (acme, bolt) = (shares.of(&"acme".into()), shares.of(&"bolt".into()));
        let _most = take(&acme, 590).unwrap();
        let mut permit = take(&bolt, 200);
        assert!(!bolt.add(&mut permit, 11), "it would be more than a quarter, beyond the budget");
        assert!(bolt.add(&mut permit, 10), "within the budget");
        assert_eq!(permit.map(|permit| permit.bytes()), Some(210));
    }

    #[test]
    fn without_tenants_there_is_the_budget_and_no_more() {
        let shares = MemoryShares::new(800);
        let all: Vec<_> = (0..10).map_while(|_| take(&shares, 100)).collect();
        assert_eq!(all.len(), 8);
        assert!(take(&MemoryShares::new(u64::MAX), u64::MAX).is_some());
        assert!(take(&MemoryShares::new(0), 1).is_none() && MemoryShares::new(0).add(&mut None, 0));
    }
}
