//! The flags of rate limits.

use std::collections::HashMap;
use std::str::FromStr;

use dataflow_mesh::rate::{MAX_PERMITS, NotARate, Rate};

/// The rates of callers. Callers without credentials have no limit.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RateLimitArgs {
    /// Calls that each tenant may make, and each subject of a token or API key, as `100/s`, `600/m` or `1000/h`; further
    /// ones are rejected with RESOURCE_EXHAUSTED. A token may state another rate for its subject
    /// (`dataflow_rate_limit`). Default: no limit.
    #[arg(long, env = "DATAFLOW_RATE_LIMIT", value_name = "RATE")]
    pub rate_limit: Option<Rate>,

    /// Calls that may come at once after a pause, from 1 to 1,000,000, for every rate. Default: the calls of one second,
    /// at least 1.
    #[arg(long, env = "DATAFLOW_RATE_BURST", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PERMITS)))]
    pub rate_burst: Option<u32>,

    /// The rate of one tenant instead of `--rate-limit`, as `TENANT=RATE`; further ones follow after commas, or as
    /// further flags.
    #[arg(long, env = "DATAFLOW_TENANT_RATE_LIMIT", value_delimiter = ',', value_name = "TENANT=RATE")]
    pub tenant_rate_limit: Vec<TenantRate>,

    /// Tenants and subjects whose rates are counted at a time, from 1 to 1,000,000. Beyond it, those that have used
    /// least of their rates are forgotten, and may begin with a burst again.
    #[arg(long, env = "DATAFLOW_MAX_RATE_IDENTITIES", default_value_t = 50_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_rate_identities: u32,
}

/// The rate of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRate {
    tenant: String,
    rate: Rate,
}

/// Why a text is not the rate of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATenantRate {
    /// The tenant before the rate is missing.
    #[error("{given:?} names no tenant: expected TENANT=RATE, for instance acme=100/s")]
    Nameless {
        /// The text.
        given: String,
    },
    /// The rate is invalid.
    #[error("the rate of {tenant:?} {problem}")]
    Rate {
        /// The tenant.
        tenant: String,
        /// What is wrong with it.
        problem: NotARate,
    },
}

/// The rates cannot be limited as the flags say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--tenant-rate-limit names {tenant:?} twice: leave one")]
pub struct RepeatedTenant {
    /// The tenant.
    pub tenant: String,
}

impl FromStr for TenantRate {
    type Err = NotATenantRate;

    fn from_str(given: &str) -> Result<Self, NotATenantRate> {
        let (tenant, rate) = given.trim().split_once('=').unwrap_or_default();
        if tenant.is_empty() {
            return Err(NotATenantRate::Nameless { given: given.to_owned() });
        }
        let tenant = tenant.to_owned();
        match rate.parse() {
            Ok(rate) => Ok(Self { tenant, rate }),
            Err(problem) => Err(NotATenantRate::Rate { tenant, problem }),
        }
    }
}

// === impl RateLimitArgs ===

impl RateLimitArgs {
    /// The rates of tenants that have their own.
    pub(super) fn tenants(&self) -> Result<HashMap<String, Rate>, RepeatedTenant> {
        let mut rates = HashMap::new();
        for TenantRate { tenant, rate } in &self.tenant_rate_limit {
            if rates.insert(tenant.clone(), *rate).is_some() {
                return Err(RepeatedTenant { tenant: tenant.clone() });
            }
        }
        Ok(rates)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parsed(flags: &[&str]) -> Result<RateLimitArgs, clap::Error> {
        let command = RateLimitArgs::augment_args(Command::new("test")).mut_args(|arg| arg.env(None));
        let matches = command.try_get_matches_from([&["test"], flags].concat())?;
        RateLimitArgs::from_arg_matches(&matches)
    }

    #[test]
    fn each_flag_has_limits() {
        let check = |flags: &[&str], is_valid: bool| {
            let parsed = parsed(flags);
            assert_eq!(parsed.is_ok(), is_valid, "{flags:?}: {parsed:?}");
            if let Err(error) = parsed {
                assert!(error.to_string().contains(flags[0]), "{error}");
            }
        };
        check(&[], true);
        for (flag, valid, invalid) in [
            ("--rate-limit", ["1/h", "1000000/s"], ["0/s", "1000001/s"]),
            ("--rate-burst", ["1", "1000000"], ["0", "1000001"]),
            ("--max-rate-identities", ["1", "1000000"], ["0", "1000001"]),
            ("--tenant-rate-limit", ["acme=1/h", "acme=1/s,bolt=2/m"], ["acme=0/s", "=1/s"]),
            ("--tenant-rate-limit", ["a=1/s", "a=1000000/h"], ["acme", "acme=1/s,bolt"]),
        ] {
            for value in valid {
                check(&[flag, value], true);
            }
            for value in invalid {
                check(&[flag, value], false);
            }
        }
    }

    #[test]
    fn each_tenant_has_one_rate() {
        let several = ["--tenant-rate-limit", "acme=1/s,bolt=2/m", "--tenant-rate-limit", "cog=3/h"];
        let rates = parsed(&several).unwrap().tenants().unwrap();
        let written: std::collections::BTreeMap<_, _> =
            rates.iter().map(|(tenant, rate)| (tenant.as_str(), rate.to_string())).collect();
        let expected = [("acme", "1/s"), ("bolt", "2/m"), ("cog", "3/h")];
        assert_eq!(written, expected.map(|(tenant, rate)| (tenant, rate.to_owned())).into());
        let twice = parsed(&["--tenant-rate-limit", "acme=1/s,acme=1/s"]).unwrap().tenants();
        assert_eq!(twice, Err(RepeatedTenant { tenant: "acme".to_owned() }));
    }
}
