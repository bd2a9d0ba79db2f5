//! Response bodies that do more than carry bytes. They stand apart from the layers that use them, because calls that come
//! in and calls that leave need the same.

mod guards;
mod terminated;

pub use guards::ResponseGuards;
pub(crate) use terminated::TerminatedBody;
