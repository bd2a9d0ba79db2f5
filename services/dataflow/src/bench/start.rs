//! Start-up and run time of commands.

use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;

use super::service_process::ServiceProcess;
use super::{CatalogueArgs, median};

/// Runs each command as a separate process.
pub(super) async fn measure(args: &CatalogueArgs) -> anyhow::Result<String> {
    let (mut analyze, mut serving, mut up) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let start = Instant::now();
        let status = tokio::process::Command::new(std::env::current_exe()?)
            .args(["analyze", "--quiet"])
            .arg(&args.file)
            .stdout(Stdio::null())
            .status()
            .await?;
        analyze.push(start.elapsed());
        anyhow::ensure!(
            status.code().is_some_and(|code| code == 0 || code == 5),
            "analyze exited with {status}"
        );

        let start = Instant::now();
        let service = ServiceProcess::analysis().await?;
        serving.push(start.elapsed());
        service.stop().await?;

        let start = Instant::now();
        let mesh = ServiceProcess::up().await?;
        up.push(start.elapsed());
        mesh.stop().await?;
    }
    Ok(format!(
        "median of {} rounds, wall time\n\
         analyze, exec to exit     {:>8.1?} (below 150 ms on examples/)\n\
         analysis, exec to SERVING {:>8.1?} (below 100 ms)\n\
         up, exec to SERVING       {:>8.1?} (below 100 ms)\n",
        args.rounds,
        median(analyze).context("no round")?,
        median(serving).context("no round")?,
        median(up).context("no round")?,
    ))
}
