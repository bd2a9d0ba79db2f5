//! Collections in the embedded database: their versions, their items, and their contents in chunks.

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use crate::collections::{Applied, Change, Collection, ContentId, STAGED};
use crate::key::Key;

/// Space and name of a collection, to its version.
const VERSIONS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("collections");

/// Space and name of a collection and name of the item, to its record.
const ITEMS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("collection_items");

/// Space and name of a collection and the content, to when it is removed in Unix milliseconds; 0 for a kept one.
const CONTENTS: TableDefinition<'_, (&str, &str, u64), u64> = TableDefinition::new("collection_contents");

/// Space and name of a collection, content and index, to the bytes.
const CHUNKS: TableDefinition<'_, (&str, &str, u64, u32), &[u8]> = TableDefinition::new("collection_chunks");

/// Creates the tables, so that readers find them.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(VERSIONS)?;
    transaction.open_table(ITEMS)?;
    transaction.open_table(CONTENTS)?;
    transaction.open_table(CHUNKS)?;
    Ok(())
}

pub(super) fn read(transaction: &ReadTransaction, collection: &Key) -> Result<Collection, redb::Error> {
    let (space, name) = (collection.space.name, collection.name.as_str());
    let version = transaction.open_table(VERSIONS)?.get((space, name))?.map_or(0, |found| found.value());
    let mut items = Vec::new();
    for stored in transaction.open_table(ITEMS)?.range((space, name, "")..)? {
        let (key, record) = stored?;
        let (of, collection, item) = key.value();
        if (of, collection) != (space, name) {
            break;
        }
        items.push((item.to_owned(), Bytes::copy_from_slice(record.value())));
    }
    Ok(Collection { version, items })
}

pub(super) fn chunk(
    transaction: &ReadTransaction,
    collection: &Key,
    content: ContentId,
    index: u32,
) -> Result<Option<Bytes>, redb::Error> {
    let key = (collection.space.name, collection.name.as_str(), content.number(), index);
    let found = transaction.open_table(CHUNKS)?.get(key)?;
    Ok(found.map(|bytes| Bytes::copy_from_slice(bytes.value())))
}

/// Stores a chunk of a content that expires. `now` is in Unix milliseconds.
pub(super) fn stage(
    transaction: &WriteTransaction,
    collection: &Key,
    (content, index): (ContentId, u32),
    chunk: &[u8],
    now: u64,
) -> Result<(), redb::Error> {
    if index == 0 {
        remove_expired(transaction, now)?;
    }
    let (space, name) = (collection.space.name, collection.name.as_str());
    let expires = now.saturating_add(u64::try_from(STAGED.as_millis()).unwrap_or(u64::MAX));
    transaction.open_table(CONTENTS)?.insert((space, name, content.number()), expires)?;
    transaction.open_table(CHUNKS)?.insert((space, name, content.number(), index), chunk)?;
    Ok(())
}

/// Makes all changes, or none.
pub(super) fn apply(
    transaction: &WriteTransaction,
    collection: &Key,
    expected: u64,
    changes: &[Change],
) -> Result<Applied, redb::Error> {
    let (space, name) = (collection.space.name, collection.name.as_str());
    let mut versions = transaction.open_table(VERSIONS)?;
    let version = versions.get((space, name))?.map_or(0, |found| found.value());
    if version != expected {
        return Ok(Applied::Behind { version });
    }
    for change in changes {
        if let Change::Keep { content, chunks } = change
            && count(transaction, collection, *content)? != u64::from(*chunks)
        {
            return Ok(Applied::Incomplete);
        }
    }
    for change in changes {
        match change {
            Change::Put { item, record } => {
                transaction.open_table(ITEMS)?.insert((space, name, item.as_str()), &record[..])?;
            }
            Change::Remove { item } => {
                transaction.open_table(ITEMS)?.remove((space, name, item.as_str()))?;
            }
            Change::Keep { content, .. } => {
                transaction.open_table(CONTENTS)?.insert((space, name, content.number()), 0)?;
            }
            Change::Drop { content } => remove(transaction, (space, name), content.number())?,
        }
    }
    versions.insert((space, name), version + 1)?;
    Ok(Applied::At(version + 1))
}

/// The number of chunks of a content.
fn count(transaction: &WriteTransaction, collection: &Key, content: ContentId) -> Result<u64, redb::Error> {
    let (space, name, content) = (collection.space.name, collection.name.as_str(), content.number());
    let chunks = transaction.open_table(CHUNKS)?;
    let mut count = 0;
    for chunk in chunks.range((space, name, content, 0)..=(space, name, content, u32::MAX))? {
        chunk?;
        count += 1;
    }
    Ok(count)
}

/// Removes a content and its chunks.
fn remove(
    transaction: &WriteTransaction,
    (space, name): (&str, &str),
    content: u64,
) -> Result<(), redb::Error> {
    transaction.open_table(CONTENTS)?.remove((space, name, content))?;
    let mut chunks = transaction.open_table(CHUNKS)?;
    chunks.retain_in((space, name, content, 0)..=(space, name, content, u32::MAX), |_, _| false)?;
    Ok(())
}

/// Removes the contents that no change has kept in time. There are as many contents as items, and those being written.
fn remove_expired(transaction: &WriteTransaction, now: u64) -> Result<(), redb::Error> {
    let mut expired = Vec::new();
    for stored in transaction.open_table(CONTENTS)?.iter()? {
        let (key, expires) = stored?;
        let (space, name, content) = key.value();
        if (1..=now).contains(&expires.value()) {
            expired.push((space.to_owned(), name.to_owned(), content));
        }
    }
    expired.iter().try_for_each(|(space, name, content)| remove(transaction, (space, name), *content))
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Builder, ReadableDatabase, ReadableTableMetadata};

    use super::*;
    use crate::key::Space;

    #[test]
    fn a_content_that_no_change_keeps_expires_with_its_chunks() {
        let database = Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        let collection = Space::durable("test").key("a");
        let [abandoned, kept, later] = [(); 3].map(|()| ContentId::random());
        let transaction = database.begin_write().unwrap();
        create(&transaction).unwrap();
        let stage = |content, index, now| {
            stage(&transaction, &collection, (content, index), b"chunk", now).unwrap();
        };
        let expired = 1_000 + u64::try_from(STAGED.as_millis()).unwrap();
        for content in [abandoned, kept] {
            stage(content, 0, 1_000);
            stage(content, 1, 1_000);
        }
        let keep = [Change::Keep { content: kept, chunks: 2 }];
        assert_eq!(apply(&transaction, &collection, 0, &keep).unwrap(), Applied::At(1));
        stage(later, 0, expired - 1);
        let count = |content| count(&transaction, &collection, content).unwrap();
        assert_eq!([abandoned, kept, later].map(count), [2, 2, 1]);
        stage(later, 0, expired);
        assert_eq!([abandoned, kept, later].map(count), [0, 2, 1]);
        transaction.commit().unwrap();
        let read = database.begin_read().unwrap();
        assert_eq!(read.open_table(CONTENTS).unwrap().len().unwrap(), 2);
    }
}
