//! The mesh as it is deployed: two replicas of every service, with real sidecars and without, restarted under load.
//! This is a separate stage of `make test`, `test-mesh`, since it takes minutes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod canary;
mod client;
mod fleet;
mod identities;
mod identity;
mod lasting;
mod outliers;
mod proxy;
mod restarts;
mod texts;
