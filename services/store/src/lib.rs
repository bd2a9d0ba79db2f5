//! Where the mesh keeps its state. The one crate that may know Redis; so far there is the embedded backend only, whose
//! entries live in memory.

pub mod entries;
