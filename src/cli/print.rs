//! What commands print: lines, tables, spinners and bars.

use std::fmt::Display;
use std::io::{Result, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that counts.
pub fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} ({per_sec})")
        .expect("the template is well formed");
    ProgressBar::new_spinner().with_style(style).with_message(what)
}

/// Prints a line on standard output. A reader that has enough (a closed pipe) is an error, on which
/// the command ends quietly.
pub fn say(line: impl Display) -> Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
