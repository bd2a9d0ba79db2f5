//! The progress bar of an upload. It writes to standard error, so that a redirected result stays clean, and only if
//! that is a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of an upload. Clones share one bar.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// The progress of a document of `total` bytes, if known. Hidden if `quiet`, or if standard error is not a
    /// terminal.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        let bar = match total {
            _ if quiet || !io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total).with_style(style(SIZED)),
            None => ProgressBar::no_length().with_style(style(UNSIZED)),
        };
        bar.set_message("sending");
        Self { bar }
    }

    /// Adds `bytes` to the bytes sent.
    pub(crate) fn sent(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Shows that the whole document is sent and the response is pending.
    pub(crate) fn await_reply(&self) {
        self.bar.set_style(style(UNSIZED));
        self.bar.set_message("analyzing");
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

const SIZED: &str = "{msg} {bar:30} {bytes:>10} of {total_bytes}, {eta} left";
const UNSIZED: &str = "{spinner} {msg} {bytes}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well-formed")
}
