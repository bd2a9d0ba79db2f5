//! Calls by class of tenant. Tenants are hashed into a few classes, so that their number does not increase the number of
//! series: a class shows that one tenant is treated unlike others, and the log which one.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tonic::Code;

/// The classes of tenants, and that of calls without a tenant.
const CLASSES: [&str; 16] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
const SHARED: &str = "shared";

/// What became of a call.
const OUTCOMES: [&str; 3] = ["served", "rejected", "failed"];

/// The family of all services of a process.
#[derive(Debug, Clone)]
pub(super) struct TenantCalls {
    calls: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    role: &'static str,
    tenant_class: &'static str,
    outcome: &'static str,
}

/// The counters of one service, by class and outcome; those of calls without a tenant are the last. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct ByTenant(Arc<[[Counter; OUTCOMES.len()]]>);

// === impl TenantCalls ===

impl TenantCalls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let calls = Family::default();
        registry.register("tenant_calls", "Calls that ended, by class of tenant and outcome", calls.clone());
        Self { calls }
    }

    /// The counters of one service, which exist from now on.
    pub(super) fn of(&self, role: &'static str) -> ByTenant {
        let counters = CLASSES.into_iter().chain([SHARED]).map(|tenant_class| {
            OUTCOMES.map(|outcome| self.calls.get_or_create_owned(&Labels { role, tenant_class, outcome }))
        });
        ByTenant(counters.collect())
    }
}

// === impl ByTenant ===

impl ByTenant {
    /// Counts a call of this tenant, which is empty without one.
    pub(super) fn count(&self, tenant: &[u8], code: Code) {
        let class = if tenant.is_empty() { CLASSES.len() } else { class(tenant) };
        let outcome = match code {
            Code::Ok => 0,
            Code::ResourceExhausted => 1,
            _ => 2,
        };
        self.0[class][outcome].inc();
    }
}

/// The class of a tenant: the same one in every process and release, by FNV-1a.
fn class(tenant: &[u8]) -> usize {
    let hash = tenant.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The upper bits too: the lowest ones of this hash depend on the lowest bits of the bytes only.
    usize::try_from((hash ^ (hash >> 32)) % CLASSES.len() as u64)
        .expect("it is less than the number of classes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn any_number_of_tenants_has_the_same_series() {
        let metrics = Metrics::default();
        let by_tenant = metrics.tenants.of("gateway");
        let series = || {
            let text = metrics.encode();
            text.lines().filter(|line| line.starts_with("tenant_calls_total{")).count()
        };
        assert_eq!(series(), 17 * 3, "present from the start");
        for number in 0..100_000_u32 {
            let odd = format!("\"{number}\"\n\\{{}}\u{1f600}");
            by_tenant.count(odd.as_bytes(), Code::Ok);
        }
        assert_eq!(series(), 17 * 3);
        let served: Vec<u64> = by_tenant.0.iter().map(|[served, ..]| served.get()).collect();
        assert_eq!(served[..16].iter().sum::<u64>(), 100_000);
        assert!(served[..16].iter().all(|count| *count > 3_000), "the classes are used evenly: {served:?}");
        assert_eq!(served[16], 0);
    }

    #[test]
    fn a_call_counts_by_its_class_and_outcome() {
        let by_tenant = Metrics::default().tenants.of("gateway");
        by_tenant.count(b"", Code::Ok);
        by_tenant.count(b"", Code::ResourceExhausted);
        by_tenant.count(b"acme", Code::Internal);
        let count = |class: usize| by_tenant.0[class].each_ref().map(Counter::get);
        assert_eq!(count(CLASSES.len()), [1, 1, 0]);
        assert_eq!(count(class(b"acme")), [0, 0, 1]);
    }
}
