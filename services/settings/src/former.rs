//! Names of settings in an earlier system. Those with an equivalent still work; the others are reported once, with the
//! reason, so that operators do not expect an effect.
//!
//! The program defines the names, by implementing [`FormerNames`]; this module finds them in each source, and decides
//! which of two names takes precedence.

use std::collections::BTreeMap;

use super::value::Value;

/// The former names that a program supports. A name with an upper-case letter is an environment variable without the
/// program's prefix; any other is the name of a setting, such as `redis.host`.
pub trait FormerNames: Sync {
    /// All former names.
    fn names(&self) -> Vec<&'static str>;

    /// Translates the former names that were found.
    fn translate(&self, settings: &mut Translation<'_>);
}

/// The former names that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Names that were translated, with the key of the flag that each sets.
    pub read: Vec<(String, String)>,
    /// Names without effect, with the reason.
    pub ignored: Vec<(String, &'static str)>,
}

/// The settings that were found, while former names are replaced by current ones.
pub struct Translation<'a> {
    values: &'a mut BTreeMap<String, Value>,
    /// Whether a name is a current one.
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

    /// Removes and returns the value of a former name. A name that is also a current one is not removed.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let key = key(name);
        if (self.is_own)(&key) { None } else { self.values.remove(&key) }
    }

    /// Sets a flag, by its key, with the source of `value`: a higher source takes precedence under either name, and
    /// within one source the current name does.
    pub fn offer(&mut self, flag: &str, value: Value) {
        match self.values.get_mut(flag) {
            Some(own) if own.source.rank() <= value.source.rank() => own.over.push(value.source),
            Some(own) => {
                let overridden = std::mem::replace(own, value);
                own.over.push(overridden.source);
                own.over.extend(overridden.over);
            }
            None => drop(self.values.insert(flag.to_owned(), value)),
        }
    }

    /// The value of a flag, unless it is on the command line.
    pub fn untyped(&mut self, flag: &str) -> Option<&mut Value> {
        self.values.get_mut(flag).filter(|_| !(self.is_typed)(flag))
    }

    /// Reports a name as translated.
    pub fn read(&mut self, name: &str, flag: &str) {
        self.inherited.read.push((name.to_owned(), flag.to_owned()));
    }

    /// Reports a name as without effect.
    pub fn ignore(&mut self, name: &str, reason: &'static str) {
        self.inherited.ignored.push((name.to_owned(), reason));
    }

    pub(super) fn finish(self) -> Inherited {
        self.inherited
    }
}

/// The key of a former name: a variable without our prefix is its own key.
pub(super) fn key(name: &str) -> String {
    if is_variable(name) { name.to_owned() } else { super::names::key(name) }
}

/// Whether a former name is an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    name.contains(|c: char| c.is_ascii_uppercase())
}
