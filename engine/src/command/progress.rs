//! How far an import is: a bar on a terminal, a line from time to time elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::limits::PROGRESS_LINE_S;

/// How far it is, on standard error. What it draws goes when it is dropped.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { what: String, said: Cell<Instant> },
}

const TEMPLATE: &str = "{msg} [{bar:30}] {percent:>3} %, {eta} left";

impl Progress {
    pub(super) fn begin(what: &str) -> Self {
        if !stderr().is_terminal() {
            return Self::Lines { what: what.to_owned(), said: Cell::new(Instant::now()) };
        }
        let bar = ProgressBar::new(0);
        // The template is ours; if it were wrong, the bar of the library would do.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// So much of all is read, and so many events were taken.
    pub(super) fn at(&self, read: u64, all: u64, taken: u64) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(all.max(read));
                bar.set_position(read);
                bar.set_message(format!("{taken} events"));
            }
            Self::Lines { what, said } => {
                if said.get().elapsed() < Duration::from_secs(PROGRESS_LINE_S) {
                    return;
                }
                said.set(Instant::now());
                let percent = (u128::from(read) * 100 / u128::from(all.max(1))).min(100);
                eprintln!("sentrypeer: {what}: {taken} events, {percent} %");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
