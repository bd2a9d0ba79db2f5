//! A well-behaved client beside clients that attack: its latency and failures, relative to those of the client alone.
//! The service is `dataflow up` on one processor; all clients share another, the attackers in a process of their own
//! thread.

mod attack;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use dataflow_mesh::outbound::{Outbound, Upstream};
use dataflow_proto::analysis::v1 as pb;
use dataflow_proto::analysis::v1::analysis_service_client::AnalysisServiceClient;
use http::HeaderValue;
use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::bench::overload::{GENERATOR, SERVICE};
use crate::bench::service_process::{ServiceProcess, pin};
use crate::bench::token;

use attack::Attack;
pub(super) use attack::Client;

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

/// How often the client calls.
const PERIOD: Duration = Duration::from_millis(5);

/// The longest wait of the client.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the client experienced.
pub(super) struct Experience {
    pub(super) calls: usize,
    pub(super) failed: usize,
    pub(super) mean: Duration,
    pub(super) p99: Duration,
}

pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    ensure!(std::thread::available_parallelism()?.get() > GENERATOR, "this benchmark needs two processors");
    let mut text = String::new();
    let directory = tempfile::tempdir()?;
    let (key_set, bearer) = token::issue(directory.path())?;
    let key_set = key_set.display().to_string();
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
        let alone = client(address, args.seconds, bearer.as_deref())?;
        let (stop, stopped) = oneshot::channel();
        let attackers = on_generator(move || async move {
            tokio::select! {
                ended = attack.run(address) => ended,
                _ = stopped => Ok(()),
            }
        });
        // The attack begins before the client, which must be able to connect too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let beside = client(address, args.seconds, bearer.as_deref());
        let _ = stop.send(());
        tokio::task::spawn_blocking(|| attackers.join())
            .await?
            .map_err(|_| anyhow::anyhow!("the attack panicked"))??;
        let beside = beside?;
        let memory = service.memory("VmHWM:")? / 1024;
        service.stop().await?;
        let _ = writeln!(
            text,
            "{:<46} p99 {:>9.1?} alone, {:>9.1?} beside; {} of {} calls failed; peak memory of the service {memory} MiB",
            attack.name(),
            alone.p99,
            beside.p99,
            beside.failed,
            beside.calls,
        );
    }
    Ok(text)
}

/// What a client experiences for some seconds. `bearer` is the value of `authorization`.
pub(super) fn client(address: SocketAddr, seconds: u64, bearer: Option<&str>) -> anyhow::Result<Experience> {
    let bearer = bearer.map(HeaderValue::from_str).transpose()?;
    let client = on_generator(move || async move {
        let upstream: Upstream = format!("http://{address}").parse()?;
        let channel = Outbound::new(&upstream, TIMEOUT).presenting(bearer);
        let client = AnalysisServiceClient::new(channel);
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (begun, mut times, mut failed) = (Instant::now(), Vec::new(), 0);
        while begun.elapsed() < Duration::from_secs(seconds) {
            tick.tick().await;
            let sent = Instant::now();
            if client.clone().categorize_dataflow(request()).await.is_err() {
                failed += 1;
            }
            times.push(sent.elapsed());
        }
        times.sort();
        let mean = times.iter().sum::<Duration>() / u32::try_from(times.len().max(1))?;
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Ok(Experience { calls: times.len(), failed, mean, p99 })
    });
    client.join().map_err(|_| anyhow::anyhow!("the client panicked"))?
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

fn request() -> pb::CategorizeDataflowRequest {
    let names = [("en".to_owned(), "Unemployment rate by age group and region".to_owned())];
    let dataflow = pb::Dataflow { id: "a".to_owned(), names: names.into(), ..Default::default() };
    pb::CategorizeDataflowRequest { dataflow: Some(dataflow), ..Default::default() }
}
