//! `evaluate`: how good the predictions are where outcomes are known.

use leadstream::runtime::{evaluate, ingest};

use crate::cli::spinner;

pub fn evaluate(file: &str) -> anyhow::Result<()> {
    let bar = spinner("events");
    let mut failure = None;
    let inputs = ingest::inputs(file)?.inspect(|_| bar.inc(1));
    let measures = evaluate::evaluate(inputs.map_while(|input| input.map_err(|error| failure = Some(error)).ok()));
    bar.finish_and_clear();
    if let Some(error) = failure {
        return Err(error.into());
    }
    println!("{:<24} {:>7} {:>6} {:>6} {:>8} {:>6}", "prediction", "rows", "base", "AUC", "log loss", "ECE");
    for measure in measures {
        let auc = measure.auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
        let evaluate::Measure { rows, base_rate, log_loss, calibration_error, .. } = measure;
        println!("{:<24} {rows:>7} {base_rate:>6.3} {auc:>6} {log_loss:>8.4} {calibration_error:>6.4}", measure.target.as_str());
    }
    Ok(())
}
