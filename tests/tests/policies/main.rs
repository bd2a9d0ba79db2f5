//! What stands in manifests and policies, held against what the binary and its contract say.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test reports by panicking and printing"
)]

mod contract;
mod grants;
mod manifests;
mod tries;
