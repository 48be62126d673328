//! `doctor`: everything an instance depends on, in one table.

use anyhow::bail;
use serde_json::json;

use crate::cli::print::say;
use crate::cli::table::table;
use leadstream::app::doctor::{Finding, Grade, examine};
use leadstream::config::{Config, Error};

/// Looks at everything.
pub fn doctor(config: &Config, json: bool) -> anyhow::Result<()> {
    let log = if config.kafka.bootstrap_servers.is_empty() { "the embedded log" } else { "Kafka" };
    let first = Finding::new("configuration", Grade::Ok, format!("can be read, is for {log}"), "");
    let rest = tokio::task::block_in_place(|| examine(config));
    tell(&std::iter::once(first).chain(rest).collect::<Vec<_>>(), json)
}

/// A configuration that cannot be read is a finding too.
pub fn unreadable(error: &Error, json: bool) -> anyhow::Result<()> {
    tell(
        &[Finding::new(
            "configuration",
            Grade::Fail,
            error.to_string(),
            "correct it; nothing else can be looked at",
        )],
        json,
    )
}

fn tell(findings: &[Finding], json: bool) -> anyhow::Result<()> {
    if json {
        findings.iter().try_for_each(|finding| say(json!(finding)))?;
    } else {
        let row = |finding: &Finding| {
            let remedy = if finding.remedy.is_empty() {
                String::new()
            } else {
                format!("-> {}", finding.remedy)
            };
            let reported = vec![
                finding.grade.as_str().to_owned(),
                finding.check.clone(),
                finding.found.clone(),
            ];
            [reported, vec![String::new(), String::new(), remedy]]
        };
        let rows = findings.iter().flat_map(row).filter(|row| !row.iter().all(String::is_empty));
        say(table(&rows.collect::<Vec<_>>()))?;
    }
    let failed = findings.iter().filter(|finding| finding.grade == Grade::Fail).count();
    if failed > 0 { bail!("{failed} of {} checks failed", findings.len()) } else { Ok(()) }
}
