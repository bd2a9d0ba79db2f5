//! The real binary from outside: what people type, what scripts rely on, and what a pod does.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test reports by panicking and printing"
)]

mod analyze;
mod grpcurl;
mod hostile;
mod memory;
mod rules;
mod service;
mod settings;
mod up;
