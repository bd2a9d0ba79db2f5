//! What a peer sees of any service, whatever it does: frames, limits, deadlines, ends. The service here is a stub, so
//! that it can be made to fail, to wait and to say much.

mod caller;
mod connections;
mod ends;
mod failures;
mod outbound;
mod pass_through;
mod peers;
mod reflection;
mod resets;
mod stub;
mod unread;
