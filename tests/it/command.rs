//! The real binary, as tests call it.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command on a data directory.
pub fn leadstream(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leadstream"));
    command.arg("--data-dir").arg(data).args(arguments).stdin(Stdio::null());
    command
}

/// Status and body of a GET; 0: nobody answers.
pub fn get(url: &str, token: Option<&str>) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
        match token.iter().fold(request, |request, token| request.bearer_auth(token)).send().await {
            Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    })
}

/// Standard output of a run that must succeed.
pub fn output(data: &Path, arguments: &[&str]) -> String {
    let output = leadstream(data, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
