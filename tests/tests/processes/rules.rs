//! Rules and providers as their editors meet them: every change once, in order, on record, and seen by all who watch.

mod changes;
mod swaps;
mod watching;
