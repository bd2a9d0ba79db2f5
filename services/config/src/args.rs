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
    fn the_log_of_refusals_has_bounds() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            log: RefusalLogArgs,
        }
        let check = |flag: &str, value: &str, is_valid: bool| {
            let read = Command::try_parse_from(["config", flag, value]).map(|command| command.log);
            assert_eq!(read.is_ok(), is_valid, "{flag} {value}");
        };
        for (value, is_valid) in [("100", true), ("99", false), ("100000", true), ("100001", false)] {
            check("--refusal-log-entries", value, is_valid);
        }
        for (value, is_valid) in
            [("1h", true), ("59m 59s", false), ("3650d", true), ("3650d 1s", false), ("30", false)]
        {
            check("--refusal-log-age", value, is_valid);
        }
        let RefusalLogArgs { entries, age } = RefusalLogArgs::default();
        let stated = Command::try_parse_from(["config"]).unwrap().log;
        assert_eq!((stated.entries, stated.age), (entries, age));
    }
}
