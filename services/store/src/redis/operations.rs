//! The traits of the store as Redis commands.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dataflow_mesh::rate::RateLimit;
use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, Value};
use tokio::sync::watch;

use super::failure::Failure;
use super::scripts::ScriptResult;
use super::{MAX_SHARED, Redis, scripts};
use crate::Store;
use crate::entries::{Condition, Cursor, Entries, Entry, Outcome, Page};
use crate::error::Error;
use crate::generations::{Generation, Generations, REMEMBERED};
use crate::key::{Key, Space};
use crate::leases::{Leases, Token};
use crate::logs::{Appended, LogRecord, Logs, READ_SIZE};
use crate::permits::{Permits, Taken};
use crate::record;
use crate::revision::Revision;
use crate::signals::{CHANGES, Change, Signals, Subscription};
use crate::version_counters::VersionCounters;

/// Keys that one SCAN examines.
const SCAN_COUNT: usize = 1000;

/// How long the id of a log record is retained, in seconds: a day.
const ID_TTL: u64 = 24 * 60 * 60;

// === impl Redis ===

impl Redis {
    async fn get_one(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let command = |max_size: usize| {
            let mut command = scripts::GET.call(&[self.names.entry(key)]);
            command.arg(max_size);
            command
        };
        let mut reply: (Value, i64) = parse(self.read(key.bucket(), command(MAX_SHARED)).await?)?;
        if matches!(reply.0, Value::Int(_)) {
            reply = parse(self.read_large(key.bucket(), command(usize::MAX)).await?)?;
        }
        let (record, ttl): (Option<Vec<u8>>, i64) = (parse(reply.0)?, reply.1);
        let Some(record) = record else { return Ok(None) };
        let (revision, value) = record::decode(key, record.into())?;
        // PTTL returns -1 for a key without expiry.
        let ttl = u64::try_from(ttl).ok().map(Duration::from_millis);
        Ok(Some(Entry { value, revision, ttl }))
    }

    async fn generation(&self, tag: &Key) -> Result<Generation, Error> {
        let mut command = scripts::GENERATION.call(&[self.names.generation(tag)]);
        command.arg(Generation::random().to_string()).arg(milliseconds(REMEMBERED));
        // Idempotent, so that it can be retried as a read.
        let found: String = parse(self.read(tag.bucket(), command).await?)?;
        found.parse().map_err(|error| Error::Unexpected(Box::new(error)))
    }

    /// Appends to a log, if its last position is `last` or `last` is empty.
    async fn append_if(&self, log: &Key, id: &str, value: &[u8], last: &str) -> Result<Appended, Error> {
        let mut command = scripts::APPEND.call(&self.names.log(log, id));
        command.arg(value).arg(ID_TTL).arg(last);
        Ok(match self.write_durably(log.bucket(), command).await? {
            ScriptResult::Done(position) => Appended::At(parse(position)?),
            ScriptResult::Refused(last) => Appended::Behind { last: parse(last)? },
        })
    }

    /// Adds the arguments by which a script publishes a change: the channel, and the message without the count.
    fn add_publish_args(&self, command: &mut Cmd, key: &Key) {
        let change = Change::prefix(key.space.name, key.bucket(), &key.name);
        command.arg(self.names.channel()).arg(format!("{CHANGES}\n{change}"));
    }
}

#[async_trait]
impl Entries for Redis {
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>, Error> {
        try_join_all(keys.iter().map(|key| self.get_one(key))).await
    }

    async fn set(
        &self,
        key: &Key,
        value: Bytes,
        ttl: Option<Duration>,
        condition: Condition,
    ) -> Result<Outcome<Revision>, Error> {
        let revision = Revision::random();
        let names = [self.names.entry(key), self.names.lease(key), self.names.version_counter(key.bucket())];
        let mut command = scripts::SET.call(&names);
        add_condition(&mut command, condition);
        command.arg(record::encode(revision, value));
        command.arg(ttl.map(|ttl| milliseconds(ttl).to_string()).unwrap_or_default());
        self.add_publish_args(&mut command, key);
        let result = if key.space.durable {
            self.write_durably(key.bucket(), command).await?
        } else {
            ScriptResult::of(self.write(key.bucket(), command).await?).map_err(Failure::into_write_error)?
        };
        outcome(result, |_| Ok(revision))
    }

    async fn delete(&self, key: &Key, condition: Condition) -> Result<Outcome<bool>, Error> {
        let names = [self.names.entry(key), self.names.lease(key), self.names.version_counter(key.bucket())];
        let mut command = scripts::DELETE.call(&names);
        add_condition(&mut command, condition);
        self.add_publish_args(&mut command, key);
        // Durable also in volatile spaces: a deleted entry must not reappear after a failover.
        outcome(self.write_durably(key.bucket(), command).await?, parse::<bool>)
    }

    async fn list(&self, space: Space, prefix: &str, from: Option<Cursor>) -> Result<Page, Error> {
        // Scans one primary after the other. If a bucket moves meanwhile, keys may be missing or listed twice.
        let topology = self.primaries.ensure_known().await.map_err(Failure::into_read_error)?;
        let (node, cursor) = match &from {
            None => (topology.links[0].node.to_string(), "0"),
            Some(Cursor(text)) => {
                let (node, cursor) = text.split_once(' ').unwrap_or_default();
                (node.to_owned(), cursor)
            }
        };
        // A SCAN cursor is only valid on the server that issued it.
        let index = topology.links.iter().position(|link| link.node.to_string() == node);
        let index = index.ok_or_else(|| Failure::Moved.into_read_error())?;
        let link = &topology.links[index];
        let mut commands = redis::pipe();
        commands.cmd("SCAN").arg(cursor).arg("MATCH").arg(self.names.pattern(space, prefix));
        commands.arg("COUNT").arg(SCAN_COUNT);
        let reply = link.run(&commands, false).await.map_err(Failure::into_read_error)?.into_iter().next();
        let (cursor, names): (String, Vec<String>) = parse(reply.unwrap_or(Value::Nil))?;
        let keys = names.iter().filter_map(|name| self.names.key(space, name)).collect();
        let next = match cursor.as_str() {
            "0" => topology.links.get(index + 1).map(|link| format!("{} 0", link.node)),
            cursor => Some(format!("{node} {cursor}")),
        };
        Ok(Page { keys, next: next.map(Cursor) })
    }
}

#[async_trait]
impl Leases for Redis {
    async fn acquire(&self, key: &Key, token: Token, hold: Duration) -> Result<bool, Error> {
        let token = token.to_string();
        let mut command = redis::cmd("SET");
        command.arg(self.names.lease(key)).arg(&token).arg("NX").arg("GET").arg("PX").arg(milliseconds(hold));
        // Idempotent: a repeated call finds its own token, so that it can be retried as a read.
        let found: Option<String> = parse(self.read(key.bucket(), command).await?)?;
        Ok(found.is_none_or(|found| found == token))
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, Error> {
        let names = [self.names.lease(key), self.names.version_counter(key.bucket())];
        let mut command = scripts::RELEASE.call(&names);
        command.arg(token.to_string());
        self.add_publish_args(&mut command, key);
        parse(self.write(key.bucket(), command).await?)
    }
}

#[async_trait]
impl Generations for Redis {
    async fn generations(&self, tags: &[Key]) -> Result<Vec<Generation>, Error> {
        try_join_all(tags.iter().map(|tag| self.generation(tag))).await
    }

    async fn renew(&self, tag: &Key) -> Result<Generation, Error> {
        let new = Generation::random();
        let names = [self.names.generation(tag), self.names.version_counter(tag.bucket())];
        let mut command = scripts::RENEW.call(&names);
        command.arg(new.to_string()).arg(milliseconds(REMEMBERED));
        self.add_publish_args(&mut command, tag);
        self.write_durably(tag.bucket(), command).await?;
        Ok(new)
    }
}

#[async_trait]
impl Permits for Redis {
    async fn take(&self, key: &Key, limit: RateLimit, most: u32) -> Result<Taken, Error> {
        let mut command = scripts::TAKE.call(&[self.names.permits(key)]);
        let interval = u64::try_from(limit.interval.as_nanos()).unwrap_or(u64::MAX);
        command.arg(interval).arg(limit.burst).arg(most);
        let (permits, total, wait) = parse(self.write(key.bucket(), command).await?)?;
        Ok(Taken { permits, total, wait: Duration::from_micros(wait) })
    }
}

#[async_trait]
impl Logs for Redis {
    async fn append(&self, log: &Key, id: &str, value: Bytes) -> Result<u64, Error> {
        // An unconditional append is never rejected.
        let (Appended::At(position) | Appended::Behind { last: position }) =
            self.append_if(log, id, &value, "").await?;
        Ok(position)
    }

    async fn append_after(&self, log: &Key, last: u64, id: &str, value: Bytes) -> Result<Appended, Error> {
        self.append_if(log, id, &value, &last.to_string()).await
    }

    async fn read(&self, log: &Key, after: u64, limit: usize) -> Result<Vec<LogRecord>, Error> {
        let [name, ..] = self.names.log(log, "");
        let mut command = scripts::READ.call(&[name]);
        command.arg(after).arg(limit).arg(READ_SIZE);
        let records: Vec<(String, Vec<Vec<u8>>)> = parse(self.read_large(log.bucket(), command).await?)?;
        let record = |(id, fields): (String, Vec<Vec<u8>>)| {
            let position = id.split_once('-').and_then(|(position, _)| position.parse().ok());
            let (position, value) =
                position.zip(fields.into_iter().nth(1)).ok_or_else(|| Error::Unreadable {
                    key: log.to_string(),
                    problem: format!("record {id} was not written by this application"),
                })?;
            Ok(LogRecord { position, value: value.into() })
        };
        records.into_iter().map(record).collect()
    }

    async fn trim(&self, log: &Key, first: u64) -> Result<(), Error> {
        let [name, last, _] = self.names.log(log, "");
        let mut command = scripts::TRIM.call(&[name, last]);
        command.arg(first);
        self.write_durably(log.bucket(), command).await.map(drop)
    }
}

#[async_trait]
impl Signals for Redis {
    async fn publish(&self, topic: &str, message: Bytes) -> Result<(), Error> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.names.channel()).arg([topic.as_bytes(), b"\n", &message].concat());
        // Any primary will do: a Cluster forwards messages to all nodes.
        self.write(0, command).await.map(drop)
    }

    fn subscribe(&self, topic: &'static str) -> Subscription {
        self.hub.subscribe(topic)
    }
}

impl Store for Redis {
    fn version_counters(&self) -> Option<watch::Receiver<VersionCounters>> {
        Some(self.version_counters.clone())
    }
}

/// Adds a condition in the scripts' format: its kind and the expected value.
fn add_condition(command: &mut Cmd, condition: Condition) {
    match condition {
        Condition::Always => command.arg("always").arg(""),
        Condition::Absent => command.arg("absent").arg(""),
        Condition::Revision(revision) => command.arg("revision").arg(&revision.number().to_le_bytes()),
        Condition::Lease(token) => command.arg("lease").arg(token.to_string()),
    };
}

/// Converts the result of a script. `Refused` carries the bytes of the current revision.
fn outcome<T>(
    result: ScriptResult,
    done: impl FnOnce(Value) -> Result<T, Error>,
) -> Result<Outcome<T>, Error> {
    match result {
        ScriptResult::Done(result) => done(result).map(Outcome::Done),
        ScriptResult::Refused(found) => {
            let found: Vec<u8> = parse(found)?;
            let revision = found.try_into().ok().map(u64::from_le_bytes).and_then(Revision::new);
            Ok(Outcome::Refused(revision))
        }
    }
}

pub(super) fn parse<T: FromRedisValue>(value: Value) -> Result<T, Error> {
    redis::from_redis_value(value).map_err(|error| Error::Unexpected(Box::new(error)))
}

/// A time to live in Redis' unit: whole milliseconds, at least 1.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
