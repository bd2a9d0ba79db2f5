//! A snapshot of the topology: which primary has which bucket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;

use super::address::Node;
use super::failure::Failure;
use super::link::Link;
use super::names;
use crate::key::BUCKETS;

/// The primaries and their buckets at one moment.
#[derive(Default)]
pub(super) struct Topology {
    /// Each primary once.
    pub(super) links: Vec<Arc<Link>>,
    /// The index in `links` of each bucket's primary; none while it is unknown.
    owners: Vec<Option<usize>>,
    /// Nodes to which buckets are being migrated, without a bucket yet.
    migration_targets: Mutex<Vec<Arc<Link>>>,
}

/// A range of hash slots, `first` to `last`, and its primary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    first: u16,
    last: u16,
    node: Node,
}

// === impl Topology ===

impl Topology {
    /// A topology with all buckets on one server.
    pub(super) fn of_one(link: Arc<Link>) -> Self {
        Self { links: vec![link], owners: vec![Some(0); BUCKETS], ..Self::default() }
    }

    /// Parses the reply to `CLUSTER SLOTS`; `link` finds or creates the link to a node.
    pub(super) fn of_cluster(
        slots: Value,
        queried: &Node,
        link: impl Fn(Node) -> Result<Arc<Link>, Failure>,
    ) -> Result<Self, Failure> {
        let mut topology = Self { owners: vec![None; BUCKETS], ..Self::default() };
        for SlotRange { first, last, node } in ranges(slots, queried) {
            let index = match topology.links.iter().position(|link| link.node == node) {
                Some(index) => index,
                None => {
                    topology.links.push(link(node)?);
                    topology.links.len() - 1
                }
            };
            for bucket in (0..BUCKETS).filter(|&bucket| (first..=last).contains(&names::slot_of(bucket))) {
                topology.owners[bucket] = Some(index);
            }
        }
        Ok(topology)
    }

    /// The link to the primary of a bucket.
    pub(super) fn owner(&self, bucket: usize) -> Option<&Arc<Link>> {
        self.owners.get(bucket).copied().flatten().map(|index| &self.links[index])
    }

    /// The buckets of the primary at this index of `links`.
    pub(super) fn buckets(&self, link: usize) -> Vec<usize> {
        (0..self.owners.len()).filter(|&bucket| self.owners[bucket] == Some(link)).collect()
    }

    /// Whether another topology has the same primaries and buckets.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let nodes = self.links.iter().map(|link| &link.node);
        self.owners == other.owners && nodes.eq(other.links.iter().map(|link| &link.node))
    }

    /// The link to a node, either a primary or a migration target.
    pub(super) fn link(&self, node: &Node) -> Option<Arc<Link>> {
        self.links.iter().chain(&*self.migration_targets()).find(|link| link.node == *node).cloned()
    }

    /// As [`link`](Self::link); for an unknown node, the link that `connect` creates, which is kept as long as this
    /// topology.
    pub(super) fn link_or_connect(
        &self,
        node: Node,
        connect: impl FnOnce(Node) -> Result<Link, Failure>,
    ) -> Result<Arc<Link>, Failure> {
        let mut migration_targets = self.migration_targets();
        if let Some(link) = self.links.iter().chain(&*migration_targets).find(|link| link.node == node) {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(connect(node)?);
        migration_targets.push(Arc::clone(&link));
        Ok(link)
    }

    /// All nodes that are not in another topology.
    pub(super) fn nodes_not_in(&self, other: &Self) -> Vec<Node> {
        let mut nodes: Vec<_> =
            self.links.iter().chain(&*self.migration_targets()).map(|link| link.node.clone()).collect();
        nodes.retain(|node| other.link(node).is_none());
        nodes
    }

    fn migration_targets(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        // No operation under the lock can panic halfway.
        self.migration_targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a `CLUSTER SLOTS` reply: first slot, last slot, the primary as host, port and more, its replicas. A node
/// without a host is the queried one.
pub(super) fn ranges(slots: Value, queried: &Node) -> Vec<SlotRange> {
    let range = |range: Value| {
        let mut parts = redis::from_redis_value::<Vec<Value>>(range).ok()?.into_iter();
        let first = redis::from_redis_value(parts.next()?).ok()?;
        let last = redis::from_redis_value(parts.next()?).ok()?;
        let mut primary = redis::from_redis_value::<Vec<Value>>(parts.next()?).ok()?.into_iter();
        let host: Option<String> = redis::from_redis_value(primary.next()?).ok()?;
        let port = redis::from_redis_value(primary.next()?).ok()?;
        let host =
            host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| queried.host.clone());
        Some(SlotRange { first, last, node: Node { host, port } })
    };
    let ranges = redis::from_redis_value::<Vec<Value>>(slots).unwrap_or_default();
    ranges.into_iter().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_ranges_are_parsed_and_a_node_without_a_host_is_the_queried_one() {
        let node = |host: &str, port| Node { host: host.to_owned(), port };
        let queried = node("queried", 1);
        let check = |reply: &[u8], expected: &[SlotRange]| {
            assert_eq!(ranges(redis::parse_redis_value(reply).unwrap(), &queried), expected);
        };
        check(b"*0\r\n", &[]);
        check(b"$5\r\nwrong\r\n", &[]);
        check(
            b"*3\r\n*3\r\n:0\r\n:99\r\n*2\r\n$1\r\na\r\n:7\r\n*3\r\n:100\r\n:16383\r\n*2\r\n$-1\r\n:8\r\n*1\r\n:1\r\n",
            &[
                SlotRange { first: 0, last: 99, node: node("a", 7) },
                SlotRange { first: 100, last: 16383, node: node("queried", 8) },
            ],
        );
    }
}
