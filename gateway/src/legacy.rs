//! The predecessor's REST surface: its paths, its words, its numbers. Everything that exists only for its sake is here.

pub mod selection;
