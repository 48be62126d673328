//! The commands: each talks to an instance and prints what it answers.

pub mod client;
pub mod run;
pub mod bench;
pub mod demo;
pub mod ingest;
pub mod show;
pub mod dlq;
pub mod doctor;
pub mod schemas;
pub mod evaluate;
pub mod experiments;
pub mod experiment;
pub mod mutate;

use std::fmt::Display;
use std::io::{Result, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that counts.
pub fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} ({per_sec})")
        .expect("the template is well formed");
    ProgressBar::new_spinner().with_style(style).with_message(what)
}

/// A bar on standard error for partitions that are restored.
pub fn restoring() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "restoring partition {msg} {wide_bar} {human_pos} of {human_len} ({per_sec}, {eta} left)",
    );
    ProgressBar::new(0).with_style(style.expect("the template is well formed"))
}

/// Rows with their cells under each other.
pub fn table(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let cells = |row: &Vec<String>| {
        let padded = row
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(cells).collect::<Vec<_>>().join("\n")
}

/// Prints a line on standard output. A reader that has enough (a closed pipe) is an error, on which
/// the command ends quietly.
pub fn say(line: impl Display) -> Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
