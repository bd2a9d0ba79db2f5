//! The real binary from outside: what people type, what scripts rely on, and what a pod does.

mod analyze;
mod grpcurl;
mod hostile;
mod service;
