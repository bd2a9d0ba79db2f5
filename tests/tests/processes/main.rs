//! Services as they run, in this process or as real ones, on whatever machine there is: none of it needs Redis or Envoy.
//!
//! By subject: what each service promises on the wire ([`contract`], [`evaluate`], [`propagation`], [`rules`],
//! [`uploads`]), what every peer sees of all of them ([`mesh`]), the gateway ([`rest`], [`foreign`]), the binary as people
//! and pods run it ([`e2e`]), and what catalogues become ([`accuracy`], [`corpus`], [`legacy_oracle`]).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod accuracy;
mod contract;
mod corpus;
mod e2e;
mod evaluate;
mod foreign;
mod legacy_oracle;
mod mesh;
mod panics;
mod propagation;
mod rest;
mod rules;
mod uploads;
