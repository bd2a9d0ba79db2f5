//! Parsing and categorizing relative to the floor: the same adapter and XML reader over the same bytes, storing
//! nothing; and the share of themes and families in it. Data messages are counted, relative to the same floor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use dataflow_analysis::catalogue::{self, Filing};
use dataflow_analysis::categorizer::Categorizer;
use dataflow_analysis::rulesets::Rulesets;
use dataflow_rules::Compiled;
use dataflow_rules::themes::{CompiledMapping, Mapping};
use dataflow_sdmx::{DataCounts, DataFormat, Limits, StructureReader};
use dataflow_uploads::budget::Budget;
use dataflow_uploads::document::Single;
use nix::time::{ClockId, clock_gettime};

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Catalogues, as for `dataflow analyze`, or data messages in XML or JSON.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Number of rounds, of which the report gives the best.
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

/// What every round needs. An analysis service has it before the first document.
struct Rules<'a> {
    compiled: &'a Compiled,
    mapping: CompiledMapping,
}

/// Measures every file.
pub(super) fn measure(args: &Args) -> anyhow::Result<String> {
    let ruleset = Rulesets::new(dataflow_rules::built_in::rulesets()).get("default")?;
    let rules = Rules { compiled: ruleset.compiled()?, mapping: CompiledMapping::new(&Mapping::built_in()) };
    let (mut catalogues, mut data) = (String::new(), String::new());
    for file in &args.files {
        let document = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        match dataflow_sdmx::count_data(document.as_slice(), &limits()) {
            Ok(counts) => data += &data_line(file, &document, &counts, args.rounds)?,
            Err(error) if error.reason() != "NOT_A_DATA_MESSAGE" => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
            Err(_) => catalogues += &line(file, &document, args.rounds, &rules)?,
        }
    }
    let mut report = format!("CPU time of one thread, MB/s, best of {} rounds\n", args.rounds);
    if !catalogues.is_empty() {
        report += &format!(
            "The ratio is that of the analysis and the floor (at least 0.50), the share what themes and families add to \
             the time\nwithout them (at most 15 %)\n\
             {:>8} {:>9} {:>8} {:>8} {:>8} {:>6} {:>6}  catalogue\n{catalogues}",
            "MB", "dataflows", "floor", "texts", "analysis", "ratio", "share"
        );
    }
    if !data.is_empty() {
        report += &format!(
            "The ratio is that of counting and the floor (at least 0.50)\n\
             {:>8} {:>9} {:>9} {:>8} {:>8} {:>6}  data message\n{data}",
            "MB", "series", "obs", "floor", "counting", "ratio"
        );
    }
    Ok(report)
}

/// Alternates the floor, the analysis and the analysis of texts alone, so that a change of the machine's speed affects
/// all of them.
fn line(file: &Path, document: &[u8], rounds: u16, rules: &Rules<'_>) -> anyhow::Result<String> {
    let megabytes = document.len() as f64 / 1e6;
    let [mut floor, mut texts, mut analysis] = [Duration::MAX; 3];
    let mut dataflows = 0;
    for _ in 0..rounds {
        let (took, events) = timed(|| dataflow_sdmx::floor(document, &limits()))?;
        events?;
        floor = floor.min(took);
        let (took, filings) = timed(|| by_texts(document, rules.compiled))?;
        dataflows = filings?.len();
        texts = texts.min(took);
        let (took, catalogue) = timed(|| {
            let mut documents = Single(document);
            catalogue::analyze_all(
                &mut documents,
                rules.compiled,
                &rules.mapping,
                limits(),
                &mut Budget::unlimited(),
            )
        })?;
        anyhow::ensure!(catalogue?.dataflows.len() == dataflows, "the two analyses differ");
        analysis = analysis.min(took);
    }
    let rate = |took: Duration| megabytes / took.as_secs_f64();
    Ok(format!(
        "{megabytes:8.2} {dataflows:9} {:8.1} {:8.1} {:8.1} {:6.2} {:5.0}%  {}\n",
        rate(floor),
        rate(texts),
        rate(analysis),
        rate(analysis) / rate(floor),
        (rate(texts) / rate(analysis) - 1.0) * 100.0,
        file.file_name().unwrap_or_default().display(),
    ))
}

/// Alternates the floor and the counting of a data message, which has these counts.
fn data_line(file: &Path, document: &[u8], counts: &DataCounts, rounds: u16) -> anyhow::Result<String> {
    let has_floor = counts.format != DataFormat::Csv;
    anyhow::ensure!(
        has_floor,
        "{} is {}; expected XML or JSON, which have a floor",
        file.display(),
        counts.format
    );
    let megabytes = document.len() as f64 / 1e6;
    let [mut floor, mut counting] = [Duration::MAX; 2];
    for _ in 0..rounds {
        let (took, events) = timed(|| dataflow_sdmx::floor(document, &limits()))?;
        events?;
        floor = floor.min(took);
        let (took, again) = timed(|| dataflow_sdmx::count_data(document, &limits()))?;
        anyhow::ensure!(again? == *counts, "two counts differ");
        counting = counting.min(took);
    }
    let rate = |took: Duration| megabytes / took.as_secs_f64();
    Ok(format!(
        "{megabytes:8.2} {:9} {:9} {:8.1} {:8.1} {:6.2}  {}\n",
        counts.series,
        counts.observations,
        rate(floor),
        rate(counting),
        rate(counting) / rate(floor),
        file.file_name().unwrap_or_default().display(),
    ))
}

/// Parses and categorizes without themes and families.
fn by_texts(
    document: &[u8],
    rules: &Compiled,
) -> anyhow::Result<Vec<(Box<dataflow_sdmx::Dataflow>, Filing)>> {
    let mut reader = StructureReader::new(document, limits()).without_legacy();
    let (mut filings, mut categorizer) = (Vec::new(), Categorizer::new(rules));
    while let Some(dataflow) = reader.next_dataflow()? {
        let (filing, _) = categorizer.file(&catalogue::subject(&dataflow));
        filings.push((dataflow, filing));
    }
    Ok(filings)
}

fn limits() -> Limits {
    Limits { document_bytes: u64::MAX, ..Limits::default() }
}

/// The processor time of this thread. Disturbances make a round longer, never shorter, so the best round is the one to
/// compare.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> anyhow::Result<(Duration, T)> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let start = now().context("cannot read the processor time of the thread")?;
    let result = work();
    Ok((now()?.saturating_sub(start), result))
}
