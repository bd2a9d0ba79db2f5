//! The atomic steps, as Lua scripts. All keys of a script are in one slot.
//!
//! Every connection loads them during its handshake, so that calls refer to them by digest (EVALSHA).

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Value};

use super::failure::Failure;

/// A Lua script.
pub(super) struct Script {
    code: String,
    /// Its SHA-1 in hexadecimal, as EVALSHA expects it.
    digest: String,
}

/// Reads a value and its time to live atomically. Of a value above a size, returns only its size.
///
/// KEYS: entry. ARGV: the largest size to return.
pub(super) static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local size, ttl = redis.call('STRLEN', KEYS[1]), redis.call('PTTL', KEYS[1])
        if size > tonumber(ARGV[1]) then return {size, ttl} end
        return {redis.call('GET', KEYS[1]), ttl}",
    )
});

/// Writes a value if a condition is met.
///
/// KEYS: entry, lease, version counter. ARGV: kind of condition, expected value, record, time to live in milliseconds
/// or empty, channel, message. Returns 1; or 0 and the current revision.
pub(super) static SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(format!(
        "{CONDITION}
        if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3])
        else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
        redis.call('DEL', KEYS[2])
        redis.call('PUBLISH', ARGV[5], ARGV[6] .. redis.call('INCR', KEYS[3]))
        return {{1}}"
    ))
});

/// Deletes a key if a condition is met.
///
/// KEYS: entry, lease, version counter. ARGV: kind of condition, expected value, channel, message. Returns 1 and the
/// number of deleted entries; or 0 and the current revision.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(format!(
        "{CONDITION}
        local existed = redis.call('DEL', KEYS[1])
        redis.call('DEL', KEYS[2])
        redis.call('PUBLISH', ARGV[3], ARGV[4] .. redis.call('INCR', KEYS[3]))
        return {{1, existed}}"
    ))
});

/// Releases a lease if it is held with this token.
///
/// KEYS: lease, version counter. ARGV: token, channel, message. Returns whether it was held.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('DEL', KEYS[1])
        redis.call('PUBLISH', ARGV[2], ARGV[3] .. redis.call('INCR', KEYS[2]))
        return 1",
    )
});

/// Reads a generation, or creates it. Extends its expiry once half of it has passed; if Redis rejects writes at
/// present, the generation is read nevertheless.
///
/// KEYS: generation. ARGV: a new generation, expiry in milliseconds. Returns the current one.
pub(super) static GENERATION: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = redis.call('GET', KEYS[1])
        if not found then
            redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
            return ARGV[1]
        end
        if 2 * redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
            redis.pcall('PEXPIRE', KEYS[1], ARGV[2])
        end
        return found",
    )
});

/// Replaces a generation.
///
/// KEYS: generation, version counter. ARGV: generation, expiry in milliseconds, channel, message. Returns 1.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        redis.call('PUBLISH', ARGV[3], ARGV[4] .. redis.call('INCR', KEYS[2]))
        return {1}",
    )
});

/// Takes permits of a rate limit (GCRA), by the clock of Redis.
///
/// The state is when it was written, in microseconds; what callers have used up of their time, in nanoseconds; and the
/// permits that were taken so far. No more than the burst is used up, since the limit may have been lower. A clock that
/// goes back, after a failover, earns nothing. The state expires when
/// nothing is used up, and ten seconds later, so that callers can compute their shares meanwhile.
///
/// KEYS: state. ARGV: nanoseconds between two permits, burst, most permits. Returns the permits, all permits so far, and
/// the microseconds until the next one.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
        local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
        local interval, burst, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local used, total, is_higher = 0, 0, false
        local found = redis.call('GET', KEYS[1])
        if found then
            local written, before, count = string.match(found, '^(%d+) (%d+) (%d+)$')
            local passed = math.max(now - tonumber(written), 0) * 1000
            used, total = math.max(tonumber(before) - passed, 0), tonumber(count)
            is_higher = used > burst * interval
            used = math.min(used, burst * interval)
        end
        local taken = math.max(math.min(burst - math.ceil(used / interval), most), 0)
        if taken > 0 or is_higher then
            used, total = used + taken * interval, total + taken
            local state = string.format('%.0f %.0f %.0f', now, used, total)
            redis.call('SET', KEYS[1], state, 'PX', string.format('%.0f', math.ceil(used / 1000000) + 10000))
        end
        return {taken, total, math.ceil(math.max(used - (burst - 1) * interval, 0) / 1000)}",
    )
});

/// Appends a record to a log, unless its id was written before, or the log does not end at the expected position.
///
/// The expiry of a known id is extended, which is a write: without any, `WAIT` could not confirm that the replicas have
/// the first one.
///
/// KEYS: log, position of its last record, id. ARGV: record, expiry of the id in seconds, expected last position or
/// empty. Returns 1 and the position, or 0 and the last position.
pub(super) static APPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local before = redis.call('GET', KEYS[3])
        if before then
            redis.call('EXPIRE', KEYS[3], ARGV[2])
            return {1, tonumber(before)}
        end
        local last = tonumber(redis.call('GET', KEYS[2]) or '0')
        if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= last then return {0, last} end
        local position = redis.call('INCR', KEYS[2])
        redis.call('XADD', KEYS[1], position .. '-0', 'v', ARGV[1])
        redis.call('SET', KEYS[3], position, 'EX', ARGV[2])
        return {1, position}",
    )
});

/// Reads records of a log in order, up to a number and up to a size; at least one, if there is any.
///
/// KEYS: log. ARGV: position after which it reads, most records, size in bytes. Returns entries of the stream.
pub(super) static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local records, size, after = {}, 0, ARGV[1] .. '-0'
        while #records < tonumber(ARGV[2]) and size < tonumber(ARGV[3]) do
            local found = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', 1)[1]
            if not found then break end
            records[#records + 1], after, size = found, found[1], size + #found[2][2]
        end
        return records",
    )
});

/// Removes the records of a log before a position. At least the last record stays.
///
/// KEYS: log, position of its last record. ARGV: position of the first record that stays. Returns 1 and the number of
/// removed records.
pub(super) static TRIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local last = tonumber(redis.call('GET', KEYS[2]) or '0')
        local first = math.min(tonumber(ARGV[1]), last)
        return {1, redis.call('XTRIM', KEYS[1], 'MINID', first .. '-0')}",
    )
});

/// Reads a collection: its version, and names and records of its items in turn.
///
/// KEYS: items, version.
pub(super) static COLLECTION: LazyLock<Script> = LazyLock::new(|| {
    Script::new("return {tonumber(redis.call('GET', KEYS[2]) or '0'), redis.call('HGETALL', KEYS[1])}")
});

/// Stores a chunk of a content, which expires.
///
/// KEYS: content. ARGV: index, chunk, expiry in seconds.
pub(super) static STAGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
        redis.call('EXPIRE', KEYS[1], ARGV[3])
        return {1}",
    )
});

/// Changes a collection, if it has the expected version and the contents to keep are complete.
///
/// KEYS: items, version, the contents to keep, the contents to drop. ARGV: expected version, the number of contents to
/// keep, the number of items to put, the chunks of each content to keep, name and record of each item to put, the names
/// of the items to remove. Returns 1 and the new version; or 0 and the version, -1 if a content is incomplete.
pub(super) static APPLY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local version = tonumber(redis.call('GET', KEYS[2]) or '0')
        if version ~= tonumber(ARGV[1]) then return {0, version} end
        local kept, put = tonumber(ARGV[2]), tonumber(ARGV[3])
        for index = 1, kept do
            if redis.call('HLEN', KEYS[2 + index]) ~= tonumber(ARGV[3 + index]) then return {0, -1} end
        end
        for index = 3, #KEYS do
            redis.call(index <= 2 + kept and 'PERSIST' or 'DEL', KEYS[index])
        end
        local at = 3 + kept
        for _ = 1, put do
            redis.call('HSET', KEYS[1], ARGV[at + 1], ARGV[at + 2])
            at = at + 2
        end
        for index = at + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[index]) end
        return {1, redis.call('INCR', KEYS[2])}",
    )
});

/// Returns 0 and the current revision unless the condition of ARGV 1 and 2 is met by entry and lease, KEYS 1 and 2. The
/// revision is bytes 1 to 8 of a record; GETRANGE returns an empty string if there is no record, which `absent`
/// expects.
const CONDITION: &str = "
        if ARGV[1] ~= 'always' then
            local current = redis.call('GETRANGE', KEYS[1], 1, 8)
            local found = current
            if ARGV[1] == 'lease' then found = redis.call('GET', KEYS[2]) end
            if found ~= ARGV[2] then return {0, current} end
        end";

/// The result of a script that changes data.
pub(super) enum ScriptResult {
    /// 1: the change was made, with this result.
    Done(Value),
    /// 0: the condition was not met, with the current value. Nothing was changed.
    Refused(Value),
}

// === impl ScriptResult ===

impl ScriptResult {
    pub(super) fn of(reply: Value) -> Result<Self, Failure> {
        let parts: Vec<Value> = redis::from_redis_value(reply).map_err(Failure::unexpected)?;
        let mut parts = parts.into_iter();
        let mut part = || parts.next().unwrap_or(Value::Nil);
        let done: bool = redis::from_redis_value(part()).map_err(Failure::unexpected)?;
        Ok(if done { ScriptResult::Done(part()) } else { ScriptResult::Refused(part()) })
    }
}

// === impl Script ===

impl Script {
    fn new(code: impl Into<String>) -> Self {
        let code = code.into();
        Self { digest: redis::Script::new(&code).get_hash().to_owned(), code }
    }

    /// An EVALSHA command with these keys; the caller adds the arguments.
    pub(super) fn call(&self, keys: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.digest).arg(keys.len()).arg(keys);
        command
    }
}

/// The commands that load all scripts.
pub(super) fn load() -> Pipeline {
    let mut pipeline = redis::pipe();
    let of_entries = [&GET, &SET, &DELETE, &RELEASE, &GENERATION, &RENEW, &TAKE];
    let of_logs_and_collections = [&APPEND, &READ, &TRIM, &COLLECTION, &STAGE, &APPLY];
    for script in of_entries.into_iter().chain(of_logs_and_collections) {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&script.code);
    }
    pipeline
}
