//! The rules of the code's shape, run as tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in reading order: each may import only those before it.
const LAYERS: &[&str] = &["domain", "pipeline", "codec", "runtime"];
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

/// Names of the modules declared in a file, in order.
fn declared(text: &str) -> Vec<String> {
    let line = |line: &str| {
        line.trim()
            .trim_start_matches("pub ")
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
            .map(str::to_owned)
    };
    text.lines().filter_map(line).collect()
}

/// What breaks the order of imports in one file.
fn upward(path: &str, text: &str, domain: &[String]) -> Vec<String> {
    let layer = path.split(['/', '.']).next().unwrap();
    let place = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let own = domain.iter().position(|module| {
        path == format!("domain/{module}.rs") || path.starts_with(&format!("domain/{module}/"))
    });
    let mut wrong = Vec::new();
    for line in
        text.lines().filter(|line| line.contains("crate::") && !line.trim_start().starts_with("//"))
    {
        let target = line.split("crate::").nth(1).unwrap().split([':', ';', ' ']).next().unwrap();
        let layer_wrong =
            matches!((place(layer), place(target)), (Some(own), Some(other)) if other > own);
        let module = line
            .split("crate::domain::")
            .nth(1)
            .map(|rest| rest.split([':', ';', ' ']).next().unwrap());
        let module_place =
            module.and_then(|module| domain.iter().position(|other| other == module));
        let module_wrong = matches!((own, module_place), (Some(own), Some(other)) if other > own);
        if layer_wrong || module_wrong {
            wrong.push(format!("{path}: {}", line.trim()));
        }
    }
    wrong
}

#[test]
fn no_module_imports_one_declared_below_it() {
    let files = files();
    let domain = declared(&files.iter().find(|(path, _)| path == "domain.rs").unwrap().1);
    assert!(domain.len() > 10);
    let wrong: Vec<String> =
        files.iter().flat_map(|(path, text)| upward(path, text, &domain)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(upward("domain/event.rs", "use crate::domain::lead::Lead;", &domain).len(), 1);
    assert_eq!(upward("domain/event.rs", "use crate::codec::json;", &domain).len(), 1);
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
    for (path, text) in files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("domain") || path.starts_with("pipeline"))
    {
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
