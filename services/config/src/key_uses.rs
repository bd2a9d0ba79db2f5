//! When keys were last used: entries in the store beside the journal, so that a use is no change, and no watch of keys
//! is woken by it.
//!
//! Sixteen entries have all keys, each those whose identifiers end with its digit. A write of an entry drops the keys
//! that do not exist any more, so that there are never more uses than keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use dataflow_store::Store;
use dataflow_store::entries::{Condition, Outcome};
use dataflow_store::key::Key;

use crate::Error;
use crate::bounded_log::Unreadable;
use crate::journal::SPACE;
use crate::stored::refusal::{Uses, decode_uses, encode_uses};

/// The most keys of one report.
pub const MAX_REPORTED: usize = 1000;

/// The last digits of identifiers.
const DIGITS: &str = "0123456789abcdef";

/// The most attempts at a write that conflicts with others.
const MAX_ATTEMPTS: usize = 32;

/// The last uses of keys.
pub struct KeyUses {
    store: Arc<dyn Store>,
    /// The entries by their digits, as last read or written, for when the store is unreachable.
    known: Mutex<BTreeMap<char, Uses>>,
}

// === impl KeyUses ===

impl KeyUses {
    /// The uses in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Records these uses of keys, as far as the keys exist, and none before what is recorded already.
    ///
    /// # Errors
    ///
    /// If the store is unreachable, or a later release has written there.
    pub async fn record(
        &self,
        uses: Vec<(String, SystemTime)>,
        now: SystemTime,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let mut by_digit: BTreeMap<char, Vec<(String, SystemTime)>> = BTreeMap::new();
        for (key_id, time) in uses.into_iter().filter(|(key_id, _)| exists(key_id)) {
            if let Some(digit) = digit_of(&key_id) {
                by_digit.entry(digit).or_default().push((key_id, whole_seconds(time.min(now))));
            }
        }
        for (digit, uses) in by_digit {
            self.write(digit, &uses, &exists).await?;
        }
        Ok(())
    }

    /// Forgets a key that was deleted. If that fails, the next write of the entry does it.
    pub async fn forget(&self, key_id: &str, exists: impl Fn(&str) -> bool) {
        let Some(digit) = digit_of(key_id) else { return };
        if let Err(error) = self.write(digit, &[], &exists).await {
            tracing::debug!(%error, "key uses: not removed with the key, the next use of another one will do it");
        }
    }

    /// When these keys were last used: as last read, while the store is unreachable.
    pub async fn of(&self, key_ids: &[&str]) -> Uses {
        let digits: BTreeSet<char> = key_ids.iter().filter_map(|key_id| digit_of(key_id)).collect();
        let entries: Vec<Key> = digits.iter().map(|digit| entry(*digit)).collect();
        match self.store.get(&entries).await {
            Ok(found) => {
                for (digit, found) in digits.into_iter().zip(found) {
                    let read = found.map(|found| decode_uses(found.value)).transpose();
                    match read {
                        Ok(uses) => drop(self.known().insert(digit, uses.unwrap_or_default())),
                        Err(error) => tracing::warn!(%error, %digit, "key uses: entry unreadable, skipped"),
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "key uses: not read, the last known ones are shown"),
        }
        let known = self.known();
        let of_key = |key_id: &&str| {
            let time = known.get(&digit_of(key_id)?)?.get(*key_id)?;
            Some(((*key_id).to_owned(), *time))
        };
        key_ids.iter().filter_map(of_key).collect()
    }

    /// Adds uses to an entry, and drops the keys that do not exist.
    async fn write(
        &self,
        digit: char,
        uses: &[(String, SystemTime)],
        exists: &impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let entry = entry(digit);
        for _ in 0..MAX_ATTEMPTS {
            let found = self.store.get(std::slice::from_ref(&entry)).await?.into_iter().next().flatten();
            let (before, condition) = match found {
                None => (Uses::new(), Condition::Absent),
                Some(found) => (before(found.value)?, Condition::Revision(found.revision)),
            };
            let mut after = before.clone();
            after.retain(|key_id, _| exists(key_id));
            for (key_id, time) in uses {
                let last = after.entry(key_id.clone()).or_insert(*time);
                *last = (*last).max(*time);
            }
            let is_written = after == before
                || matches!(
                    self.store.set(&entry, encode_uses(&after), None, condition).await?,
                    Outcome::Done(_)
                );
            if is_written {
                self.known().insert(digit, after);
                return Ok(());
            }
        }
        Err(Error::TooManyChanges)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<char, Uses>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uses in an entry that is written again. What is damaged is replaced, what a later release wrote is not.
fn before(value: Bytes) -> Result<Uses, Error> {
    match decode_uses(value) {
        Ok(uses) => Ok(uses),
        Err(Unreadable::Format { .. }) => Err(Error::ReleaseOutdated),
        Err(unreadable @ Unreadable::Malformed(_)) => {
            tracing::warn!(%unreadable, "key uses: entry unreadable, replaced");
            Ok(Uses::new())
        }
    }
}

/// The digit of the entry that has a key; none for what is no identifier of a key.
fn digit_of(key_id: &str) -> Option<char> {
    key_id.chars().next_back().filter(|last| DIGITS.contains(*last))
}

fn entry(digit: char) -> Key {
    SPACE.key(format!("key-uses/{digit}"))
}

/// As it is stored, so that the same use is written once.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests;
