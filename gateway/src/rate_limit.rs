//! Rate limits of callers: of each tenant, and of each subject of a token or API key. Decided once for every call of the
//! public port, right after it is known who makes it, and before anything of its body is read.
//!
//! Each [`quota`] decides by itself; [`leases`] have the gateways share the limits through the cache service.

pub(crate) mod args;

mod error;
mod leases;
mod quota;
mod standing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dataflow_mesh::context::Context;
use dataflow_mesh::outbound::Upstream;
use dataflow_mesh::process_status::Quota as InStatus;
use dataflow_mesh::rate::{Rate, RateLimit, States};
use dataflow_mesh::tasks::Task;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, timeout_at};

use crate::caller::{Caller, Identity, Kind};

pub use args::{RateLimitArgs, RepeatedTenant};
pub(crate) use error::RateLimitError;
use leases::Leases;
use quota::{Decision, Permit, Quota, Source};
use standing::OneStanding;
pub(crate) use standing::Standing;

/// The longest time that a call waits for a lease. After that it is decided by the last known share.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The rates that the flags state.
#[derive(Debug)]
pub(crate) struct Rates {
    usual: Option<Rate>,
    burst: Option<u32>,
    tenants: HashMap<String, Rate>,
    max_identities: usize,
}

/// The rate limits of all callers.
#[derive(Debug)]
pub(crate) struct RateLimits {
    rates: Rates,
    quotas: Mutex<States<Identity, Arc<Quota>>>,
    /// None in front of services without our cache service.
    leases: Option<Leases>,
    /// The number of quotas.
    size: Gauge,
    refused: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    identity: &'static str,
}

/// One limit of a caller.
struct Limited {
    quota: Arc<Quota>,
    rate: Rate,
    limit: RateLimit,
}

// === impl Rates ===

impl Rates {
    /// What the flags say.
    pub(crate) fn new(args: &RateLimitArgs) -> Result<Self, RepeatedTenant> {
        let max_identities = usize::try_from(args.max_rate_identities).unwrap_or(usize::MAX);
        Ok(Self { usual: args.rate_limit, burst: args.rate_burst, tenants: args.tenants()?, max_identities })
    }

    /// Whether any rate is stated.
    pub(crate) fn are_set(&self) -> bool {
        self.usual.is_some() || !self.tenants.is_empty()
    }

    /// The rate of a caller by its kind; none without a limit.
    fn of(&self, kind: Kind, caller: &Caller) -> Option<Rate> {
        let own = match kind {
            Kind::Tenant => self.tenants.get(&caller.tenant).copied(),
            Kind::Subject => caller.rate,
        };
        own.or(self.usual)
    }

    /// The burst of that rate; none for the calls of one second.
    fn burst_of(&self, kind: Kind, caller: &Caller) -> Option<u32> {
        let own = match kind {
            Kind::Tenant => None,
            Kind::Subject => caller.burst,
        };
        own.or(self.burst)
    }
}

// === impl RateLimits ===

impl RateLimits {
    /// Limits callers to these rates, together with other gateways if there is a cache service.
    pub(crate) fn new(rates: Rates, cache: Option<&Upstream>, context: &Context) -> Self {
        let (size, refused) = (Gauge::default(), Family::<Labels, Counter>::default());
        for kind in Kind::ALL {
            drop(refused.get_or_create(&Labels { identity: kind.name() }));
        }
        let metrics = &context.metrics;
        metrics.register(
            "gateway_rate_limited",
            "Calls that were refused by a rate limit, by the kind of its identity",
            refused.clone(),
        );
        metrics.register(
            "gateway_rate_identities",
            "Tenants and subjects whose rates are counted",
            size.clone(),
        );
        let leases = cache.map(|cache| Leases::new(cache, context));
        if let Some(leases) = leases.clone() {
            let source = leases.clone();
            context.status.degraded_while("RATE_LIMITS_BY_SHARE", move || source.source() == Source::ByShare);
            context.tasks.spawn(Task::restarting("rate limits", move || leases.clone().run()));
        }
        if rates.are_set() {
            let (used, refused, limit) = (size.clone(), refused.clone(), rates.max_identities as u64);
            context.status.add_quotas(move || {
                let refused =
                    Kind::ALL.map(|kind| refused.get_or_create(&Labels { identity: kind.name() }).get());
                let used = u64::try_from(used.get()).unwrap_or_default();
                let (role, name) = ("gateway", "rate_limits");
                vec![InStatus { role, name, used, limit, refused: refused.into_iter().sum() }]
            });
        }
        let quotas = Mutex::new(States::new(rates.max_identities));
        Self { rates, quotas, leases, size, refused }
    }

    /// Whether a caller has a limit.
    pub(crate) fn apply_to(&self, caller: &Caller) -> bool {
        Kind::ALL.into_iter().any(|kind| {
            let is_named = match kind {
                Kind::Tenant => !caller.tenant.is_empty(),
                Kind::Subject => !caller.subject.is_empty(),
            };
            is_named && self.rates.of(kind, caller).is_some()
        })
    }

    /// Takes a permit of each limit of the caller.
    ///
    /// # Errors
    ///
    /// [`RateLimitError`] if one of them has none.
    pub(crate) async fn admit(&self, caller: &Caller) -> Result<Standing, RateLimitError> {
        let now = Instant::now();
        let limits: Vec<_> =
            Kind::ALL.into_iter().filter_map(|kind| self.limited(kind, caller, now)).collect();
        let mut permits = Vec::with_capacity(limits.len());
        for (index, limited) in limits.iter().enumerate() {
            match self.take(limited).await {
                Ok(permit) => permits.push(permit),
                Err(wait) => {
                    let now = Instant::now();
                    for (before, permit) in limits.iter().zip(permits) {
                        before.quota.give_back(permit, now);
                    }
                    return Err(self.refusal(&limits, index, wait, now));
                }
            }
        }
        // Not as of the beginning: the call may have waited.
        Ok(standing(&limits, Instant::now()))
    }

    /// Takes a permit, or returns the time until there is one.
    async fn take(&self, Limited { quota, limit, .. }: &Limited) -> Result<Permit, Duration> {
        let mut now = Instant::now();
        let Some(leases) = &self.leases else {
            return decided(quota, *limit, Source::Alone, now);
        };
        let end = now + LONGEST_WAIT;
        loop {
            // Before the decision, so that an end of the lease right after it is noticed.
            let ended = quota.lease_ended.notified();
            let source = leases.source();
            match quota.decide(*limit, source, now) {
                Decision::Admitted(permit) => {
                    leases.begin(quota, *limit, false, now);
                    return Ok(permit);
                }
                Decision::Refused(wait) => return Err(wait),
                Decision::Undecided => {}
            }
            let waiting = quota.wait();
            let is_over = !leases.begin(quota, *limit, true, now) || timeout_at(end, ended).await.is_err();
            drop(waiting);
            now = Instant::now();
            if is_over {
                return decided(quota, *limit, Source::ByShare, now);
            }
        }
    }

    fn refusal(&self, limits: &[Limited], index: usize, wait: Duration, now: Instant) -> RateLimitError {
        let Limited { quota, rate, .. } = &limits[index];
        let kind = quota.identity.kind;
        self.refused.get_or_create(&Labels { identity: kind.name() }).inc();
        let mut standing = standing(limits, now);
        // Permits that other gateways have taken are not known here.
        let refused = &mut standing.0[index];
        (refused.remaining, refused.reset) = (0, refused.reset.max(wait));
        RateLimitError::Exceeded { identity: kind, rate: *rate, wait, standing }
    }

    /// The limit of a caller by its kind.
    fn limited(&self, kind: Kind, caller: &Caller, now: Instant) -> Option<Limited> {
        let rate = self.rates.of(kind, caller)?;
        let identity = caller.identity(kind)?;
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        let quota = quotas.get(identity, now, || Arc::new(Quota::new(identity)));
        let quota = Arc::clone(quota);
        self.size.set(i64::try_from(quotas.len()).unwrap_or(i64::MAX));
        Some(Limited { quota, rate, limit: rate.with_burst(self.rates.burst_of(kind, caller)) })
    }
}

/// A decision without a wait.
fn decided(quota: &Quota, limit: RateLimit, source: Source, now: Instant) -> Result<Permit, Duration> {
    match quota.decide(limit, source, now) {
        Decision::Admitted(permit) => Ok(permit),
        Decision::Refused(wait) => Err(wait),
        Decision::Undecided => unreachable!("only shared limits wait for a lease"),
    }
}

fn standing(limits: &[Limited], now: Instant) -> Standing {
    let one = |Limited { quota, rate, limit }: &Limited| {
        let (remaining, reset) = quota.standing(*limit, now);
        OneStanding { kind: quota.identity.kind, rate: *rate, remaining, reset }
    };
    Standing(limits.iter().map(one).collect())
}

#[cfg(test)]
mod tests;
