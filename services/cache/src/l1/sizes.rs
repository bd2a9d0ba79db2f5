//! The number of copies and their bytes, by namespace: callers may learn nothing about a namespace that they cannot
//! access, and moka counts all copies together.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Copy;
use crate::key::NAMESPACES;

/// One count for each namespace.
#[derive(Debug, Default)]
pub(super) struct Sizes([Size; NAMESPACES.len()]);

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

    pub(super) fn remove(&self, name: &str, copy: &Copy) {
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

    fn find(&self, namespace: &str) -> Option<&Size> {
        NAMESPACES.iter().zip(&self.0).find(|(known, _)| **known == namespace).map(|(_, size)| size)
    }
}
