//! The memory of request messages: each is counted while it arrives, with what it takes once it is decoded, against one
//! budget for all calls, which tenants share.

use std::sync::Arc;

use crate::elements::ElementCounter;
use crate::inbound::error::Error;
use crate::memory::{Level, Memory};
use crate::memory_shares::{MemoryPermit, MemoryShares};
use crate::process_status::Quota;

/// A message below this does not count: there are at most as many as calls.
const SMALL: u64 = 64 * 1024;

/// The budget of all calls. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub(crate) struct RequestMemory {
    budget: MemoryShares,
    /// The most bytes of a message.
    max_message: u64,
    /// The most bytes that a message may take in addition to its own.
    max_elements: u64,
    memory: Memory,
}

/// The memory of the message of one call.
#[derive(Debug)]
pub(super) struct MessageMemory {
    of: RequestMemory,
    elements: ElementCounter,
    bytes: u64,
    permit: Option<MemoryPermit>,
}

// === impl RequestMemory ===

impl RequestMemory {
    /// At most `total` bytes of all messages, and `max_message` of one. A decoded message may take as many again.
    pub(crate) fn new(total: u64, max_message: u64, memory: Memory) -> Self {
        Self { budget: MemoryShares::new(total), max_message, max_elements: max_message.min(total), memory }
    }

    /// The budget, as a quota of a role.
    pub(crate) fn quota(&self, role: &'static str) -> Quota {
        self.budget.quota(role)
    }

    /// The same budget, for a tenant.
    pub(super) fn of(&self, tenant: &Arc<str>) -> Self {
        Self { budget: self.budget.of(tenant), ..self.clone() }
    }

    /// Whether the process is so close to its limit that it takes no further work of this kind.
    pub(super) fn is_lacking(&self, is_bulk: bool) -> bool {
        match self.memory.level() {
            Level::Normal => false,
            Level::Soft => is_bulk,
            Level::Hard => true,
        }
    }

    /// The most bytes of a message.
    pub(super) fn max_message(&self) -> u64 {
        self.max_message
    }

    /// Has `permit` stand for so many bytes in all.
    pub(super) fn hold(&self, permit: &mut Option<MemoryPermit>, bytes: u64) -> Result<(), Error> {
        if bytes <= SMALL {
            return Ok(());
        }
        // It would not fit alone either.
        let total = self.budget.total();
        if bytes > total {
            return Err(Error::TooManyElements { limit: total });
        }
        let has = permit.as_ref().map_or(0, MemoryPermit::bytes);
        if self.budget.add(permit, bytes.saturating_sub(has)) { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// Counts the message of a call.
    pub(super) fn message(&self, count: impl FnOnce(u64) -> Option<ElementCounter>) -> Option<MessageMemory> {
        let elements = count(self.max_elements)?;
        Some(MessageMemory { of: self.clone(), elements, bytes: 0, permit: None })
    }
}

// === impl MessageMemory ===

impl MessageMemory {
    /// Counts the next bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.elements.read(bytes).map_err(|_| Error::TooManyElements { limit: self.of.max_elements })?;
        self.bytes += bytes.len() as u64;
        self.of.hold(&mut self.permit, self.bytes + self.elements.cost())
    }

    /// The permit, which the call keeps: the decoded message lives until it ends.
    pub(super) fn take(&mut self) -> Option<MemoryPermit> {
        self.permit.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Methods;

    #[test]
    fn above_the_first_mark_there_is_no_memory_for_bulk_calls_and_above_the_second_for_none() {
        for (level, expected) in
            [(Level::Normal, [false, false]), (Level::Soft, [true, false]), (Level::Hard, [true, true])]
        {
            let memory = RequestMemory::new(1 << 20, 64 << 20, Memory::at(level));
            assert_eq!([true, false].map(|is_bulk| memory.is_lacking(is_bulk)), expected, "{level:?}");
        }
    }

    #[test]
    fn messages_share_a_budget_from_a_size_on() {
        let methods = Methods::of(&["grpc.health.v1.Health"], tonic_health::pb::FILE_DESCRIPTOR_SET);
        let memory = RequestMemory::new(1 << 20, 64 << 20, Memory::unlimited());
        let message_of = |tenant: &str| {
            let counter = |limit| methods.types().counter(".grpc.health.v1.HealthCheckRequest", limit);
            memory.of(&tenant.into()).message(counter).unwrap()
        };
        let message = || message_of("");
        let mut first = message();
        first.read(&[0; 60_000]).unwrap();
        assert!(first.take().is_none(), "small");
        first.read(&[0; 600_000]).unwrap();
        let mut second = message();
        assert!(matches!(second.read(&[0; 600_000]), Err(Error::NoMemory)));
        let mut small = message();
        small.read(&[0; 60_000]).unwrap();
        message_of("acme").read(&[0; 100_000]).unwrap();
        let kept = first.take();
        drop(first);
        assert!(message().read(&[0; 600_000]).is_err(), "kept by the call");
        drop(kept);
        message().read(&[0; 600_000]).unwrap();
    }
}
