//! The metrics of analyses: what the results have.

mod analyzed;
mod labels;

pub(super) use analyzed::Analyzed;
pub use analyzed::LABELLED_PROVIDERS;
