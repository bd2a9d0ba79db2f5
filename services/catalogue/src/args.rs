//! The flags of CatalogueService.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use dataflow_settings::nonzero_duration;

/// The limits of snapshots.
#[derive(Debug, Clone, clap::Args)]
pub struct CatalogueArgs {
    /// Most snapshots of a provider of one tenant; with a further one the oldest is removed.
    #[arg(long, env = "DATAFLOW_SNAPSHOT_COUNT", default_value = "100", value_parser = at_least_two, value_name = "N")]
    pub snapshot_count: NonZeroU32,

    /// Age from which a snapshot is no longer kept, counted from its last receipt. The last snapshot of a provider is kept
    /// in any case.
    #[arg(long, env = "DATAFLOW_SNAPSHOT_AGE", default_value = "730days", value_parser = nonzero_duration,
          value_name = "DURATION")]
    pub snapshot_age: Duration,

    /// Most snapshots of one tenant, of all providers; further ones are rejected with FAILED_PRECONDITION.
    #[arg(long, env = "DATAFLOW_MAX_SNAPSHOTS", default_value_t = 1000, value_name = "N")]
    pub max_snapshots: u32,

    /// Most bytes of the snapshots of one tenant, compressed as they are stored; further ones are rejected with
    /// FAILED_PRECONDITION. Without a data directory and in Redis they take memory.
    #[arg(long, env = "DATAFLOW_MAX_SNAPSHOT_BYTES", default_value = "256MiB", value_name = "SIZE")]
    pub max_snapshot_bytes: ByteSize,
}

/// With one snapshot there would be nothing to compare.
fn at_least_two(given: &str) -> Result<NonZeroU32, &'static str> {
    let count = given.parse::<NonZeroU32>().ok().filter(|count| count.get() > 1);
    count.ok_or("expected a whole number, at least 2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_keeps_at_least_two_snapshots() {
        assert_eq!(at_least_two("2").map(NonZeroU32::get), Ok(2));
        for given in ["1", "0", "-1", "many"] {
            assert_eq!(at_least_two(given), Err("expected a whole number, at least 2"), "{given}");
        }
    }
}
