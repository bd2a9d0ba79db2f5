//! Tests of both directions: against prost-reflect with random messages of random descriptors, and against the cases of
//! protobuf's own conformance tests.

mod conformance;
mod effective;
mod fuzz;
mod hostile;
mod incremental;
mod oracle;
mod random;
mod sets;
