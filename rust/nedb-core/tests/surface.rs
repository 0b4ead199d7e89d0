//! Compares `surface.toml` and `errors.toml` with what Rust sees of NEDB, both ways.
//!
//! In: the two tables, and the sources of `db/`, since Rust has no reflection. Out: the names that
//! only one side knows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

use nedb_core::ErrorCode;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Returns a path below the root of the repository.
fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Reads one of the suite's tables and returns its entries.
fn entries(file: &str, key: &str) -> Vec<toml::Table> {
    let text = std::fs::read_to_string(at_root("tests/conformance").join(file))
        .expect("the table is readable");
    let table: toml::Table = text.parse().expect("the table is TOML");
    let list = table.get(key).and_then(toml::Value::as_array).expect("the table has entries");
    list.iter().filter_map(|entry| entry.as_table().cloned()).collect()
}

/// Returns a text member of an entry.
fn text<'e>(entry: &'e toml::Table, member: &str) -> &'e str {
    entry.get(member).and_then(toml::Value::as_str).unwrap_or_default()
}

/// Returns the names of an entry in one language.
fn names(entry: &toml::Table, language: &str) -> Vec<String> {
    let list = entry.get(language).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned).collect()
}

/// Collects the public functions of every `impl Database` of a source text.
fn public_functions(source: &str, found: &mut BTreeSet<String>) {
    let mut inside = false;
    for line in source.lines() {
        if line.starts_with("impl") {
            inside = line.starts_with("impl Database ");
        } else if line == "}" {
            inside = false;
        }
        let line = line.replacen("    pub async fn ", "    pub fn ", 1);
        if let Some(rest) = line.strip_prefix("    pub fn ")
            && inside
        {
            found.extend(rest.split(['(', '<']).next().map(str::to_owned));
        }
    }
}

/// Adds the verbs of the steps of every case below a folder.
fn add_verbs_of_cases(folder: &Path, verbs: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the folder of cases is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add_verbs_of_cases(&path, verbs);
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of cases is readable");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("it holds cases");
        let steps = cases.iter().filter_map(|case| case["steps"].as_array()).flatten();
        verbs.extend(steps.filter_map(|step| step["do"].as_str()).map(str::to_owned));
    }
}

#[test]
fn every_verb_has_a_case_or_says_why_not() {
    let mut in_cases = BTreeSet::new();
    add_verbs_of_cases(&at_root("tests/conformance/cases"), &mut in_cases);
    for verb in entries("surface.toml", "verb") {
        let (name, reason) = (text(&verb, "name"), text(&verb, "no_case"));
        assert_eq!(in_cases.contains(name), reason.is_empty(), "{name}: a case or a reason");
    }
}

/// Adds the public methods of the database that stand in a folder's files; its tests have none.
fn add_public_functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("tests") {
            add_public_functions(&path, found);
        } else if path.is_file() {
            let source = std::fs::read_to_string(path);
            public_functions(&source.expect("a source is text"), found);
        }
    }
}

#[test]
fn every_verb_is_there_and_none_is_extra() {
    let mut found = BTreeSet::new();
    add_public_functions(&at_root("rust/nedb-core/src/db"), &mut found);
    let verbs = entries("surface.toml", "verb");
    let listed: BTreeSet<String> = verbs.iter().flat_map(|verb| names(verb, "rust")).collect();
    assert_eq!(listed, found);
}

#[test]
fn a_verb_that_is_missing_says_why() {
    for verb in entries("surface.toml", "verb") {
        let missing = verb.get("missing").and_then(toml::Value::as_table).cloned();
        let missing = missing.unwrap_or_default();
        assert!(!text(&verb, "meaning").is_empty(), "{verb}");
        for language in ["rust", "python", "node_core", "node"] {
            let excused = !text(&missing, language).is_empty();
            assert_ne!(names(&verb, language).is_empty(), !excused, "{language}: {verb}");
        }
    }
}

#[test]
fn error_codes_are_those_of_the_table_in_its_order() {
    let errors = entries("errors.toml", "error");
    let listed: Vec<(&str, &str)> =
        errors.iter().map(|error| (text(error, "rust"), text(error, "code"))).collect();
    let variants: Vec<String> = ErrorCode::ALL.iter().map(|code| format!("{code:?}")).collect();
    let found: Vec<(&str, &str)> = variants
        .iter()
        .zip(ErrorCode::ALL)
        .map(|(variant, code)| (variant.as_str(), code.as_str()))
        .collect();
    assert_eq!(listed, found);
}

#[test]
fn every_error_has_its_five_spellings_and_a_meaning() {
    for error in entries("errors.toml", "error") {
        for member in ["code", "rust", "python", "resp", "meaning"] {
            assert!(!text(&error, member).is_empty(), "{member}: {error}");
        }
        assert_eq!(text(&error, "resp"), text(&error, "code"), "the prefix is the code");
        let status = error.get("http").and_then(toml::Value::as_integer).unwrap_or_default();
        assert!((400..600).contains(&status), "{error}");
    }
}
