//! Programs that tests run and that a machine may lack.

use std::process::{Command, Stdio};

/// Whether this machine has `program`, checked with `--version`. If not, it prints that the calling test is skipped,
/// which must return.
///
/// # Panics
///
/// If it is missing and `CI=true`, where skipped tests would go unnoticed.
#[allow(clippy::print_stderr, reason = "skipped tests are reported")]
pub fn available(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_installed = version.is_ok_and(|version| version.success());
    if !is_installed {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{program} is not installed");
        eprintln!("SKIPPED: {program} is not installed");
    }
    is_installed
}
