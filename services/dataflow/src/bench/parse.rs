//! Parsing and categorising against the floor: the same adapter and XML reader over the same bytes, nothing kept.

use std::time::Duration;

use anyhow::Context;
use dataflow_analysis::catalogue;
use dataflow_analysis::rulesets::Rulesets;
use dataflow_analysis::sdmx::{self, Limits};
use nix::sys::resource::{UsageWho, getrusage};

use super::{On, median};
use crate::built_in;

/// Alternates the two, so that a change of the machine's speed meets both.
pub(super) fn measure(on: &On) -> anyhow::Result<String> {
    let document = std::fs::read(&on.file).with_context(|| format!("cannot read {}", on.file.display()))?;
    let megabytes = document.len() as f64 / 1e6;
    let ruleset = Rulesets::new(built_in::rulesets()).get("default")?;
    let rules = ruleset.compiled()?;
    let limits = || Limits { document_bytes: u64::MAX, ..Limits::default() };

    let (mut floors, mut analyses, mut ratios, mut dataflows) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..on.rounds {
        let (floor, events) = timed(|| sdmx::floor(document.as_slice(), &limits()))?;
        events?;
        let (analysis, catalogue) = timed(|| catalogue::analyse(document.as_slice(), rules, limits()))?;
        dataflows = catalogue?.dataflows.len();
        floors.push(megabytes / floor.as_secs_f64());
        analyses.push(megabytes / analysis.as_secs_f64());
        ratios.push(floor.as_secs_f64() / analysis.as_secs_f64());
    }
    let middle = |values| median(values).unwrap_or(f64::NAN);
    Ok(format!(
        "{megabytes:.1} MB, {dataflows} dataflows, median of {} rounds, CPU time of one thread\n\
         floor (read events, keep nothing)  {:7.1} MB/s\n\
         parse and categorise               {:7.1} MB/s\n\
         ratio                              {:7.2}       (at least 0.50)\n",
        on.rounds,
        middle(floors),
        middle(analyses),
        middle(ratios),
    ))
}

/// CPU time, not wall time: a busy neighbour then does not count.
fn timed<T>(work: impl FnOnce() -> T) -> anyhow::Result<(Duration, T)> {
    let before = cpu_time()?;
    let result = work();
    Ok((cpu_time()? - before, result))
}

fn cpu_time() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    Ok(Duration::from_micros((micros(usage.user_time()) + micros(usage.system_time())).unsigned_abs()))
}
