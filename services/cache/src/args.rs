//! The flags of CacheService.

use std::time::Duration;

use bytesize::ByteSize;
use dataflow_settings::duration;

/// The limits of the cache.
#[derive(Debug, Clone, clap::Args)]
pub struct CacheArgs {
    /// Memory for entries: all of them with the embedded store, the L1 cache with Redis. The least recently used are
    /// evicted.
    #[arg(
        long = "cache-capacity",
        env = "DATAFLOW_CACHE_CAPACITY",
        default_value = "128MiB",
        value_name = "SIZE"
    )]
    pub capacity: ByteSize,

    /// Largest value of one entry. Larger ones are rejected with RESOURCE_EXHAUSTED.
    #[arg(long, env = "DATAFLOW_MAX_ENTRY_BYTES", default_value = "32MiB", value_name = "SIZE")]
    pub max_entry_bytes: ByteSize,

    /// Time to live of entries whose writer does not set one.
    #[arg(long, env = "DATAFLOW_DEFAULT_TTL", default_value = "30m", value_parser = duration,
          value_name = "DURATION")]
    pub default_ttl: Duration,

    /// Longest time to live of an entry, and longest grace.
    #[arg(long, env = "DATAFLOW_MAX_TTL", default_value = "15days", value_parser = max_ttl, value_name = "DURATION")]
    pub max_ttl: Duration,

    /// Longest duration of a lease.
    #[arg(long, env = "DATAFLOW_MAX_LEASE", default_value = "5m", value_parser = duration,
          value_name = "DURATION")]
    pub max_lease: Duration,

    /// Maximum number of tags of one entry, and of one request.
    #[arg(long, env = "DATAFLOW_MAX_TAGS", default_value_t = 64, value_name = "N")]
    pub max_tags: usize,

    /// Maximum number of keys in one request.
    #[arg(long, env = "DATAFLOW_MAX_BATCH", default_value_t = 256, value_name = "N")]
    pub max_batch: usize,
}

/// At most half of the retention of generations: an entry with its grace must not outlive them.
fn max_ttl(text: &str) -> Result<Duration, String> {
    let longest = dataflow_store::generations::REMEMBERED / 2;
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_valid = (Duration::from_millis(1)..=longest).contains(&ttl);
    if is_valid {
        Ok(ttl)
    } else {
        Err(format!("must be from 1ms to {}", humantime::format_duration(longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_its_grace_does_not_outlive_generations() {
        assert!(max_ttl("15days 12h").is_ok() && max_ttl("15days 12h 1s").is_err());
        assert!(max_ttl("1ms").is_ok() && max_ttl("0s").is_err());
    }
}
