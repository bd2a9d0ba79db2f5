//! Categorizing one catalogue with 2,000 rules relative to 6 rules, where the additional rules match nothing.

use std::time::{Duration, Instant};

use anyhow::Context;
use dataflow_analysis::catalogue;
use dataflow_analysis::categorizer::Categorizer;
use dataflow_analysis::rulesets::Rulesets;
use dataflow_rules::{Compiled, Rule, RuleSet};
use dataflow_sdmx::{Dataflow, Limits, StructureReader};

use super::CatalogueArgs;

const FEW: usize = 6;
const MANY: usize = 2_000;

/// Measures both rule sets. Alternates few and many rules, so that a change of the machine's speed affects both.
pub(super) fn measure(args: &CatalogueArgs) -> anyhow::Result<String> {
    let document =
        std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let mut reader = StructureReader::new(document.as_slice(), Limits::default());
    let mut dataflows = Vec::new();
    while let Some(dataflow) = reader.next_dataflow()? {
        dataflows.push(dataflow);
    }
    let rulesets = Rulesets::new(dataflow_rules::built_in::rulesets());
    let mut report = format!(
        "{} dataflows, {FEW} and {MANY} rules, best of {} rounds, one thread\n",
        dataflows.len(),
        args.rounds
    );
    for name in ["legacy", "default"] {
        let few = few(rulesets.get(name)?.rules()?.clone());
        let (few, many) = (Compiled::new(&few)?, Compiled::new(&many(few))?);
        let (mut by_few, mut by_many) = (Duration::MAX, Duration::MAX);
        for _ in 0..args.rounds {
            let (took, expected) = categorize(&dataflows, &few);
            by_few = by_few.min(took);
            let (took, found) = categorize(&dataflows, &many);
            by_many = by_many.min(took);
            anyhow::ensure!(found == expected, "the rules added to {name} match something");
        }
        let micros = |took: Duration| took.as_secs_f64() * 1e6 / dataflows.len() as f64;
        report += &format!(
            "{name:8} {:6.2} us a dataflow by few, {:6.2} us by many, ratio {:.2} (at most 2.00)\n",
            micros(by_few),
            micros(by_many),
            micros(by_many) / micros(by_few),
        );
    }
    Ok(report)
}

/// Categorizes all dataflows; returns the duration and the sum of their scores.
fn categorize(dataflows: &[Box<Dataflow>], rules: &Compiled) -> (Duration, i64) {
    let mut categorizer = Categorizer::new(rules);
    let start = Instant::now();
    let points = dataflows.iter().map(|dataflow| {
        let (filing, _) = categorizer.file(&catalogue::subject(dataflow));
        i64::from(filing.score)
    });
    let points = points.sum();
    (start.elapsed(), points)
}

/// The first rule of each category of the set, at most six.
fn few(set: RuleSet) -> RuleSet {
    let mut rules: Vec<Rule> = Vec::new();
    for rule in set.rules {
        if rules.len() < FEW && !rules.iter().any(|known| known.category == rule.category) {
            rules.push(rule);
        }
    }
    RuleSet { rules, ..set }
}

/// The same rules, and rules that search for the same keywords misspelled at the end: near matches cost most.
fn many(mut set: RuleSet) -> RuleSet {
    let rules = (set.rules.len()..MANY).map(|number| {
        let like = &set.rules[number % set.rules.len()];
        let misspelled = |keyword: &String| format!("{}xq{number}", keyword.trim_end_matches('*'));
        Rule {
            id: format!("{}-{number}", like.id),
            keywords: like.keywords.iter().take(3).map(misspelled).collect(),
            weights: Default::default(),
            ..like.clone()
        }
    });
    let rules: Vec<_> = rules.collect();
    set.rules.extend(rules);
    set
}
