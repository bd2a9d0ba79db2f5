//! Collections as Redis commands: the items in one hash, each content in another.

use async_trait::async_trait;
use bytes::Bytes;
use redis::Value;

use super::operations::parse;
use super::scripts::ScriptResult;
use super::{Redis, scripts};
use crate::collections::{Applied, Change, Collection, Collections, ContentId, STAGED};
use crate::error::Error;
use crate::key::Key;

#[async_trait]
impl Collections for Redis {
    async fn collection(&self, collection: &Key) -> Result<Collection, Error> {
        let command = scripts::COLLECTION.call(&self.names.collection(collection));
        let reply = self.read_large(collection.bucket(), command).await?;
        let (version, items): (u64, Vec<(String, Vec<u8>)>) = parse(reply)?;
        let items = items.into_iter().map(|(item, record)| (item, record.into())).collect();
        Ok(Collection { version, items })
    }

    async fn stage(
        &self,
        collection: &Key,
        content: ContentId,
        index: u32,
        chunk: Bytes,
    ) -> Result<(), Error> {
        let mut command = scripts::STAGE.call(&[self.names.content(collection, content)]);
        command.arg(index).arg(&chunk[..]).arg(STAGED.as_secs());
        // Replicas confirm it with the change that keeps it, which follows it.
        self.write(collection.bucket(), command).await.map(drop)
    }

    async fn chunk(&self, collection: &Key, content: ContentId, index: u32) -> Result<Option<Bytes>, Error> {
        let mut command = redis::cmd("HGET");
        command.arg(self.names.content(collection, content)).arg(index);
        let found: Option<Vec<u8>> = parse(self.read_large(collection.bucket(), command).await?)?;
        Ok(found.map(Bytes::from))
    }

    async fn apply(&self, collection: &Key, version: u64, changes: Vec<Change>) -> Result<Applied, Error> {
        let (mut kept, mut dropped, mut put, mut removed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for change in &changes {
            match change {
                Change::Put { item, record } => put.push((item, record)),
                Change::Remove { item } => removed.push(item),
                Change::Keep { content, chunks } => kept.push((*content, *chunks)),
                Change::Drop { content } => dropped.push(*content),
            }
        }
        let contents = kept.iter().map(|(content, _)| *content).chain(dropped);
        let contents = contents.map(|content| self.names.content(collection, content));
        let keys: Vec<_> = self.names.collection(collection).into_iter().chain(contents).collect();
        let mut command = scripts::APPLY.call(&keys);
        command.arg(version).arg(kept.len()).arg(put.len());
        kept.iter().for_each(|(_, chunks)| _ = command.arg(*chunks));
        put.iter().for_each(|(item, record)| _ = command.arg(item.as_str()).arg(&record[..]));
        removed.iter().for_each(|item| _ = command.arg(item.as_str()));
        Ok(match self.write_durably(collection.bucket(), command).await? {
            ScriptResult::Done(version) => Applied::At(parse(version)?),
            ScriptResult::Refused(Value::Int(-1)) => Applied::Incomplete,
            ScriptResult::Refused(version) => Applied::Behind { version: parse(version)? },
        })
    }
}
