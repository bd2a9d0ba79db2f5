//! `dataflow analyze`: analyzes one catalogue and exits. It starts the mesh in this process, streams the document to
//! analysis while reading it, and prints the result.

mod output;
mod shape;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use dataflow_analysis::args::AnalysisArgs;
use dataflow_cache::CacheArgs;
use dataflow_config::{AuditLogArgs, JournalArgs};
use dataflow_mesh::args::{LimitArgs, ServerArgs, TelemetryArgs};
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::process::{self, Process};
use dataflow_mesh::telemetry;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_render::{self as render, Format};
use dataflow_rules::RuleSet;
use dataflow_store::StoreArgs;
use dataflow_uploads::UploadArgs;

use crate::client::{ConnectionArgs, Endpoint};
use crate::exit::{self, Exit, Failure};
use crate::in_process::{self, Mesh, Services};
use crate::progress::Progress;
use crate::{client, terminal, upload};

use output::Output;
use shape::ShapeArgs;

/// Timeout for one catalogue. It is generous because the user is waiting and can interrupt at any time.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The rule sets that `--rules` accepts by name; any other value is a file.
const BUILT_IN: [&str; 2] = ["default", "legacy"];

/// The flags of `dataflow analyze`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The catalogue: a structure message in SDMX-ML or SDMX-JSON, plain or gzip; `-` reads standard input.
    #[arg(value_name = "FILE")]
    source: PathBuf,

    /// A document with category schemes and categorisations of the provider, which decide before the rules. Repeatable:
    /// schemes and categorisations are often separate documents.
    #[arg(long, value_name = "FILE")]
    themes: Vec<PathBuf>,

    /// A document with data structures, code lists or constraints of the provider, which tell the contents and the size of
    /// dataflows. Repeatable.
    #[arg(long, value_name = "FILE")]
    structures: Vec<PathBuf>,

    /// The rules to categorize by: `default`, `legacy` (the predecessor's), or a YAML or JSON file.
    #[arg(long, default_value = "default", value_name = "default|legacy|FILE")]
    rules: String,

    /// Preferred language of names. A name that lacks it is shown in another language.
    #[arg(long, default_value = "en", value_name = "LANG")]
    lang: String,

    /// How to print the result.
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    shape: ShapeArgs,

    /// Send the catalogue to this running mesh instead of one in this process. The limits of that mesh apply.
    #[arg(long, env = "DATAFLOW_ENDPOINT", value_name = "URL")]
    endpoint: Option<Endpoint>,

    #[command(flatten)]
    connection: ConnectionArgs,

    /// Write the result to this file instead of standard output: complete, or not at all.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Show no progress bar.
    #[arg(long, value_parser = FalseyValueParser::new())]
    quiet: bool,

    /// What to log to standard error: a level, or tracing directives.
    #[arg(long, env = "DATAFLOW_LOG", default_value = "warn", value_parser = telemetry::filter, value_name = "FILTER")]
    log: String,

    #[command(flatten, next_help_heading = "Limits")]
    limits: AnalysisArgs,
}

/// Runs the command. SIGINT exits immediately.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    tokio::select! {
        ended = analyze_and_print(args) => ended,
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| Exit::Interrupted).map_err(Into::into),
    }
}

async fn analyze_and_print(args: Args) -> Result<Exit, Failure> {
    args.shape.check(args.format)?;
    let log = TelemetryArgs::of_command(args.log);
    let process = Process::default();
    let telemetry =
        telemetry::init(&log, "dataflow-analyze", &process.metrics).map_err(process::Error::from)?;
    let (ruleset, extra) = ruleset(&args.rules).await?;
    let sources: Vec<_> = [args.source].into_iter().chain(args.themes).chain(args.structures).collect();
    let documents = upload::open_all(&sources).await?;
    let output = args.out.map(|path| Output::open(path, &sources)).transpose()?;

    let mesh = match &args.endpoint {
        Some(_) if extra.is_some() => {
            let why = "a rule file cannot be sent to a running mesh: name one of its rule sets";
            return Err(Failure::new(Exit::Usage, anyhow::anyhow!("--rules {}: {why}", args.rules)));
        }
        Some(_) => None,
        None => Some(start(&process, args.limits, extra).await?),
    };
    let endpoint = match (args.endpoint, &mesh) {
        (Some(endpoint), _) => endpoint,
        (None, mesh) => {
            let mesh = mesh.as_ref().context("there is a mesh, running or in this process")?;
            Endpoint::Plain(mesh.analysis.clone())
        }
    };
    let channel = args.connection.channel(&endpoint, TIMEOUT)?;
    let progress = Progress::new(upload::size(&documents), args.quiet);
    let analysis = analyze(channel, &endpoint, ruleset, documents, &progress).await;
    progress.finish();
    let analysis = analysis.map_err(|(document, Failure { error, exit })| {
        // A service of another release may number documents that there are not.
        let source = sources.get(document).unwrap_or(&sources[0]);
        Failure { error: error.context(upload::name(source)), exit }
    })?;
    if let Some(mesh) = mesh {
        process.stop();
        mesh.stop().await?;
    }
    telemetry.flush().await;

    let incomplete = unread(&analysis.diagnostics, analysis.diagnostics_omitted);
    // On a blocking thread: if the reader of standard output stops reading, SIGINT must still be handled.
    let printed =
        tokio::task::spawn_blocking(move || print(analysis, args.format, args.shape, args.lang, output))
            .await?;
    printed.context("cannot write the result")?;
    Ok(if incomplete { Exit::Incomplete } else { Exit::Success })
}

/// The name of the rule set to request, and the rule set itself if it comes from a file.
async fn ruleset(rules: &str) -> Result<(String, Option<RuleSet>), Failure> {
    if BUILT_IN.contains(&rules) {
        return Ok((rules.to_owned(), None));
    }
    let usage = |error: anyhow::Error| Failure::new(Exit::Usage, error.context(format!("--rules {rules}")));
    let text = tokio::fs::read_to_string(rules).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let built_in = BUILT_IN.join(" or ");
            usage(anyhow::anyhow!(
                "neither a file nor a built-in rule set; name {built_in}, or a file of rules"
            ))
        }
        _ => usage(error.into()),
    })?;
    let set = dataflow_rules::file::parse(&text).map_err(|error| usage(error.into()))?;
    Ok((set.name.clone(), Some(set)))
}

/// Starts a mesh in this process for one catalogue. The request timeout is as long as the command's own, and only the
/// limits of the document bound the size of a message.
async fn start(process: &Process, limits: AnalysisArgs, extra: Option<RuleSet>) -> Result<Mesh, Failure> {
    let server = ServerArgs {
        max_message_bytes: ByteSize(u64::MAX),
        limits: LimitArgs {
            request_timeout: TIMEOUT,
            // Standard input may be as slow as it likes.
            body_idle_timeout: TIMEOUT,
            min_body_rate: ByteSize(0),
            ..in_process::defaults()
        },
        ..in_process::defaults()
    };
    let (cache, store): (CacheArgs, StoreArgs) = (in_process::defaults(), in_process::defaults());
    let services = Services {
        analysis: limits,
        uploads: UploadArgs { upload_idle_timeout: TIMEOUT, ..in_process::defaults() },
        extra,
        // In memory: no state outlives the command.
        store: store.open(None, cache.capacity.as_u64(), process, "analyze")?,
        cache,
        catalogue: in_process::defaults(),
        journal: JournalArgs::default(),
        logs: AuditLogArgs::default(),
        server: in_process::internal(server),
    };
    let mesh = Mesh::start(services, process).await?;
    tokio::select! {
        () = process.readiness.until_ready() => Ok(mesh),
        failure = process.tasks.failed() => Err(anyhow::Error::new(failure).into()),
    }
}

/// Sends the documents and waits for the response. A failure comes with the index of the document that it concerns.
async fn analyze(
    channel: Outbound,
    endpoint: &Endpoint,
    ruleset: String,
    documents: Vec<upload::Document>,
    progress: &Progress,
) -> Result<pb::Analysis, (usize, Failure)> {
    let mut client = AnalysisServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let options = pb::AnalyzeCatalogueRequest { ruleset, ..Default::default() };
    let to_message = |_, piece| pb::AnalyzeCatalogueRequest { document: Some(piece), ..Default::default() };
    let (messages, read_error) = upload::messages(documents, options, to_message, progress.clone());
    tokio::select! {
        reply = client.analyze_catalogue(messages) => {
            let refused = |status| (client::document_of(&status), client::failure(endpoint, &status));
            let reply = reply.map_err(refused)?.into_inner();
            reply.analysis.context("the response contains no analysis").map_err(|error| (0, error.into()))
        }
        Ok((document, error)) = read_error => {
            Err((document, Failure::from(anyhow::Error::new(error).context("cannot read"))))
        }
    }
}

/// Whether a dataflow, or a part of one, could not be read. Analysis keeps warnings in preference to other diagnostics,
/// so the omitted ones can include a warning only if none was kept.
pub(crate) fn unread(diagnostics: &[pb::Diagnostic], omitted: i32) -> bool {
    let warning = |diagnostic: &pb::Diagnostic| diagnostic.severity() == pb::diagnostic::Severity::Warning;
    diagnostics.iter().any(warning) || (diagnostics.is_empty() && omitted > 0)
}

/// Prints the result. That the reader of standard output has gone is no failure.
fn print(
    analysis: pb::Analysis,
    format: Format,
    shape: ShapeArgs,
    lang: String,
    out: Option<Output>,
) -> anyhow::Result<()> {
    match out {
        Some(output) => {
            let options = shape.options(render::Options::plain(lang));
            output.write(|mut to| render::render(analysis, format, &options, &mut to))
        }
        None => {
            let options = shape.options(terminal::options(lang));
            let printed = render::render(analysis, format, &options, &mut terminal::stdout());
            Ok(exit::unless_closed(printed)?)
        }
    }
}
