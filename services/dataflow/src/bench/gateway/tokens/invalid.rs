//! A valid caller beside 2,000 calls a second with invalid tokens, each another one, against the caller alone; and the
//! memory that they cost. The service is `dataflow up` on one processor; all clients share another, so that a part of
//! what the valid caller waits for is the other clients themselves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::bench::isolation::{Connection, client, join, on_generator};
use crate::bench::median;
use crate::bench::overload::SERVICE;
use crate::bench::service_process::ServiceProcess;
use crate::bench::token::{self, Issuer};

/// Invalid tokens in a second, and how many of them come at once.
const RATE: u64 = 2_000;
const AT_ONCE: u64 = 20;

/// The longest time for which the caller is measured alone in a round, in seconds.
const ALONE: u64 = 10;

/// Measures in rounds, each with its part of `count` tokens.
pub(super) async fn measure(rounds: u16, count: u64, directory: &Path) -> anyhow::Result<String> {
    ensure!(std::thread::available_parallelism()?.get() > 1, "this part needs two processors");
    let issuer = Arc::new(Issuer::rsa()?);
    let key_set = token::key_set(&[&issuer], directory)?.display().to_string();
    let service = ServiceProcess::up_with(&["--jwks", &key_set]).await?;
    service.pin(SERVICE)?;
    let address = service.address.to_string();
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse()?;
    let bearer = issuer.bearer(0)?;
    // The first calls fill pools and caches.
    client(address, 1, Some(&bearer)).await?;
    let idle = service.memory("VmRSS:")?;

    let (per_round, refused) = (count.div_ceil(rounds.into()), Arc::new(AtomicU64::new(0)));
    let seconds = per_round.div_ceil(RATE);
    let (mut means, mut p99s, mut failed) = (Vec::new(), Vec::new(), 0);
    for round in 0..u64::from(rounds) {
        let alone = client(address, seconds.min(ALONE), Some(&bearer)).await?;
        let numbers = (1 + round * per_round)..(1 + (round + 1) * per_round);
        let (issuer, counted) = (Arc::clone(&issuer), Arc::clone(&refused));
        let attackers = on_generator(move || attack(address, issuer, numbers, counted));
        let beside = client(address, seconds, Some(&bearer)).await;
        join(attackers).await?;
        let beside = beside?;
        failed += alone.failed + beside.failed;
        means.push(beside.mean.as_secs_f64() / alone.mean.as_secs_f64());
        p99s.push(beside.p99.as_secs_f64() / alone.p99.as_secs_f64());
    }
    let (peak, now) = (service.memory("VmHWM:")?, service.memory("VmRSS:")?);
    service.stop().await?;
    let (offered, refused) = (per_round * u64::from(rounds), refused.load(Ordering::Relaxed));
    ensure!(refused == offered, "{refused} of {offered} invalid tokens were refused");
    ensure!(failed == 0, "{failed} calls of the valid caller failed");
    let megabytes = |kibibytes: u64| kibibytes as f64 * 1024.0 / 1e6;
    let [mean, p99] = [means, p99s].map(median).map(|middle| middle.context("no round"));
    Ok(format!(
        "{offered} invalid tokens, {RATE} a second: the valid caller waits {:.2} x (at most 1.20), p99 {:.2} x; \
         memory {:.1} MB idle, {:.1} MB at most, {:.1} MB after\n",
        mean?,
        p99?,
        megabytes(idle),
        megabytes(peak),
        megabytes(now),
    ))
}

/// Presents a forged token for each number, at the rate, and counts those that are refused.
async fn attack(
    address: SocketAddr,
    issuer: Arc<Issuer>,
    mut numbers: std::ops::Range<u64>,
    refused: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let client = Connection::open(address).await?;
    let mut tick = interval(Duration::from_secs(1) * AT_ONCE as u32 / RATE as u32);
    let mut answers = JoinSet::new();
    while !numbers.is_empty() {
        tick.tick().await;
        for number in numbers.by_ref().take(AT_ONCE as usize) {
            let (answer, mut body) = client.present(&issuer.forged(number)?).await?;
            // It is refused whether or not a message comes.
            let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
            let refused = Arc::clone(&refused);
            answers.spawn(async move {
                let answer = answer.await?;
                let code = answer.headers().get("grpc-status").map(|code| code.as_bytes());
                // UNAUTHENTICATED.
                refused.fetch_add(u64::from(code == Some(b"16")), Ordering::Relaxed);
                anyhow::Ok(())
            });
        }
        while let Some(answered) = answers.try_join_next() {
            answered??;
        }
    }
    while let Some(answered) = answers.join_next().await {
        answered??;
    }
    Ok(())
}
