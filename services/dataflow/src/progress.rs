//! The bar that shows how much of a document has been sent. It writes to standard error, so that a redirected result
//! stays clean, and not at all when nobody watches.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How far a document has got. Clones drive the same bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For a document of `total` bytes, if that is known. Silent when `quiet`, or when standard error is no terminal.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = match total {
            _ if quiet || !io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total).with_style(style(SIZED)),
            None => ProgressBar::no_length().with_style(style(UNSIZED)),
        };
        bar.set_message("sending");
        Self { bar }
    }

    /// `bytes` more have been sent.
    pub(crate) fn sent(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Everything has been sent; what is awaited now is the answer.
    pub(crate) fn await_reply(&self) {
        self.bar.set_style(style(UNSIZED));
        self.bar.set_message("analysing");
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// There is nothing more to await: the line disappears.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

const SIZED: &str = "{msg} {bar:30} {bytes:>10} of {total_bytes}, {eta} left";
const UNSIZED: &str = "{spinner} {msg} {bytes}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well-formed")
}
