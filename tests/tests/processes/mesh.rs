//! The behavior that all services share: frames, limits, deadlines, connections. The service is a stub that can fail,
//! wait and send long responses.

mod compression;
mod connections;
mod ends;
mod failures;
mod outbound;
mod pass_through;
mod peers;
mod reflection;
mod resets;
pub(crate) mod stub;
mod trailers;
mod unread;
