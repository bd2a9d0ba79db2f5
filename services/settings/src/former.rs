//! Names that settings had in an earlier system. Those with a meaning go on working; the others are reported once, with
//! the reason, so that nobody waits for an effect.
//!
//! The names themselves belong to the program, which implements [`FormerNames`]; how they are found in each source, and
//! which of two names wins, is decided here.

use std::collections::BTreeMap;

use super::value::Value;

/// The former names that a program knows. A name with an upper-case letter is an environment variable without the
/// program's prefix; any other is a setting's name, `redis.host`.
pub trait FormerNames: Sync {
    /// All of them.
    fn names(&self) -> Vec<&'static str>;

    /// Translates those that were found.
    fn translate(&self, settings: &mut Translation<'_>);
}

/// What became of the former names that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// The names that were read, with the key of the flag that each sets.
    pub read: Vec<(String, String)>,
    /// The names that have no effect, with the reason.
    pub ignored: Vec<(String, &'static str)>,
}

/// The settings that were found, while former names are replaced by today's.
pub struct Translation<'a> {
    values: &'a mut BTreeMap<String, Value>,
    /// Whether a name is one of today's.
    is_own: &'a dyn Fn(&str) -> bool,
    is_typed: &'a dyn Fn(&str) -> bool,
    inherited: Inherited,
}

// === impl Translation ===

impl<'a> Translation<'a> {
    pub(super) fn new(
        values: &'a mut BTreeMap<String, Value>,
        is_own: &'a dyn Fn(&str) -> bool,
        is_typed: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        Self { values, is_own, is_typed, inherited: Inherited::default() }
    }

    /// Takes the value of a former name out. A name that has a flag of its own today is left alone.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let key = key(name);
        if (self.is_own)(&key) { None } else { self.values.remove(&key) }
    }

    /// Sets a flag, by its key, from the source of `value`: a higher source wins under whichever name, and in one source
    /// today's name does.
    pub fn offer(&mut self, flag: &str, value: Value) {
        match self.values.get_mut(flag) {
            Some(own) if own.source.rank() <= value.source.rank() => own.over.push(value.source),
            Some(own) => {
                let beaten = std::mem::replace(own, value);
                own.over.push(beaten.source);
                own.over.extend(beaten.over);
            }
            None => drop(self.values.insert(flag.to_owned(), value)),
        }
    }

    /// The value of a flag, unless it was typed.
    pub fn untyped(&mut self, flag: &str) -> Option<&mut Value> {
        self.values.get_mut(flag).filter(|_| !(self.is_typed)(flag))
    }

    /// Reports a name as read.
    pub fn read(&mut self, name: &str, flag: &str) {
        self.inherited.read.push((name.to_owned(), flag.to_owned()));
    }

    /// Reports a name as one without effect.
    pub fn ignore(&mut self, name: &str, reason: &'static str) {
        self.inherited.ignored.push((name.to_owned(), reason));
    }

    pub(super) fn finish(self) -> Inherited {
        self.inherited
    }
}

/// The key under which a former name is found: a variable without our prefix is its own.
pub(super) fn key(name: &str) -> String {
    if is_variable(name) { name.to_owned() } else { super::names::key(name) }
}

/// Whether a former name is an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase())
}
