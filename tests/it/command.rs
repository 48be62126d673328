//! The real binary, as tests call it.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command on a data directory.
pub fn leadstream(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
    command.arg("--data-dir").arg(data).args(arguments).stdin(Stdio::null());
    command
}

/// Standard output of a run that must succeed.
pub fn output(data: &Path, arguments: &[&str]) -> String {
    let output = leadstream(data, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
