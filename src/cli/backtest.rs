//! `backtest`: how good predictions and alerts are where outcomes are known.

use serde_json::json;

use crate::cli::json::say_json;
use crate::cli::print::{say, spinner};
use leadstream::app::ingest;
use leadstream::learn::backtest::{self, Measure, Warnings};

pub fn backtest(file: &str, json: bool) -> anyhow::Result<()> {
    let bar = spinner("events");
    let mut failure = None;
    let inputs = ingest::inputs(file)?.inspect(|_| bar.inc(1));
    let report = backtest::backtest(
        inputs.map_while(|input| input.map_err(|error| failure = Some(error)).ok()),
    );
    bar.finish_and_clear();
    if let Some(error) = failure {
        return Err(error.into());
    }
    if json {
        return Ok(say_json(json!(report))?);
    }
    say(format!(
        "{:<24} {:>7} {:>6} {:>6} {:>15} {:>8} {:>6}",
        "prediction", "rows", "base", "AUC", "decayed points", "log loss", "ECE"
    ))?;
    for measure in report.predictions {
        let share =
            |auc: Option<f64>| auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
        let Measure { target, rows, base_rate, auc, points_auc, log_loss, calibration_error } =
            measure;
        let (auc, points) = (share(auc), share(points_auc));
        say(format!(
            "{:<24} {rows:>7} {base_rate:>6.3} {auc:>6} {points:>15} {log_loss:>8.4} \
                {calibration_error:>6.4}",
            target.as_str()
        ))?;
    }
    if let Some(Warnings { leads, lost, rule, idle, idle_hours }) = report.warnings {
        say(format!(
            "\nwarnings of {leads} leads, of whom {lost} were lost when at least a day old; right: \
                lost within 14 days"
        ))?;
        say(format!("{:<24} {:>7} {:>10} {:>7}", "rule", "alerts", "precision", "recall"))?;
        for (name, quality) in
            [("slipping_away".to_owned(), rule), (format!("idle for {idle_hours} h"), idle)]
        {
            say(format!(
                "{name:<24} {:>7} {:>10.3} {:>7.3}",
                quality.alerts, quality.precision, quality.recall
            ))?;
        }
    }
    Ok(())
}
