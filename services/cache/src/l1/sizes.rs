//! The number of copies and their bytes, by namespace: callers may learn nothing about a namespace that they cannot
//! access, and moka counts all copies together.

use std::sync::atomic::{AtomicU64, Ordering};

use moka::notification::RemovalCause;

use super::Copy;
use crate::key::NAMESPACES;

/// Why a copy leaves by itself: there is no room for it, or its time to live has passed.
pub(super) const REMOVALS: [&str; 2] = ["size", "expired"];

/// One count for each namespace, and of the copies that were evicted.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    by_namespace: [Size; NAMESPACES.len()],
    /// In the order of [`REMOVALS`].
    evictions: [AtomicU64; REMOVALS.len()],
}

#[derive(Debug, Default)]
struct Size {
    entries: AtomicU64,
    bytes: AtomicU64,
}

// === impl Sizes ===

impl Sizes {
    pub(super) fn add(&self, name: &str, copy: &Copy) {
        if let Some(size) = self.find(copy.namespace) {
            size.entries.fetch_add(1, Ordering::Relaxed);
            size.bytes.fetch_add(copy.weight(name).into(), Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, name: &str, copy: &Copy, cause: RemovalCause) {
        match cause {
            RemovalCause::Size => drop(self.evictions[0].fetch_add(1, Ordering::Relaxed)),
            RemovalCause::Expired => drop(self.evictions[1].fetch_add(1, Ordering::Relaxed)),
            // Somebody has changed the entry.
            RemovalCause::Explicit | RemovalCause::Replaced => {}
        }
        if let Some(size) = self.find(copy.namespace) {
            size.entries.fetch_sub(1, Ordering::Relaxed);
            size.bytes.fetch_sub(copy.weight(name).into(), Ordering::Relaxed);
        }
    }

    pub(super) fn of(&self, namespace: &str) -> (u64, u64) {
        let size = self.find(namespace);
        size.map(|size| (size.entries.load(Ordering::Relaxed), size.bytes.load(Ordering::Relaxed)))
            .unwrap_or_default()
    }

    pub(super) fn evictions(&self) -> [u64; REMOVALS.len()] {
        self.evictions.each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    fn find(&self, namespace: &str) -> Option<&Size> {
        NAMESPACES
            .iter()
            .zip(&self.by_namespace)
            .find(|(known, _)| **known == namespace)
            .map(|(_, size)| size)
    }
}
