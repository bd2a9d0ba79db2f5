//! The published catalogues that tests read if they are available. We may not distribute them: `SDMX_CORPUS` names
//! their directory.

use std::path::PathBuf;

/// The directory; without one, prints that `what` is skipped and returns `None`.
#[allow(clippy::print_stderr, reason = "skipped tests are reported")]
pub fn directory(what: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("SDMX_CORPUS").map(PathBuf::from);
    if directory.is_none() {
        eprintln!("SKIPPED: SDMX_CORPUS names no directory of published catalogues: {what}");
    }
    directory
}
