//! State that several processes share, in every kind of Redis, also while that Redis hangs, crashes or fails over. The
//! embedded store has the same contract and runs the same tests, so that many of them run on a machine without Redis
//! too; the rest print that they are skipped.
//!
//! Bottom up: the [`store`], the [`cache`] over it, changes of the [`rules`] and [`themes`], [`refusals`] and the uses
//! of keys, [`snapshots`], [`traces`] down to Redis, the [`dashboards`] of a mesh with Redis, and [`secrets`] that nothing shows.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod cache;
mod dashboards;
mod reads;
mod refusals;
mod rules;
mod secrets;
mod snapshots;
mod store;
mod themes;
mod traces;
