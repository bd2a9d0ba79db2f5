//! Rules in a Redis that several config services share: a change is atomic, visible everywhere soon, and rejected while
//! the store is unavailable. Tests with a single config service are in the binary `processes`.

mod crashes;
mod everywhere;
mod lost;
mod unavailable;
