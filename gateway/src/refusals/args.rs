//! The flag of refused writes.

/// How refused writes are reported.
#[derive(Debug, Clone, clap::Args)]
pub struct RefusalArgs {
    /// Refused writes of one caller that this gateway reports in a minute to the log of the config service, from 1 to
    /// 1000: of further ones only their number.
    #[arg(long = "refusal-log-rate", env = "DATAFLOW_REFUSAL_LOG_RATE", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    pub per_minute: u32,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        refusals: RefusalArgs,
    }

    #[test]
    fn the_rate_has_bounds() {
        for (value, is_valid) in [("1", true), ("0", false), ("1000", true), ("1001", false), ("x", false)] {
            let read = Command::try_parse_from(["gateway", "--refusal-log-rate", value]);
            assert_eq!(
                read.ok().map(|read| read.refusals.per_minute),
                is_valid.then(|| value.parse().unwrap())
            );
        }
    }
}
