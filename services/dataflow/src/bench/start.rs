//! How long commands take to begin and to end.

use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;

use super::running::Running;
use super::{On, median};

/// Runs each command as a process of its own.
pub(super) async fn measure(on: &On) -> anyhow::Result<String> {
    let (mut analyze, mut serving, mut up) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..on.rounds {
        let began = Instant::now();
        let ended = tokio::process::Command::new(std::env::current_exe()?)
            .args(["analyze", "--quiet"])
            .arg(&on.file)
            .stdout(Stdio::null())
            .status()
            .await?;
        analyze.push(began.elapsed());
        anyhow::ensure!(
            ended.code().is_some_and(|code| code == 0 || code == 5),
            "analyze ended with {ended}"
        );

        let began = Instant::now();
        let service = Running::analysis().await?;
        serving.push(began.elapsed());
        service.stop().await?;

        let began = Instant::now();
        let mesh = Running::up().await?;
        up.push(began.elapsed());
        mesh.stop().await?;
    }
    Ok(format!(
        "median of {} rounds, wall time\n\
         analyze, exec to exit     {:>8.1?} (below 150 ms on examples/)\n\
         analysis, exec to SERVING {:>8.1?} (below 100 ms)\n\
         up, exec to SERVING       {:>8.1?} (below 100 ms)\n",
        on.rounds,
        median(analyze).context("no round")?,
        median(serving).context("no round")?,
        median(up).context("no round")?,
    ))
}
