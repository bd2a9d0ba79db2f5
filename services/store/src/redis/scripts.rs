//! The steps that must happen at one moment, as Lua. Each touches keys of one slot only.
//!
//! Every connection loads them before its first call, so that calls name them by their digest.

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, Value};

use super::failure::Failure;

/// One script.
pub(super) struct Script {
    code: String,
    /// Its SHA-1 in hexadecimal, by which Redis knows it once it is loaded.
    digest: String,
}

/// Reads a value and how long it will stay, of one moment.
///
/// KEYS: entry.
pub(super) static GET: LazyLock<Script> =
    LazyLock::new(|| Script::new("return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}"));

/// Puts a value under a key if a condition holds.
///
/// KEYS: entry, lease, count. ARGV: which condition, what it expects, record, time to live in milliseconds or nothing,
/// channel, signal. Returns 1; or 0 and the revision that is there.
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

/// Removes what is under a key if a condition holds.
///
/// KEYS: entry, lease, count. ARGV: which condition, what it expects, channel, signal. Returns 1 and how many there were;
/// or 0 and the revision that is there.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(format!(
        "{CONDITION}
        local existed = redis.call('DEL', KEYS[1])
        redis.call('DEL', KEYS[2])
        redis.call('PUBLISH', ARGV[3], ARGV[4] .. redis.call('INCR', KEYS[3]))
        return {{1, existed}}"
    ))
});

/// Ends a lease if it is held by this token.
///
/// KEYS: lease, count. ARGV: token, channel, signal. Returns whether it was.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
        redis.call('DEL', KEYS[1])
        redis.call('PUBLISH', ARGV[2], ARGV[3] .. redis.call('INCR', KEYS[2]))
        return 1",
    )
});

/// Reads a generation, or makes it. One that is there is remembered anew when half of its time is over; where Redis takes
/// no writes at the moment it is read all the same.
///
/// KEYS: generation. ARGV: a new one, milliseconds to remember it. Returns the one that is there.
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
/// KEYS: generation, count. ARGV: generation, milliseconds to remember it, channel, signal. Returns 1.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        redis.call('PUBLISH', ARGV[3], ARGV[4] .. redis.call('INCR', KEYS[2]))
        return {1}",
    )
});

/// Writes a record at the end of a log, unless its id did before, or the log does not end where it must.
///
/// An id that is there is remembered anew, which is a write: of one that writes nothing `WAIT` would not know whether the
/// replicas have it.
///
/// KEYS: log, position of its last record, id. ARGV: record, seconds to remember the id, where the log must end or nothing.
/// Returns 1 and the position, or 0 and where the log ends.
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

/// Refuses with the revision that is there unless the condition of ARGV 1 and 2 holds for entry and lease, KEYS 1 and 2.
/// The revision is bytes 1 to 8 of a record; GETRANGE finds none where there is no record, which is what `absent` expects.
const CONDITION: &str = "
        if ARGV[1] ~= 'always' then
            local current = redis.call('GETRANGE', KEYS[1], 1, 8)
            local found = current
            if ARGV[1] == 'lease' then found = redis.call('GET', KEYS[2]) end
            if found ~= ARGV[2] then return {0, current} end
        end";

/// What a script came to that changes something, as it returns it.
pub(super) enum ScriptResult {
    /// 1: it was done, with this result.
    Done(Value),
    /// 0: its condition did not hold, because of this. Nothing was changed.
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

    /// A call with these keys; arguments are to be added.
    pub(super) fn call(&self, keys: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.digest).arg(keys.len()).arg(keys);
        command
    }
}

/// Loads all of them.
pub(super) fn load() -> Pipeline {
    let mut pipeline = redis::pipe();
    for script in [&GET, &SET, &DELETE, &RELEASE, &GENERATION, &RENEW, &APPEND] {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&script.code);
    }
    pipeline
}
