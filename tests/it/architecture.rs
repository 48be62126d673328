//! The rules of the code's shape, run as tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Path from `src/`, and the text before the tests.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
        (path.strip_prefix(&root).unwrap().to_string_lossy().into_owned(), text)
    };
    found.into_iter().map(read).collect()
}

/// The path of a module from the crate's root: `src/log/kafka.rs` is `log::kafka`.
type Module = Vec<String>;

fn module(path: &str) -> Module {
    let path = path.trim_end_matches(".rs");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// Names of the modules declared in a file, in order.
fn declared(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        rest.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    text.lines().filter_map(name).collect()
}

/// Every path that a text names after `crate::`, groups in braces taken apart.
fn imports(text: &str) -> Vec<Module> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.flat_map(|line| [line, "\n"]).collect();
    let mut found = Vec::new();
    for (place, start) in code.match_indices("crate::") {
        path(&code[place + start.len()..], &mut Vec::new(), &mut found);
    }
    found
}

/// Reads one path or group at the start of a text, behind `prefix`; gives what follows it.
fn path<'a>(mut text: &'a str, prefix: &mut Module, found: &mut Vec<Module>) -> &'a str {
    let depth = prefix.len();
    loop {
        text = text.trim_start();
        if let Some(mut rest) = text.strip_prefix('{') {
            while !rest.trim_start().starts_with('}') {
                let before = rest.len();
                rest = path(rest, prefix, found).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest);
                assert!(rest.len() < before, "a group that is no list of imports: {rest:.60}");
            }
            text = &rest.trim_start()[1..];
            break;
        }
        let is_name = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '*';
        let end = text.find(|sign| !is_name(sign)).unwrap_or(text.len());
        prefix.push(text[..end].to_owned());
        text = &text[end..];
        if let Some(rest) = text.strip_prefix("::") {
            text = rest;
            continue;
        }
        found.push(prefix.clone());
        if let Some(rest) = text.strip_prefix(" as ") {
            text = &rest[rest.find(|sign| !is_name(sign)).unwrap_or(rest.len())..];
        }
        break;
    }
    prefix.truncate(depth);
    text
}

/// Imports of one module that its parent, at the depth where both part, declares below it.
fn upward(
    own: &Module,
    imports: &[Module],
    declared: &BTreeMap<Module, Vec<String>>,
) -> Vec<String> {
    let is_upward = |other: &&Module| {
        let Some(depth) = own.iter().zip(other.iter()).position(|(own, other)| own != other) else {
            return false;
        };
        let Some(order) = declared.get(&own[..depth]) else { return false };
        let place = |name: &str| order.iter().position(|module| module == name);
        matches!((place(&own[depth]), place(&other[depth])), (Some(own), Some(other)) if other > own)
    };
    let wrong = imports.iter().filter(is_upward);
    wrong.map(|other| format!("{} imports {}", own.join("::"), other.join("::"))).collect()
}

#[test]
fn no_module_imports_one_declared_below_it_at_any_depth() {
    let files = files();
    let of_library = |(path, _): &&(String, String)| !path.starts_with("cli") && path != "main.rs";
    let declared: BTreeMap<Module, Vec<String>> = files
        .iter()
        .filter(of_library)
        .map(|(path, text)| (module(path), declared(text)))
        .collect();
    assert!(declared[&Module::new()].len() > 8 && declared[&module("domain.rs")].len() > 10);
    let wrong: Vec<String> = files
        .iter()
        .filter(of_library)
        .flat_map(|(path, text)| upward(&module(path), &imports(text), &declared))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let text =
        "use crate::{domain::{lead::Lead, units}, codec as c};\nfn f() { crate::log::chain(e) }";
    let found = imports(text);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(upward(&module("domain/event.rs"), &found, &declared).len(), 3);
    assert_eq!(upward(&module("domain/lead.rs"), &found, &declared).len(), 2);
    let deep = imports("use crate::log::kafka::topics::look;");
    assert_eq!(upward(&module("log/kafka/settings.rs"), &deep, &declared).len(), 1);
}

#[test]
fn the_domain_and_the_pipeline_read_no_clock_no_environment_and_no_hash_order() {
    let banned = [
        "HashMap",
        "HashSet",
        "SystemTime",
        "Instant::now",
        "::now()",
        "std::env",
        "std::fs",
        "std::net",
        "std::thread",
        "rand::",
        ".exp()",
        ".ln()",
        ".powf(",
        ".exp2()",
    ];
    for (path, text) in files().into_iter().filter(|(path, _)| {
        ["domain", "pipeline", "stats"].iter().any(|room| path.starts_with(room))
    }) {
        let found = banned.iter().find(|word| text.contains(**word));
        assert!(found.is_none(), "{path} uses {found:?}");
    }
}

#[test]
fn every_file_says_its_job_and_stays_short() {
    for (path, text) in files() {
        assert!(text.starts_with("//! "), "{path} does not open with a //! line");
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines before its tests");
        assert!(!text.contains("super::"), "{path} uses super::");
        assert!(!text.contains(".unwrap()"), "{path} unwraps outside tests");
    }
}
