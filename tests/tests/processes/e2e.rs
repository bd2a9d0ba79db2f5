//! End-to-end tests of the real binary: commands of people, interfaces of scripts, and pods.

mod analyze;
mod backup;
mod directory;
mod grpcurl;
mod hostile;
mod json;
mod keys;
mod memory;
mod probe;
mod rules;
mod service;
mod settings;
mod snapshots;
mod themes;
mod up;
