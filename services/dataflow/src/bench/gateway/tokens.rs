//! What tokens cost the gateway: the verification of one that it has not seen, by algorithm; a call with a known one, and
//! with rate limits, against an anonymous call; and what invalid tokens do to a valid caller. CPU time is that of the
//! gateway's process.

mod invalid;

use std::iter::{once, repeat_n};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use super::load::{self, Bearers, Load, RestRequest};
use super::server::{Server, free_addresses};
use super::{Cost, Line, Round, role_command};
use crate::bench::median;
use crate::bench::token::{self, Issuer};

/// The flags of `dataflow bench token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of rounds; the result is the median of theirs.
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Calls to each gateway per round; rounded up to a multiple of 16.
    #[arg(long, default_value_t = 1600, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: u32,

    /// Distinct invalid tokens in all, at 2,000 a second.
    #[arg(long, default_value_t = 50_000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    invalid: u64,

    /// Only this part.
    #[arg(long, value_name = "WHICH")]
    part: Option<Part>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU time of the verification of new tokens
    Verification,
    /// CPU time of a call with a known token and rate limits, relative to an anonymous one
    Limits,
    /// Memory, and the latency of a valid caller, beside invalid tokens. Needs two processors
    Invalid,
}

/// Measures all parts, or the one that was asked for.
pub(in crate::bench) async fn measure(args: &Args) -> anyhow::Result<String> {
    let directory = tempfile::tempdir()?;
    let mut report = format!("medians of {} rounds of {} calls\n", args.rounds, load::rounded_up(args.calls));
    let is_wanted = |part| args.part.is_none_or(|only| only == part);
    if is_wanted(Part::Verification) {
        report.push_str(&verification(args, directory.path()).await?);
    }
    if is_wanted(Part::Limits) {
        report.push_str(&limits(args, directory.path()).await?);
    }
    if is_wanted(Part::Invalid) {
        report.push_str(&invalid::measure(args.rounds, args.invalid, directory.path()).await?);
    }
    Ok(report)
}

/// The difference between calls with a token each, and calls with always the same one, alternately.
async fn verification(args: &Args, directory: &Path) -> anyhow::Result<String> {
    let issuers = Issuer::of_each_algorithm()?;
    let key_set = token::key_set(&issuers.each_ref(), directory)?;
    let [behind, address] = free_addresses()?;
    let mut analysis = Server::start("analysis", one_worker("analysis", behind)?, directory)?;
    analysis.until_ok(|| Load::grpc(behind, None)).await?;
    let mut command = one_worker("gateway", address)?;
    command.args(["--analysis-url", &format!("http://{behind}")]).arg("--jwks").arg(key_set);
    let mut gateway = Server::start("gateway", command, directory)?;

    let mut report = String::new();
    for issuer in &issuers {
        let known = rest(&mut gateway, address, &[issuer.bearer(0)?]).await?;
        // Made beforehand: that takes longer than to verify them.
        let count = 1 + u64::from(load::rounded_up(args.calls)) * (1 + u64::from(args.rounds));
        let fresh: Vec<_> = (1..=count).map(|number| issuer.bearer(number)).collect::<Result<_, _>>()?;
        let (mut known, mut fresh) = (known, rest(&mut gateway, address, &fresh).await?);
        let mut differences = Vec::new();
        for _ in 0..=args.rounds {
            let cached = Cost::of(&gateway, &mut known, args.calls).await?;
            let verified = Cost::of(&gateway, &mut fresh, args.calls).await?;
            differences.push((verified.cpu.as_secs_f64() - cached.cpu.as_secs_f64()) * 1e6);
        }
        // The warm-up fills caches and pools and is not measured.
        let middle = median(differences.split_off(1)).context("no round")?;
        let what = format!("verification of a new {} token", issuer.algorithm);
        let bar = if issuer.algorithm == "RS256" { " (below 100)" } else { "" };
        report.push_str(&format!("{what:<40} {middle:>7.1} us{bar}\n"));
    }
    gateway.stop().await?;
    analysis.stop().await?;
    Ok(report)
}

/// A call with a known token at a gateway with rate limits, which it shares through a cache service, against an anonymous
/// one at a gateway without.
async fn limits(args: &Args, directory: &Path) -> anyhow::Result<String> {
    let [behind, cache, address, limited] = free_addresses()?;
    let mut analysis = Server::start("analysis", one_worker("analysis", behind)?, directory)?;
    analysis.until_ok(|| Load::grpc(behind, None)).await?;
    let permits = Server::start("cache", one_worker("cache", cache)?, directory)?;
    let command = |address| {
        let mut command = one_worker("gateway", address)?;
        command.args(["--analysis-url", &format!("http://{behind}")]);
        anyhow::Ok(command)
    };
    let mut anonymous = Server::start("gateway", command(address)?, directory)?;
    let request = RestRequest::categorize(address, None)?;
    let mut without = anonymous.until_ok(|| Load::rest(address, request.clone())).await?;
    let (key_set, bearer) = token::issue(directory)?;
    let mut command = command(limited)?;
    command.arg("--jwks").arg(key_set).args(limit_flags(cache));
    let mut limiting = Server::start("gateway with limits", command, directory)?;
    let mut with = rest(&mut limiting, limited, &[bearer]).await?;
    ensure!(without.reply() == with.reply(), "the responses of the two gateways differ");

    let mut rounds = Vec::new();
    for calls in once(args.calls.div_ceil(10)).chain(repeat_n(args.calls, args.rounds.into())) {
        let theirs = Cost::of(&anonymous, &mut without, calls).await?;
        rounds.push(Round { theirs, ours: Cost::of(&limiting, &mut with, calls).await? });
    }
    for server in [anonymous, limiting, permits, analysis] {
        server.stop().await?;
    }
    // The first round is the warm-up.
    let line = Line::new(&rounds[1..], |cost| cost.cpu.as_secs_f64() * 1e6)?;
    Ok(line.render("REST CPU, token and limits", "us", " (at most 1.10)", ["with", "anonymous"]))
}

/// Limits that no benchmark reaches, shared through this cache service.
pub(super) fn limit_flags(cache: SocketAddr) -> [String; 4] {
    ["--rate-limit", "1000000/s", "--cache-url", &format!("http://{cache}")].map(str::to_owned)
}

/// A role with one worker thread: with more, it pays for cross-thread wakeups.
fn one_worker(role: &str, address: SocketAddr) -> anyhow::Result<tokio::process::Command> {
    let mut command = role_command(role, address)?;
    command.env("TOKIO_WORKER_THREADS", "1");
    Ok(command)
}

/// Connections over which each call presents the next of these values; the only one always.
async fn rest(server: &mut Server, address: SocketAddr, bearers: &[String]) -> anyhow::Result<Load> {
    let bearers = Arc::new(Bearers::new(bearers)?);
    let request = RestRequest::categorize(address, None)?.presenting(bearers);
    server.until_ok(|| Load::rest(address, request.clone())).await
}
