//! `dataflow probe`: a small analysis through the whole mesh, as a caller makes it, whose result is known. For a schedule
//! outside the mesh: a mesh whose metrics are well may still be out of reach.

use std::time::{Duration, Instant, SystemTime};

use anyhow::ensure;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;
use dataflow_settings::nonzero_duration;

use crate::client::{self, EndpointArgs};
use crate::exit::{Exit, Failure};

/// The catalogue, in which [`PREPARED`] stands for the time.
const CATALOGUE: &str = include_str!("probe/catalogue.xml");
const PREPARED: &str = "PREPARED";

/// Its dataflows.
const DATAFLOWS: [&str; 5] = ["PROBE_1", "PROBE_2", "PROBE_3", "PROBE_4", "PROBE_5"];

/// The flags of `dataflow probe`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    mesh: EndpointArgs,

    /// Longest time that the analysis may take.
    #[arg(long, default_value = "10s", value_parser = nonzero_duration, value_name = "DURATION")]
    timeout: Duration,
}

/// Runs the command. It fails unless the result is complete and nothing was missing for it.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { mesh, timeout } = args;
    let mut client = AnalysisServiceClient::new(mesh.connection.channel(&mesh.endpoint, timeout)?);
    let begun = Instant::now();
    let reply = client.analyze_catalogue(futures_util::stream::iter([request(SystemTime::now())])).await;
    let reply = reply.map_err(|status| mesh.failure(&status))?.into_inner();
    let took = begun.elapsed();
    let analysis = reply.analysis.unwrap_or_default();
    check(&analysis)?;
    let (total, rules) = (analysis.total, analysis.rules_revision);
    let line = format!("{}  {total} dataflows in {} ms, rules {rules}\n", mesh.endpoint, took.as_millis());
    client::print(line.as_bytes())?;
    Ok(Exit::Success)
}

/// The upload. Each is another document, or the result would come from the cache.
fn request(now: SystemTime) -> pb::AnalyzeCatalogueRequest {
    let prepared = humantime::format_rfc3339_nanos(now).to_string();
    let data = CATALOGUE.replace(PREPARED, &prepared).into_bytes().into();
    let content_type = "application/xml".to_owned();
    let document = HttpBody { content_type, data, ..Default::default() };
    pb::AnalyzeCatalogueRequest { document: Some(document), ..Default::default() }
}

fn check(analysis: &pb::Analysis) -> anyhow::Result<()> {
    let found: Vec<_> = analysis.dataflows.iter().map(|dataflow| dataflow.id.as_str()).collect();
    ensure!(found == DATAFLOWS, "the result has the dataflows {found:?} and not {DATAFLOWS:?}");
    let diagnostics: Vec<_> = analysis.diagnostics.iter().map(|found| found.reason.as_str()).collect();
    ensure!(diagnostics.is_empty(), "the document was not read without diagnostics: {diagnostics:?}");
    ensure!(!analysis.cached, "the result of a new document came from the cache");
    let missing: Vec<_> = analysis.degraded().map(|what| what.as_str_name()).collect();
    ensure!(missing.is_empty(), "the result is complete, but the mesh is degraded: {}", missing.join(", "));
    // The built-in rules decide all; whatever rules there are should decide some.
    let undecided = analysis.coverage.get("NOTHING").copied().unwrap_or_default();
    ensure!(undecided < analysis.total, "the rules decide the category of no dataflow");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A result that is right.
    fn right() -> pb::Analysis {
        let dataflow = |id: &str| pb::Dataflow { id: id.to_owned(), ..Default::default() };
        pb::Analysis {
            total: 5,
            coverage: [("NOTHING".to_owned(), 1)].into(),
            dataflows: DATAFLOWS.map(dataflow).into(),
            ..Default::default()
        }
    }

    #[test]
    fn each_document_is_another_one() {
        let document = |seconds| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            request(time).document.unwrap().data
        };
        assert_ne!(document(1), document(2));
        assert!(String::from_utf8(document(1).to_vec()).unwrap().contains("1970-01-01T00:00:01.000000000Z"));
    }

    #[test]
    fn what_is_wrong_with_a_result_is_named() {
        assert!(check(&right()).is_ok());
        let degraded = vec![pb::analysis::Degradation::CacheUnavailable.into()];
        let diagnostic = pb::Diagnostic { reason: "ODD".to_owned(), ..Default::default() };
        for (wrong, named) in [
            (pb::Analysis { dataflows: vec![], ..right() }, "[]"),
            (pb::Analysis { diagnostics: vec![diagnostic], ..right() }, "ODD"),
            (pb::Analysis { cached: true, ..right() }, "cache"),
            (pb::Analysis { degraded, ..right() }, "CACHE_UNAVAILABLE"),
            (pb::Analysis { coverage: [("NOTHING".to_owned(), 5)].into(), ..right() }, "no dataflow"),
        ] {
            let error = check(&wrong).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
