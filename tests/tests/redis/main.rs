//! State that several processes share, in a Redis of every kind, and what becomes of it when that Redis is silent, dies
//! or moves. The store within the process keeps the same promises and is held to them beside it, so that much of this
//! runs on a machine without Redis too; the rest says there that it was skipped.
//!
//! From below: the [`store`], the [`cache`] over it, changes of the [`rules`], and [`traces`] that lead down to Redis.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod cache;
mod rules;
mod store;
mod traces;
