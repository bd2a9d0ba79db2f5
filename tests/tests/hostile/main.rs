//! The campaign: what hostile or careless callers do, against real processes. Each test asserts responses and memory,
//! never times: it must pass on a busy machine. `dataflow bench isolation|overload|soak` measures the latencies.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod trust;
