//! A well-behaved client beside clients that attack: its latency and failures, relative to those of the client alone.
//! The service is `dataflow up` on one processor; all clients share another, the attackers in a process of their own
//! thread.

mod attack;
mod client;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use nix::unistd::Pid;
use tokio::sync::oneshot;

use crate::bench::overload::{GENERATOR, SERVICE};
use crate::bench::service_process::{ServiceProcess, pin};
use crate::bench::token;

use attack::Attack;
pub(super) use attack::Connection;
use client::Experience;

/// The flags of this benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds of each run.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Only this attack.
    #[arg(long, value_name = "WHICH")]
    attack: Option<Attack>,
}

/// Below this, the 99th percentile is within the bar whatever it is alone.
const LOW: Duration = Duration::from_millis(20);

pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    ensure!(std::thread::available_parallelism()?.get() > GENERATOR, "this benchmark needs two processors");
    let mut text = String::new();
    let directory = tempfile::tempdir()?;
    let (key_set, bearer) = token::issue(directory.path())?;
    let key_set = key_set.display().to_string();
    let mut missed = Vec::new();
    for attack in Attack::ALL.into_iter().filter(|attack| args.attack.is_none_or(|only| *attack == only)) {
        // All callers authenticate, or none.
        let (flags, bearer) = match attack {
            Attack::InvalidTokens => (&["--jwks", key_set.as_str()][..], Some(bearer.clone())),
            _ => (&[][..], None),
        };
        let service = ServiceProcess::up_with(flags).await?;
        service.pin(SERVICE)?;
        let address = service.address.to_string();
        let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse()?;
        let alone = client(address, args.seconds, bearer.as_deref()).await?;
        let why = alone.failure.as_deref().unwrap_or_default();
        ensure!(
            alone.failed == 0,
            "calls of the client alone fail, the machine is too busy or too slow: {why}"
        );
        let (stop, stopped) = oneshot::channel();
        let attackers = on_generator(move || async move {
            tokio::select! {
                ended = attack.run(address) => ended,
                _ = stopped => Ok(()),
            }
        });
        // The attack begins before the client, which must be able to connect too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beside = client(address, args.seconds, bearer.as_deref()).await;
        let _ = stop.send(());
        join(attackers).await?;
        let beside = beside?;
        let memory = service.memory("VmHWM:")? / 1024;
        service.stop().await?;
        let verdict = if is_within_the_bar(&alone, &beside) { "held" } else { "MISSED" };
        let _ = writeln!(
            text,
            "{verdict:<6} {:<52} p99 {:>8.1?} alone, {:>8.1?} beside ({}, the slowest: {:.1?}); {} of {} calls failed; \
             peak memory of the service {memory} MiB",
            attack.name(),
            alone.p99,
            beside.p99,
            beside.slowest.0,
            beside.slowest.1,
            beside.failed,
            beside.calls,
        );
        if let Some(failure) = &beside.failure {
            let _ = writeln!(text, "       the first failure: {failure}");
        }
        if verdict != "held" {
            missed.push(attack.name());
        }
    }
    let bar = format!("no call fails, and p99 is at most twice that alone, or {LOW:?}");
    let _ = match missed.as_slice() {
        [] => writeln!(text, "the bar is held: {bar}"),
        missed => writeln!(text, "THE BAR IS MISSED: {bar}. Beside: {}", missed.join("; ")),
    };
    Ok(text)
}

fn is_within_the_bar(alone: &Experience, beside: &Experience) -> bool {
    beside.failed == 0 && beside.p99 <= LOW.max(2 * alone.p99)
}

/// What the well-behaved client experiences for some seconds. `bearer` is the value of `authorization`.
pub(super) async fn client(
    address: SocketAddr,
    seconds: u64,
    bearer: Option<&str>,
) -> anyhow::Result<Experience> {
    let bearer = bearer.map(str::to_owned);
    let time = Duration::from_secs(seconds);
    join(on_generator(move || client::experience(address, time, bearer))).await
}

/// Runs on a thread of its own, on the processor of the clients.
pub(super) fn on_generator<T: Send + 'static, F: Future<Output = anyhow::Result<T>>>(
    run: impl FnOnce() -> F + Send + 'static,
) -> std::thread::JoinHandle<anyhow::Result<T>> {
    std::thread::spawn(move || {
        pin(Pid::from_raw(0), GENERATOR)?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
    })
}

pub(super) async fn join<T: Send + 'static>(
    thread: std::thread::JoinHandle<anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(|| thread.join()).await?.map_err(|_| anyhow::anyhow!("a client panicked"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_twice_the_time_alone_or_20_ms() {
        let experience = |millis, failed| Experience {
            calls: 100,
            failed,
            failure: None,
            p99: Duration::from_millis(millis),
            mean: Duration::ZERO,
            slowest: ("", Duration::ZERO),
        };
        let check = |alone, (beside, failed), expected| {
            let found = is_within_the_bar(&experience(alone, 0), &experience(beside, failed));
            assert_eq!(found, expected, "{alone} ms alone, {beside} ms beside, {failed} failed");
        };
        check(1, (20, 0), true);
        check(1, (21, 0), false);
        check(15, (30, 0), true);
        check(15, (31, 0), false);
        check(1, (1, 1), false);
    }
}
