//! The rules that the architecture rests on, as tests: who may depend on whom, who may speak of what, how a file
//! begins and how long it may get. A reviewer need not remember them, and a newcomer learns them from the failure.
//!
//! Every rule also runs on inline examples, right ones and wrong ones, so that a rule that can no longer fail is itself
//! a failure. [`crates`] looks at the manifests as Cargo understands them, [`files`] at names and sizes, [`layers`] at
//! which module speaks of what, [`modules`] at who imports whom, [`habits`] at how code is written, [`vocabulary`] at
//! words.
//!
//! What is written down twice is held together here too: [`policies`] and manifests with the contract, [`reference`]
//! pages and the files that [`pages`] name with the code.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

mod crates;
mod files;
mod habits;
mod layers;
mod modules;
mod pages;
mod policies;
mod reference;
mod source;
mod vocabulary;

use source::{SOURCES, Source};

/// One rule about Rust files.
struct Rule<'a> {
    /// What to do about a breach.
    advice: &'a str,
    /// The breaches in one file, each beginning with its place.
    breaches: &'a dyn Fn(&Source) -> Vec<String>,
    /// Files (path and text) in which the rule must find nothing.
    right: &'a [(&'a str, &'a str)],
    /// Files in which it must find something.
    wrong: &'a [(&'a str, &'a str)],
}

// === impl Rule ===

impl Rule<'_> {
    /// Tries the rule on its examples, then holds every file of the repository to it.
    fn hold(&self) {
        for (path, text) in self.right {
            let breaches = (self.breaches)(&Source::new(path, text));
            assert!(breaches.is_empty(), "the rule refuses what is right: {breaches:?}");
        }
        for (path, text) in self.wrong {
            let breaches = (self.breaches)(&Source::new(path, text));
            assert!(!breaches.is_empty(), "the rule cannot fail: it allows {path} to hold {text:?}");
        }
        let breaches: Vec<_> = SOURCES.iter().flat_map(self.breaches).collect();
        expect_none(&breaches, self.advice);
    }
}

/// Fails with every breach and with what to do about them.
fn expect_none(breaches: &[String], advice: &str) {
    assert!(breaches.is_empty(), "\n\n  {}\n\nWhat to do: {advice}\n", breaches.join("\n  "));
}
