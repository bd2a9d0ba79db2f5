//! What it costs to be asked for the same document again.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use dataflow_mesh::outbound::Outbound;
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use dataflow_proto::google::api::HttpBody;

use super::running::Running;
use super::{On, median};

const LIMIT: Duration = Duration::from_secs(60);

/// Bytes of the document in one message.
const PIECE: usize = 64 * 1024;

/// Sends the file to a lone `analysis` before a lone `cache`, and again, each round with another ending, so that the first
/// time is one.
pub(super) async fn measure(on: &On) -> anyhow::Result<String> {
    let document = std::fs::read(&on.file)?;
    let cache = Running::service("cache", &[]).await?;
    let analysis =
        Running::service("analysis", &["--cache-url", cache.address.to_string().trim_end_matches('/')])
            .await?;
    let mut client = AnalysisServiceClient::new(Outbound::new(&analysis.address, LIMIT));
    client = client.max_decoding_message_size(usize::MAX);

    let cpu = || anyhow::Ok(analysis.cpu()? + cache.cpu()?);
    let (mut first, mut again, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first round fills caches and pools; it is no measurement.
    for round in 0..=on.rounds {
        let document: Bytes = [&document[..], format!("<!-- {round} -->").as_bytes()].concat().into();
        let mut took = [Duration::ZERO; 2];
        for (index, took) in took.iter_mut().enumerate() {
            let before = cpu()?;
            let analysis = analyse(&mut client, &document).await?;
            *took = cpu()? - before;
            ensure!(
                analysis.cached == (index == 1),
                "the document is not kept: is it larger than --spool-bytes?"
            );
        }
        if round > 0 {
            first.push(took[0]);
            again.push(took[1]);
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
        on.rounds,
        millis(first)?,
        millis(again)?,
        median(ratios).context("no round")?,
    ))
}

async fn analyse(
    client: &mut AnalysisServiceClient<Outbound>,
    document: &Bytes,
) -> anyhow::Result<pb::Analysis> {
    let pieces = (0..document.len()).step_by(PIECE);
    let messages: Vec<_> = pieces
        .map(|at| {
            let data = document.slice(at..document.len().min(at + PIECE));
            let document = Some(HttpBody { data, ..Default::default() });
            pb::AnalyzeCatalogueRequest { document, ..Default::default() }
        })
        .collect();
    let reply = client.analyze_catalogue(futures_util::stream::iter(messages)).await?.into_inner();
    reply.analysis.context("the reply holds no analysis")
}
