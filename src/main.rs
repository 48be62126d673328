//! The `leadstream` command.

fn main() {}
