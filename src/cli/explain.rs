//! `explain`: the words that leadstream reads.

use anyhow::bail;
use serde_json::json;

use crate::cli::print::say;
use crate::cli::table::table;
use leadstream::codec::names::{Kind, Word, kinds, markdown, nearest};

#[derive(clap::Args)]
pub struct Options {
    /// A word, such as lead.converted, or a kind of words, such as channels; all kinds, if not
    /// given.
    name: Option<String>,
    /// Print the reference page of all words.
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

pub fn explain(options: &Options, json: bool) -> anyhow::Result<()> {
    let kinds = kinds();
    if options.markdown {
        return Ok(say(markdown().trim_end())?);
    }
    let Some(name) = &options.name else {
        for kind in &kinds {
            if json {
                say(shown(kind))?;
            } else {
                let words: Vec<_> = kind.words.iter().map(|word| word.name).collect();
                say(format!("{}: {}\n", kind.name, words.join(", ")))?;
            }
        }
        return Ok(());
    };
    let mut found = 0;
    for kind in &kinds {
        let is_kind = kind.name == name || kind.name.replace(' ', "_") == *name;
        let words: Vec<&Word> =
            kind.words.iter().filter(|word| is_kind || word.name == name).collect();
        if words.is_empty() {
            continue;
        }
        found += words.len();
        if json {
            let words = words.into_iter().copied().collect();
            say(shown(&Kind { words, ..kind.clone() }))?;
            continue;
        }
        say(format!("{}: {}", kind.name, kind.about))?;
        let rows: Vec<_> =
            words.iter().map(|word| vec![word.name.to_owned(), word.meaning.to_owned()]).collect();
        say(format!("{}\n", table(&rows)))?;
    }
    if found == 0 {
        let all = kinds.iter().flat_map(|kind| kind.words.iter().map(|word| word.name));
        let near = nearest(name, all.chain(kinds.iter().map(|kind| kind.name)));
        let near = near.map_or_else(String::new, |near| format!(": did you mean {near}?"));
        bail!("{name} is no word that leadstream reads{near}");
    }
    Ok(())
}

fn shown(Kind { name, about, words }: &Kind) -> serde_json::Value {
    let words = words.iter().map(|word| json!({ "name": word.name, "meaning": word.meaning }));
    json!({ "kind": name, "about": about, "words": words.collect::<Vec<_>>() })
}
