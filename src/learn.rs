//! What the log teaches: the predictions, measured on leads whose outcome is known.

pub mod backtest;
