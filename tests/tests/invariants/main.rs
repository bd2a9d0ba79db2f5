//! The rules of the architecture as tests: dependencies, layers, the beginning and the length of files. A reviewer need
//! not remember them, and a newcomer learns them from the failure.
//!
//! Every rule also runs on inline examples of valid and invalid code, so that a rule that can no longer fail fails
//! itself. [`crates`] checks the dependencies, [`files`] names and sizes, [`layers`] the use of gRPC, codes and output,
//! [`modules`] the imports within a crate, [`habits`] conventions, [`vocabulary`] the terms.
//!
//! Duplicated facts are compared here too: [`policies`] and manifests with the contract, [`reference`] pages and the
//! files that [`pages`] name with the code, and [`observability`] with the metrics.

#![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

mod crates;
mod files;
mod habits;
mod layers;
mod modules;
mod observability;
mod pages;
mod policies;
mod reference;
mod source;
mod vocabulary;

use source::{SOURCES, Source};

/// One rule about Rust files.
struct Rule<'a> {
    /// How to fix a violation.
    advice: &'a str,
    /// The violations in one file, each with its location.
    violations: &'a dyn Fn(&Source) -> Vec<String>,
    /// Valid examples (path and text), in which the rule must find nothing.
    right: &'a [(&'a str, &'a str)],
    /// Invalid examples, in which it must find a violation.
    wrong: &'a [(&'a str, &'a str)],
}

// === impl Rule ===

impl Rule<'_> {
    /// Checks the rule on its examples, then every file of the repository.
    fn check(&self) {
        for (path, text) in self.right {
            let violations = (self.violations)(&Source::new(path, text));
            assert!(violations.is_empty(), "the rule rejects a valid example: {violations:?}");
        }
        for (path, text) in self.wrong {
            let violations = (self.violations)(&Source::new(path, text));
            assert!(!violations.is_empty(), "the rule accepts an invalid example, {path}: {text:?}");
        }
        let violations: Vec<_> = SOURCES.iter().flat_map(self.violations).collect();
        expect_none(&violations, self.advice);
    }
}

/// Fails with all violations and how to fix them.
fn expect_none(violations: &[String], advice: &str) {
    assert!(violations.is_empty(), "\n\n  {}\n\nWhat to do: {advice}\n", violations.join("\n  "));
}
