//! Tests of running services, in this process or as real processes, that need neither Redis nor Envoy.
//!
//! By subject: the contract of each service on the wire ([`contract`], [`evaluate`], [`keys`], [`propagation`],
//! [`refusals`], [`rules`], [`snapshots`], [`themes`], [`uploads`]), the behavior that all services share ([`mesh`]), the gateway
//! ([`rest`], [`multipart`], [`foreign`], [`access`], [`client_certificates`], [`peer_identity`], [`rate_limits`], [`tenants`],
//! [`tenant_shares`], [`tls`]), what operators see ([`observability`], [`metrics`], [`logs`], [`collectors`]), the binary as people and
//! pods run it ([`e2e`]), and the results of catalogues ([`accuracy`], [`corpus`], [`legacy_oracle`]).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test reports by panicking and printing")]

mod access;
mod accuracy;
mod client_certificates;
mod collectors;
mod contents;
mod contract;
mod corpus;
mod e2e;
mod editions;
mod evaluate;
mod foreign;
mod keys;
mod legacy_oracle;
mod logs;
mod mesh;
mod metrics;
mod multipart;
mod observability;
mod panics;
mod peer_identity;
mod propagation;
mod rate_limits;
mod reads;
mod refusals;
mod rest;
mod rules;
mod snapshots;
mod tenant_shares;
mod tenants;
mod themes;
mod tls;
mod uploads;
