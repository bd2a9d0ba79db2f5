//! The cost of analyzing the same document again, when its result is cached.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;

use super::service_process::ServiceProcess;
use super::{CatalogueArgs, median};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Document bytes per message.
const CHUNK_BYTES: usize = 64 * 1024;

/// Sends the file twice to one `analysis` in front of one `cache`. Each round appends a different comment, so that its
/// first call is a cache miss.
pub(super) async fn measure(args: &CatalogueArgs) -> anyhow::Result<String> {
    let document = std::fs::read(&args.file)?;
    let cache = ServiceProcess::service("cache", &[]).await?;
    let analysis = ServiceProcess::service(
        "analysis",
        &["--cache-url", cache.address.to_string().trim_end_matches('/')],
    )
    .await?;
    let mut client = AnalysisServiceClient::new(Outbound::new(&analysis.address, TIMEOUT));
    client = client.max_decoding_message_size(usize::MAX);

    let cpu = || anyhow::Ok(analysis.cpu()? + cache.cpu()?);
    let (mut misses, mut hits, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up caches and pools and is not measured.
    for round in 0..=args.rounds {
        let document: Bytes = [&document[..], format!("<!-- {round} -->").as_bytes()].concat().into();
        let mut took = [Duration::ZERO; 2];
        for (index, took) in took.iter_mut().enumerate() {
            let before = cpu()?;
            let analysis = analyze(&mut client, &document).await?;
            *took = cpu()? - before;
            ensure!(
                analysis.cached == (index == 1),
                "the result is not cached: is the document larger than --spool-bytes?"
            );
        }
        if round > 0 {
            misses.push(took[0]);
            hits.push(took[1]);
            ratios.push(took[1].as_secs_f64() / took[0].as_secs_f64());
        }
    }
    for service in [analysis, cache] {
        service.stop().await?;
    }
    let millis = |times| anyhow::Ok(median::<Duration>(times).context("no round")?.as_secs_f64() * 1e3);
    Ok(format!(
        "{:.1} MB; CPU of analysis and cache; medians of {} rounds\n\
         first {:.1} ms  again {:.1} ms  ratio {:.2} (at most 0.60)\n",
        document.len() as f64 / 1e6,
        args.rounds,
        millis(misses)?,
        millis(hits)?,
        median(ratios).context("no round")?,
    ))
}

async fn analyze(
    client: &mut AnalysisServiceClient<Outbound>,
    document: &Bytes,
) -> anyhow::Result<pb::Analysis> {
    let pieces = (0..document.len()).step_by(CHUNK_BYTES);
    let messages: Vec<_> = pieces
        .map(|at| {
            let data = document.slice(at..document.len().min(at + CHUNK_BYTES));
            let document = Some(HttpBody { data, ..Default::default() });
            pb::AnalyzeCatalogueRequest { document, ..Default::default() }
        })
        .collect();
    let reply = client.analyze_catalogue(futures_util::stream::iter(messages)).await?.into_inner();
    reply.analysis.context("the response contains no analysis")
}
