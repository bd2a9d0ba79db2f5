//! Uploads of catalogues: receives the documents of a call, and passes them to a parser on a blocking thread as they
//! arrive. Analysis and catalogue receive the same documents, and in one process they share the limits: what one of them
//! receives, parses and holds in memory counts for the other.
//!
//! The path of one upload: [`messages`] makes parts of the messages of a call, [`Uploads`] has the permits and the limits,
//! `parts` bounds the pauses and the number of documents, and [`document`] is the channel to the parser, which takes a
//! [`seat`] and counts what it keeps against a [`budget`].

pub mod args;
pub mod budget;
pub mod digest;
pub mod document;
pub mod error;
pub mod messages;
pub mod seat;

mod metrics;
mod parts;
mod uploads;

pub use args::{DocumentArgs, UploadArgs};
pub use error::Error;
pub use uploads::Uploads;
