//! `mutate` and `malformed`: files that go wrong on purpose, on standard output; what must be
//! counted, on standard error.

use std::io::{BufWriter, Write};

use crate::print::note;
use leadstream::app::ingest::Lines;
use leadstream::dev::mutate::{self, Kind, Mutated, malformed};
use leadstream::log::TimeSource;

#[derive(clap::Args)]
pub struct Options {
    /// A file of events (NDJSON, plain or gzip).
    pub file: String,
    /// The same seed gives the same file.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What is done to it.
    #[arg(long, value_enum, default_value_t = What::All)]
    pub kind: What,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum What {
    Duplicates,
    Shuffle,
    Late,
    Truncate,
    All,
}

impl From<What> for Kind {
    fn from(what: What) -> Self {
        match what {
            What::Duplicates => Self::Duplicates,
            What::Shuffle => Self::Shuffle,
            What::Late => Self::Late,
            What::Truncate => Self::Truncate,
            What::All => Self::All,
        }
    }
}

pub fn mutate(options: &Options) -> anyhow::Result<()> {
    let mut file = Lines::open(&options.file)?;
    let mut lines = Vec::new();
    while let Some(line) = file.next_line()? {
        lines.push(line);
    }
    print(&mutate::mutate(lines, options.kind.into(), options.seed, TimeSource::World.now().0))
}

pub fn malformed(seed: u64, lines: usize) -> anyhow::Result<()> {
    print(&malformed::malformed(seed, lines))
}

fn print(mutated: &Mutated) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in &mutated.lines {
        out.write_all(line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    note(mutated.expected);
    Ok(())
}
