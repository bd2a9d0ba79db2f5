//! Parsing and categorizing relative to the floor: the same adapter and XML reader over the same bytes, storing
//! nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use dataflow_analysis::budget::Budget;
use dataflow_analysis::catalogue;
use dataflow_analysis::rulesets::Rulesets;
use dataflow_sdmx::Limits;

use super::CatalogueArgs;

/// Alternates the two, so that a change of the machine's speed affects both.
pub(super) fn measure(args: &CatalogueArgs) -> anyhow::Result<String> {
    let document =
        std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let megabytes = document.len() as f64 / 1e6;
    let ruleset = Rulesets::new(dataflow_rules::built_in::rulesets()).get("default")?;
    let rules = ruleset.compiled()?;
    let limits = || Limits { document_bytes: u64::MAX, ..Limits::default() };

    let (mut floor, mut analysis, mut dataflows) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..args.rounds {
        let (took, events) = timed(|| dataflow_sdmx::floor(document.as_slice(), &limits()));
        events?;
        floor = floor.min(took);
        let (took, catalogue) =
            timed(|| catalogue::analyze(document.as_slice(), rules, limits(), &mut Budget::unlimited()));
        dataflows = catalogue?.dataflows.len();
        analysis = analysis.min(took);
    }
    let rate = |took: Duration| megabytes / took.as_secs_f64();
    Ok(format!(
        "{megabytes:.1} MB, {dataflows} dataflows, best of {} rounds, one thread\n\
         floor (read events, store nothing) {:7.1} MB/s\n\
         parse and categorize               {:7.1} MB/s\n\
         ratio                              {:7.2}       (at least 0.50)\n",
        args.rounds,
        rate(floor),
        rate(analysis),
        rate(analysis) / rate(floor),
    ))
}

/// Wall time. Disturbances make a round longer, never shorter, so the best round is the one to compare. CPU time would
/// exclude some of them, but the kernel may count it in ticks of milliseconds.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}
