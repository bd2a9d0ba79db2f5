//! `dataflow rules evaluate`: compares a rule file with the rule set that a mesh uses, on one catalogue.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_render::Options;
use dataflow_render::grid::Grid;
use dataflow_render::text::{name_of, printable, why};

use super::RulesetArgs;
use crate::analyze;
use crate::client::{self, FormatArgs};
use crate::exit::{Exit, Failure};

/// The flags of `dataflow rules evaluate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The catalogue: an SDMX-ML structure message, plain or gzip; `-` reads standard input.
    #[arg(value_name = "FILE")]
    catalogue: PathBuf,

    /// The rule file, YAML or JSON as for `analyze`, whose rules replace those of the rule set in the evaluation.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,

    #[command(flatten)]
    set: RulesetArgs,

    /// Show only dataflows whose category changes, not those of which only score or evidence change.
    #[arg(long, value_parser = clap::builder::FalseyValueParser::new())]
    category_only: bool,

    /// Preferred language of names. A name that lacks it is shown in another language.
    #[arg(long, default_value = "en", value_name = "LANG")]
    lang: String,

    #[command(flatten)]
    format: FormatArgs,
}

/// Requests the evaluation from the mesh and prints it.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { catalogue, rules, set: RulesetArgs { mesh, ruleset }, category_only, lang, format } = args;
    let proposed = client::read(&rules, "--rules", dataflow_rules::file::parse).await?;
    let document = read(&catalogue).await?;
    let set = dataflow_config::ruleset_to_wire(&proposed);
    let request = pb::EvaluateRulesRequest {
        ruleset,
        mode: set.mode,
        rules: set.rules,
        removed_rules: Vec::new(),
        replace: true,
        category_only,
        document: Some(HttpBody { data: document.into(), ..Default::default() }),
    };
    let mut client = AnalysisServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX);
    let reply = client.evaluate_rules(request).await.map_err(|status| mesh.failure(&status))?;
    let evaluation = reply.into_inner().evaluation.context("the response contains no evaluation")?;
    format.print("dataflow.analysis.v1.Evaluation", &evaluation, |options, out| {
        table(&evaluation, &lang, options, out)
    })?;
    let unread = analyze::unread(&evaluation.diagnostics, evaluation.diagnostics_omitted);
    Ok(if unread { Exit::Incomplete } else { Exit::Success })
}

/// Reads the whole catalogue, since it is sent in one message.
async fn read(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut document = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut document).await?;
        return Ok(document);
    }
    Ok(tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?)
}

fn table(evaluation: &pb::Evaluation, lang: &str, options: &Options, out: &mut impl Write) -> io::Result<()> {
    let pb::Evaluation { ruleset, rules_revision, total, recategorized, .. } = evaluation;
    let noun = if *total == 1 { "dataflow" } else { "dataflows" };
    write!(out, "{total} {noun}, of which {recategorized} would get another category than by ")?;
    match rules_revision {
        0 => writeln!(out, "rule set {} as built in", printable(ruleset))?,
        revision => writeln!(out, "rule set {} at revision {revision}", printable(ruleset))?,
    }

    let mut counts = Grid::new(["CATEGORY", ">BEFORE", ">AFTER", ">CHANGE"]);
    for number in 1..=7 {
        let category = dataflow_proto::r#type::v1::Category::try_from(number).unwrap_or_default();
        let name = category.as_str_name();
        let count = |counts: &std::collections::BTreeMap<String, i32>| counts.get(name).copied().unwrap_or(0);
        let (before, after) = (count(&evaluation.counts_before), count(&evaluation.counts_after));
        let change = if before == after { "0".to_owned() } else { format!("{:+}", after - before) };
        counts.push([name.to_owned(), before.to_string(), after.to_string(), change]);
    }
    writeln!(out)?;
    counts.write(options, out)?;

    let mut moves = Grid::new(["ID", "FROM", ">SCORE", "TO", ">SCORE", "WHY", "NAME"]);
    for moved in &evaluation.moves {
        let none = pb::Filing::default();
        let [before, after] = [&moved.before, &moved.after].map(|filing| filing.as_ref().unwrap_or(&none));
        moves.push([
            moved.id.clone(),
            before.category().as_str_name().to_owned(),
            before.score.to_string(),
            after.category().as_str_name().to_owned(),
            after.score.to_string(),
            after.evidence.first().map(|evidence| why(evidence, lang)).unwrap_or_default(),
            name_of(&moved.id, &moved.names, lang).into_owned(),
        ]);
    }
    if !evaluation.moves.is_empty() {
        writeln!(out)?;
    }
    moves.write(options, out)
}
