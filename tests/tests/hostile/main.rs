//! The campaign: what hostile or careless callers do, against real processes. Each test asserts responses and memory,
//! never times: it must pass on a busy machine. `dataflow bench overload` measures the goodput.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod admin;
mod bystander;
mod cpu;
mod goaway;
mod hang_ups;
mod headers;
mod memory;
mod multiple;
mod priorities;
mod readers;
mod series;
mod silent;
mod stopping;
mod trust;
mod watches;
mod writers;

use bytes::Bytes;
use h2::SendStream;
use std::future::poll_fn;

const ANALYZE: &str = "/dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue";
const CATEGORIZE: &str = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";
const WATCH_RULESETS: &str = "/dataflow.config.v1.RuleService/WatchRulesets";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Sends these bytes as fast as the server takes them; the body stays open. Ends early if the server ends the stream.
async fn send_all(body: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let Some(Ok(capacity)) = poll_fn(|cx| body.poll_capacity(cx)).await else { return };
        if body.send_data(bytes.split_to(capacity.min(bytes.len())), false).is_err() {
            return;
        }
    }
}
