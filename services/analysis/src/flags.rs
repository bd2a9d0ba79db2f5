//! The feature flags that the config service pushes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dataflow_mesh::outbound::{CallObserver, Follower, Outbound, Upstream};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::flag::Rollout;
use dataflow_proto::config::v1::flag_service_client::FlagServiceClient;
use sha2::{Digest, Sha256};
use tonic::{Status, Streaming};

/// Calls that name no rule set use `legacy` in place of `default`.
pub(crate) const LEGACY_RULES: &str = "legacy-rules";

/// The flags. All are off until the config service has sent them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Flags(Arc<ArcSwap<BTreeMap<String, pb::Flag>>>);

// === impl Flags ===

impl Flags {
    /// Whether a tenant, which is empty for a caller that belongs to none, has a flag on.
    pub fn is_on(&self, flag: &str, tenant: &str) -> bool {
        self.0.load().get(flag).is_some_and(|flag| is_on(flag, tenant))
    }
}

fn is_on(flag: &pb::Flag, tenant: &str) -> bool {
    if let Some(named) = flag.tenants.get(tenant) {
        return *named;
    }
    match flag.rollout {
        None => false,
        Some(Rollout::Enabled(enabled)) => enabled,
        Some(Rollout::Percentage(percentage)) if tenant.is_empty() => percentage >= 100,
        Some(Rollout::Percentage(percentage)) => {
            share(&flag.flag_id, tenant) < u64::try_from(percentage).unwrap_or(0)
        }
    }
}

/// Where a tenant stands among all of them, from 0 to 99: the same in every process, and another for each flag.
fn share(flag: &str, tenant: &str) -> u64 {
    let digest = Sha256::new().chain_update(flag).chain_update("/").chain_update(tenant).finalize();
    let first = digest.first_chunk().expect("a digest has 32 bytes");
    u64::from_be_bytes(*first) % 100
}

/// Takes the flags that the config service pushes.
pub(crate) struct FlagWatch {
    flags: Flags,
    client: FlagServiceClient<Outbound>,
}

// === impl FlagWatch ===

impl FlagWatch {
    pub(crate) fn new(flags: &Flags, upstream: &Upstream, observer: &CallObserver) -> Self {
        let channel = Outbound::watching(upstream).observed(observer);
        Self { flags: flags.clone(), client: FlagServiceClient::new(channel) }
    }
}

impl Follower for FlagWatch {
    type Message = pb::WatchFlagsResponse;

    async fn open(&mut self) -> Result<Streaming<pb::WatchFlagsResponse>, Status> {
        Ok(self.client.watch_flags(pb::WatchFlagsRequest {}).await?.into_inner())
    }

    async fn take(&mut self, message: pb::WatchFlagsResponse) {
        let flags = message.flags.into_iter().map(|flag| (flag.flag_id.clone(), flag)).collect();
        self.flags.0.store(Arc::new(flags));
    }

    fn ended(&mut self, error: Option<&Status>) {
        if let Some(error) = error {
            tracing::debug!(%error, "flags: config service unavailable, keeping the current ones, retrying");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(rollout: Rollout, tenants: &[(&str, bool)]) -> pb::Flag {
        pb::Flag {
            flag_id: LEGACY_RULES.to_owned(),
            rollout: Some(rollout),
            tenants: tenants.iter().map(|(name, is_on)| ((*name).to_owned(), *is_on)).collect(),
            ..pb::Flag::default()
        }
    }

    #[test]
    fn a_named_tenant_decides_before_the_rollout() {
        let check = |flag: pb::Flag, tenant: &str, expected: bool| {
            assert_eq!(is_on(&flag, tenant), expected, "{tenant:?} {flag:?}");
        };
        check(pb::Flag::default(), "acme", false);
        for enabled in [true, false] {
            check(flag(Rollout::Enabled(enabled), &[]), "", enabled);
            check(flag(Rollout::Enabled(enabled), &[]), "acme", enabled);
            check(flag(Rollout::Enabled(enabled), &[("acme", !enabled)]), "acme", !enabled);
            check(flag(Rollout::Enabled(enabled), &[("acme", !enabled)]), "other", enabled);
        }
        check(flag(Rollout::Percentage(100), &[]), "", true);
        check(flag(Rollout::Percentage(99), &[]), "", false);
        check(flag(Rollout::Percentage(0), &[("acme", true)]), "acme", true);
        check(flag(Rollout::Percentage(-1), &[]), "acme", false);
    }

    #[test]
    fn a_share_of_the_tenants_grows_without_changing_its_members() {
        let tenants: Vec<_> = (0..1000).map(|index| format!("t{index}")).collect();
        let on = |percentage: i32| {
            let flag = flag(Rollout::Percentage(percentage), &[]);
            tenants.iter().filter(|tenant| is_on(&flag, tenant)).collect::<Vec<_>>()
        };
        assert!(on(0).is_empty() && on(100).len() == 1000);
        for percentage in [10, 25, 50] {
            let (small, large) = (on(percentage), on(percentage + 5));
            assert!(small.iter().all(|tenant| large.contains(tenant)));
            let expected = usize::try_from(percentage * 10).unwrap();
            assert!(small.len().abs_diff(expected) < 50, "{} of 1000 at {percentage} %", small.len());
        }
    }
}
