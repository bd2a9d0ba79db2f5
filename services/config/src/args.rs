//! The flags of the config service.

use std::time::Duration;

use bytesize::ByteSize;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The limits of the journal.
#[derive(Debug, Clone, clap::Args)]
pub struct JournalArgs {
    /// Size above which the journal of changes is compacted, from `64KiB` to `1GiB`. The newest quarter stays; older
    /// audit records are removed, and older revisions can no longer be listed or restored.
    #[arg(long = "journal-max-bytes", env = "DATAFLOW_JOURNAL_MAX_BYTES", default_value = "64MiB",
          value_parser = max_bytes, value_name = "SIZE")]
    pub max_bytes: ByteSize,
}

/// The limits of the logs beside the journal.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AuditLogArgs {
    /// The limits of the log of refused writes.
    #[command(flatten)]
    pub refusals: RefusalLogArgs,

    /// The limits of the log of audited reads.
    #[command(flatten)]
    pub reads: ReadLogArgs,
}

/// The limits of the log of refused writes.
#[derive(Debug, Clone, clap::Args)]
pub struct RefusalLogArgs {
    /// Refused writes of authenticated callers that are kept for `GET /v1/audit/refusals`, from 100 to 100000: the
    /// oldest are removed.
    #[arg(long = "refusal-log-entries", env = "DATAFLOW_REFUSAL_LOG_ENTRIES", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(100..=100_000), value_name = "N")]
    pub entries: u32,

    /// Age at which a refused write is removed, from `1h` to `3650d`.
    #[arg(long = "refusal-log-age", env = "DATAFLOW_REFUSAL_LOG_AGE", default_value = "30d",
          value_parser = log_age, value_name = "DURATION")]
    pub age: Duration,
}

/// The limits of the log of audited reads. Its flags stand beside those of other logs, so that each has an id of its own.
#[derive(Debug, Clone, clap::Args)]
pub struct ReadLogArgs {
    /// Reads of API keys that are kept for `GET /v1/audit/reads`, from 100 to 100000: the oldest are removed.
    #[arg(id = "read_log_entries", long = "read-log-entries", env = "DATAFLOW_READ_LOG_ENTRIES", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(100..=100_000), value_name = "N")]
    pub entries: u32,

    /// Age at which an audited read is removed, from `1h` to `3650d`.
    #[arg(id = "read_log_age", long = "read-log-age", env = "DATAFLOW_READ_LOG_AGE", default_value = "30d",
          value_parser = log_age, value_name = "DURATION")]
    pub age: Duration,

    /// Audited reads of one caller that this process records in a minute, from 1 to 1000: of further ones only their
    /// number. All callers of a tenant have ten times as many.
    #[arg(id = "read_log_rate", long = "read-log-rate", env = "DATAFLOW_READ_LOG_RATE", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub per_minute: u32,
}

/// The default of each flag.
impl Default for JournalArgs {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(64) }
    }
}

/// The default of each flag.
impl Default for RefusalLogArgs {
    fn default() -> Self {
        Self { entries: 10_000, age: 30 * DAY }
    }
}

/// The default of each flag.
impl Default for ReadLogArgs {
    fn default() -> Self {
        Self { entries: 10_000, age: 30 * DAY, per_minute: 10 }
    }
}

fn log_age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_valid = (DAY / 24..=3650 * DAY).contains(&age);
    if is_valid { Ok(age) } else { Err("must be from 1h to 3650d".to_owned()) }
}

fn max_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    let is_valid = (ByteSize::kib(64)..=ByteSize::gib(1)).contains(&size);
    if is_valid { Ok(size) } else { Err("must be from 64KiB to 1GiB".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_size_of_the_journal_has_bounds() {
        let cases = [("64KiB", true), ("65535", false), ("1GiB", true), ("1073741825", false), ("x", false)];
        for (text, is_valid) in cases {
            assert_eq!(max_bytes(text).is_ok(), is_valid, "{text}");
        }
    }

    #[test]
    fn the_logs_have_bounds() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            logs: AuditLogArgs,
        }
        let check = |flag: &str, value: &str, is_valid: bool| {
            let read = Command::try_parse_from(["config", flag, value]).map(|command| command.logs);
            assert_eq!(read.is_ok(), is_valid, "{flag} {value}");
        };
        for (value, is_valid) in [("100", true), ("99", false), ("100000", true), ("100001", false)] {
            check("--refusal-log-entries", value, is_valid);
            check("--read-log-entries", value, is_valid);
        }
        for (value, is_valid) in [("1", true), ("0", false), ("1000", true), ("1001", false)] {
            check("--read-log-rate", value, is_valid);
        }
        for (value, is_valid) in
            [("1h", true), ("59m 59s", false), ("3650d", true), ("3650d 1s", false), ("30", false)]
        {
            check("--refusal-log-age", value, is_valid);
            check("--read-log-age", value, is_valid);
        }
        let RefusalLogArgs { entries, age } = RefusalLogArgs::default();
        let stated = Command::try_parse_from(["config"]).unwrap().logs;
        assert_eq!((stated.refusals.entries, stated.refusals.age), (entries, age));
        let ReadLogArgs { entries, age, per_minute } = ReadLogArgs::default();
        let stated = stated.reads;
        assert_eq!((stated.entries, stated.age, stated.per_minute), (entries, age, per_minute));
    }
}
