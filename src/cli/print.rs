//! What commands print: lines, tables, spinners and bars.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that counts.
pub fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {human_pos} ({per_sec})")
        .expect("the template is well formed");
    ProgressBar::new_spinner().with_style(style).with_message(what)
}

/// Why a line was not printed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever read standard output has enough: the command ends quietly.
    #[error("standard output was closed")]
    Closed,
    /// It cannot be written.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
}

/// Prints a line on standard output.
pub fn say(line: impl Display) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Error::Closed,
        _ => Error::Failed(error),
    })
}

/// Prints a line on standard error, if somebody takes it.
pub fn note(line: impl Display) {
    writeln!(io::stderr(), "{line}").ok();
}

fn is_closed(cause: &(dyn std::error::Error + 'static)) -> bool {
    matches!(cause.downcast_ref(), Some(Error::Closed))
}

/// Ends the process as a command does: a failure is printed on standard error, and a reader that
/// has enough is none.
pub fn end(outcome: &anyhow::Result<()>, json: bool) -> std::process::ExitCode {
    match outcome {
        Err(error) if !error.chain().any(is_closed) => {
            let sentence = format!("{error:#}");
            if json {
                note(serde_json::json!({ "error": sentence }));
            } else {
                note(format!("error: {sentence}"));
            }
            std::process::ExitCode::FAILURE
        }
        _ => std::process::ExitCode::SUCCESS,
    }
}
