//! Goodput under overload: more calls than the service can serve, sent at a fixed rate whether or not it responds. The
//! service is pinned to one processor and the load generator to another, so that they do not compete.

mod generator;
mod slow;
mod workload;

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::ensure;
use nix::unistd::Pid;

use crate::bench::service_process::pin;

use generator::{Generator, Outcome};
use workload::Workload;

/// The flags of this benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds of each run.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// The processors of the service and of the generator.
pub(super) const SERVICE: usize = 0;
pub(super) const GENERATOR: usize = 1;

pub(super) async fn measure(args: &Args) -> anyhow::Result<String> {
    ensure!(std::thread::available_parallelism()?.get() > GENERATOR, "this benchmark needs two processors");
    let mut text = String::new();
    for workload in workload::all() {
        text += &measure_one(workload, args.seconds).await?;
    }
    Ok(text)
}

/// The report on one workload.
async fn measure_one(workload: Workload, seconds: u64) -> anyhow::Result<String> {
    let service = workload.start().await?;
    service.pin(SERVICE)?;
    let address = service.address.to_string();
    let address: SocketAddr = address.trim_start_matches("http://").trim_end_matches('/').parse()?;
    let name = workload.name;
    let generator = std::thread::spawn(move || -> anyhow::Result<String> {
        pin(Pid::from_raw(0), GENERATOR)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(report(address, &workload, seconds))
    });
    let report = tokio::task::spawn_blocking(|| generator.join()).await?;
    let report = report.map_err(|_| anyhow::anyhow!("the load generator panicked"))??;
    let cpu = service.cpu()?;
    service.stop().await?;
    Ok(format!("{name}\n{report}CPU of the service in total: {cpu:.1?}\n"))
}

async fn report(address: SocketAddr, workload: &Workload, seconds: u64) -> anyhow::Result<String> {
    let generator = Generator::connect(address, workload).await?;
    // The first calls allocate what later ones reuse.
    generator.capacity(1).await?;
    let capacity = generator.capacity(seconds).await?;
    ensure!(capacity > 0, "no call was served");
    let mut text = format!("capacity: {capacity} calls/s on one processor\n");
    for factor in [2, 4, 10] {
        let Outcome { offered, served, refused, failed, refusal } =
            generator.offer(capacity * factor, seconds).await?;
        let of_capacity = |calls: u64| calls as f64 / (seconds * capacity) as f64;
        let _ = writeln!(
            text,
            "{factor:>2} x: goodput {:.2} of capacity; offered {:.1} x, {refused} refused in {:.1?} (median), {failed} \
             failed",
            of_capacity(served),
            of_capacity(offered),
            refusal.unwrap_or_default(),
        );
        let after = generator.capacity(1).await? as f64 / capacity as f64;
        let _ = writeln!(text, "      in the second after: {after:.2} of capacity");
    }
    Ok(text)
}
