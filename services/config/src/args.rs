//! The flags of the config service.

use bytesize::ByteSize;

/// The limits of the journal.
#[derive(Debug, Clone, clap::Args)]
pub struct JournalArgs {
    /// Size above which the journal of changes is compacted, from `64KiB` to `1GiB`. The newest quarter stays; older
    /// audit records are removed, and older revisions can no longer be listed or restored.
    #[arg(long = "journal-max-bytes", env = "DATAFLOW_JOURNAL_MAX_BYTES", default_value = "64MiB",
          value_parser = max_bytes, value_name = "SIZE")]
    pub max_bytes: ByteSize,
}

/// The default of each flag.
impl Default for JournalArgs {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(64) }
    }
}

fn max_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    let is_valid = (ByteSize::kib(64)..=ByteSize::gib(1)).contains(&size);
    if is_valid { Ok(size) } else { Err("must be from 64KiB to 1GiB".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_journal_has_bounds() {
        let cases = [("64KiB", true), ("65535", false), ("1GiB", true), ("1073741825", false), ("x", false)];
        for (text, is_valid) in cases {
            assert_eq!(max_bytes(text).is_ok(), is_valid, "{text}");
        }
    }
}
