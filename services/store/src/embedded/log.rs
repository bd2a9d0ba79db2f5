//! Logs, in two tables: the records, and the ids of recent records.

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::key::Key;
use crate::logs::{Appended, LogRecord, READ_SIZE};

/// Space, name and position, to the bytes.
const RECORDS: TableDefinition<'_, (&str, &str, u64), &[u8]> = TableDefinition::new("log_records");

/// Space, name, day of the write and id, to the position. Ordered by day, so that expired ids are adjacent.
const IDS: TableDefinition<'_, (&str, &str, u64, &str), u64> = TableDefinition::new("log_ids");

/// A day in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Creates the tables, so that readers find them.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(RECORDS)?;
    transaction.open_table(IDS)?;
    Ok(())
}

/// Reads at most `limit` records after a position, and no more once they have [`READ_SIZE`] bytes.
pub(super) fn read(
    transaction: &ReadTransaction,
    log: &Key,
    after: u64,
    limit: usize,
) -> Result<Vec<LogRecord>, redb::Error> {
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let table = transaction.open_table(RECORDS)?;
    let (space, name) = (log.space.name, log.name.as_str());
    let records = table.range((space, name, first)..=(space, name, u64::MAX))?;
    let (mut read, mut size) = (Vec::new(), 0);
    for stored in records.take(limit) {
        let (key, value) = stored?;
        let value = Bytes::copy_from_slice(value.value());
        size += value.len();
        read.push(LogRecord { position: key.value().2, value });
        if size >= READ_SIZE {
            break;
        }
    }
    Ok(read)
}

/// Removes the records before position `first`, except the last one.
pub(super) fn trim(transaction: &WriteTransaction, log: &Key, first: u64) -> Result<(), redb::Error> {
    let (space, name) = (log.space.name, log.name.as_str());
    let mut records = transaction.open_table(RECORDS)?;
    let first = first.min(last_position(&records, space, name)?);
    records.retain_in((space, name, 0)..(space, name, first), |_, _| false)?;
    Ok(())
}

/// The position of the last record, 0 if there is none.
fn last_position(
    records: &impl ReadableTable<(&'static str, &'static str, u64), &'static [u8]>,
    space: &str,
    name: &str,
) -> Result<u64, redb::Error> {
    let last = records.range((space, name, 0)..=(space, name, u64::MAX))?.next_back().transpose()?;
    Ok(last.map_or(0, |(key, _)| key.value().2))
}

/// Appends a record, unless its id was written today or yesterday, or the last position is not the expected one;
/// returns the position. `now` is in Unix milliseconds.
pub(super) fn append(
    transaction: &WriteTransaction,
    log: &Key,
    id: &str,
    now: u64,
    value: &[u8],
    expected_last: Option<u64>,
) -> Result<Appended, redb::Error> {
    let ((space, name), day) = ((log.space.name, log.name.as_str()), now / DAY);
    let mut ids = transaction.open_table(IDS)?;
    let yesterday = day.saturating_sub(1);
    for day in [day, yesterday] {
        if let Some(position) = ids.get((space, name, day, id))? {
            return Ok(Appended::At(position.value()));
        }
    }
    let mut records = transaction.open_table(RECORDS)?;
    let last = last_position(&records, space, name)?;
    if expected_last.is_some_and(|expected| expected != last) {
        return Ok(Appended::Behind { last });
    }
    let position = last + 1;
    ids.retain_in((space, name, 0, "")..(space, name, yesterday, ""), |_, _| false)?;
    records.insert((space, name, position), value)?;
    ids.insert((space, name, day, id), position)?;
    Ok(Appended::At(position))
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Builder, ReadableTableMetadata};

    use super::*;
    use crate::key::Space;

    const TODAY: u64 = 20_000;

    #[test]
    fn ids_are_retained_for_one_to_two_days() {
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        let log = |name: &str| Space::durable("audit").key(name);
        let transaction = database.begin_write().unwrap();
        let check = |name, id, day, expected| {
            assert_eq!(
                append(&transaction, &log(name), id, day * DAY, b"x", None).unwrap(),
                Appended::At(expected),
                "{name} {id} {day}"
            );
        };
        check("a", "1", TODAY, 1);
        check("a", "2", TODAY, 2);
        check("a", "1", TODAY, 1);
        check("b", "1", TODAY, 1);
        check("a", "1", TODAY + 1, 1);
        check("a", "1", TODAY + 2, 3);
        assert_eq!(transaction.open_table(IDS).unwrap().len().unwrap(), 2, "a 1 of the last day, and b 1");
        check("b", "1", TODAY + 3, 2);
        check("a", "1", TODAY + 3, 3);
    }
}
