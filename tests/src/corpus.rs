//! The published catalogues that tests read when they are at hand. They are not ours to ship: `SDMX_CORPUS` names the
//! directory that holds them.

use std::path::PathBuf;

/// The directory, or `None` after saying aloud that `what` is skipped.
#[allow(clippy::print_stderr, reason = "what is skipped is said aloud")]
pub fn directory(what: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("SDMX_CORPUS").map(PathBuf::from);
    if directory.is_none() {
        eprintln!("SKIPPED: SDMX_CORPUS names no directory of published catalogues: {what}");
    }
    directory
}
