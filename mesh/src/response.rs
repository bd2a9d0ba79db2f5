//! Response bodies with additional behavior. They are separate from the layers that use them, because incoming and
//! outgoing calls need the same ones.

mod guards;
mod terminated;

pub use guards::ResponseGuards;
pub(crate) use terminated::TerminatedBody;
