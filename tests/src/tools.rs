//! Programs that tests call and that a machine may lack.

use std::process::{Command, Stdio};

/// Whether this machine has `program`, which tells its version when asked. If not, says aloud that what asked is skipped:
/// it should return.
///
/// # Panics
///
/// When there is none where `CI=true`: there nobody reads what was skipped.
#[allow(clippy::print_stderr, reason = "what is skipped is said aloud")]
pub fn available(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = version.is_ok_and(|version| version.success());
    if !is_there {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
    }
    is_there
}
