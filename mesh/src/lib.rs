//! What makes a process a good citizen of a service mesh: everything whose effect can be seen from outside the
//! process, on the wire, by the kubelet, or by a signal. It knows no word of statistics and no service.
//!
//! In the order of a process' life: [`args`] is read, [`process`] sets up [`telemetry`], signals
//! and the [`admin`] port, [`serve`] runs each service behind its [`inbound`] stack, and calls leave through [`outbound`].

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

pub mod deadline;
pub mod limiter;
pub mod propagation;
pub mod status;

mod deadline_watchdog;
mod descriptors;
