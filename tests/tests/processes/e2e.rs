//! The real binary from outside: what people type, what scripts rely on, and what a pod does.

mod analyze;
mod directory;
mod grpcurl;
mod hostile;
mod memory;
mod rules;
mod service;
mod settings;
mod up;
