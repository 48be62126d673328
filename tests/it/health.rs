//! Every condition of the health model has a metric from the start, an alert with a case, and a row
//! of the runbook; nothing can be added without them.

use std::fs;
use std::path::Path;

use crate::server::Instance;
use leadstream::app::health::Condition;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_condition_has_a_metric_an_alert_with_a_case_and_a_row_of_the_runbook() {
    let folder = tempfile::tempdir().unwrap();
    let instance = Instance::start(&folder.path().join("data"));
    let metrics = instance.get("/metrics", None).1;
    let (alerts, cases) = (text("deploy/alerts.yml"), text("deploy/alerts.test.yml"));
    let runbook = text("docs/how-to/respond-to-alerts.md");
    for condition in Condition::ALL {
        let name = condition.as_str();
        assert!(
            metrics.contains(&format!("leadstream_condition{{condition=\"{name}\"}} 0\n")),
            "{name}: {metrics}"
        );
        let has_it = |rule: &&str| rule.split(['"', '|']).any(|word| word == name);
        let rules = alerts.lines().filter(|line| line.contains("leadstream_condition{"));
        assert_eq!(rules.filter(has_it).count(), 1, "alerts with {name}");
        assert!(cases.contains(&format!("condition=\"{name}\"")), "{name} has no series");
        assert!(cases.contains(&format!("condition: {name} ")), "{name} has no case");
        let ready = if condition.is_blocking() { "yes" } else { "no" };
        assert!(runbook.contains(&format!("| `{name}` | {ready} | ")), "{name}");
        assert!(!condition.remedy().is_empty());
    }
    assert_eq!(metrics.matches("leadstream_condition{").count(), Condition::ALL.len());
}
