//! Rules over a Redis that several config services share: a change is whole, everywhere soon, and refused while there
//! is no store. What needs one config service alone stands with the processes.

mod away;
mod crashes;
mod everywhere;
