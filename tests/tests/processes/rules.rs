//! Changes of rules and providers: each is applied once, in order, audited, and sent to all watches.

mod changes;
mod swaps;
mod watching;
