//! The runtime of a process in a service mesh: everything whose effect is visible outside the process, on the wire, to
//! the kubelet, or as the response to a signal. It depends on no service and contains no statistics.
//!
//! In the order of a process's life: [`args`] are parsed, [`process`] sets up [`telemetry`], signals and the [`admin`]
//! port, [`serve`] runs each service behind its [`inbound`] stack of layers, and calls leave through [`outbound`].

pub mod args;
pub mod panics;
pub mod process;
pub mod tasks;
pub mod telemetry;

pub mod admin;
pub mod metrics;
pub mod readiness;

pub mod backoff;
pub mod breaker;
pub mod capability;
pub mod context;
pub mod inbound;
pub mod outbound;
pub mod response;
pub mod serve;

pub mod access;
pub mod access_log;
pub mod deadline;
pub mod dependencies;
pub mod identity;
pub mod limiter;
mod load;
pub mod long_work;
pub mod memory;
pub mod memory_shares;
pub mod mesh_service;
pub mod process_status;
pub mod propagation;
pub mod rate;
pub mod reload;
pub mod resources;
pub mod sampling;
pub mod status;
pub mod tls;

mod batched_writes;
mod cgroup;
mod deadline_watchdog;
mod descriptor_set;
mod descriptors;
mod drain;
mod elements;
mod flow_control;
mod open_files;
