//! The outer bounds of size: 1,000 lines to a file, 70 to a function.
//!
//! They are where reading ends, not where it is good: a file has 80 to 400 lines, a function up to 25
//! (`ARCHITECTURE.md`, Sizes). An exception is named below, with its reason.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod source_support;

use source_support::{Source, line_of, past_closing, read_sources, repository};

const FILE_LINES_MAX: usize = 1_000;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];
/// Functions that may be longer, as `path::name`, each with its reason.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

#[test]
fn no_source_file_is_longer_than_a_thousand_lines_without_its_tests() {
    let sources = read_sources(&repository(), &["rs", "py", "pyi", "js", "mjs", "cjs", "ts"]);
    assert!(sources.iter().any(|source| source.path.ends_with("nedb-core/src/lib.rs")));
    let too_long: Vec<String> = sources
        .iter()
        .map(|source| (source.path.display().to_string(), line_count(source)))
        .filter(|(path, lines)| {
            *lines > FILE_LINES_MAX && !LONG_FILES.iter().any(|(known, _)| known == path)
        })
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(too_long.is_empty(), "split these, or give a reason:\n{}", too_long.join("\n"));
}

#[test]
fn no_rust_function_is_longer_than_seventy_lines() {
    let mut function_count = 0;
    let mut too_long = Vec::new();
    for source in read_sources(&repository(), &["rs"]) {
        for (name, line, lines) in functions(&source.code) {
            function_count += 1;
            let path = source.path.display();
            let is_known = LONG_FUNCTIONS.iter().any(|it| it.0 == format!("{path}::{name}"));
            if lines > FUNCTION_LINES_MAX && !is_known {
                too_long.push(format!("{path}:{line}: fn {name} has {lines} lines"));
            }
        }
    }
    assert!(function_count > 1_000, "only {function_count} functions were found");
    assert!(too_long.is_empty(), "split these, or give a reason:\n{}", too_long.join("\n"));
}

#[test]
fn functions_are_found_with_their_lengths() {
    let code = "fn a() {}\nfn b<T: Fn(u8) -> u8>(\n  f: fn(u8),\n) -> [u8; 3]\nwhere T: X,\n{\n  { }\n}\n\
                trait T { fn c(&self); fn d() { fn e() {\n } } }";
    let found: Vec<(String, usize, usize)> = functions(code);
    let expected = [("a", 1, 1), ("b", 2, 7), ("d", 9, 2), ("e", 9, 2)];
    assert_eq!(found, expected.map(|(name, line, lines)| (name.to_owned(), line, lines)));
}

/// Returns the lines of a source; of Rust, those outside its tests.
fn line_count(source: &Source) -> usize {
    let is_rust = source.path.extension().is_some_and(|extension| extension == "rs");
    if !is_rust {
        return source.text.lines().count();
    }
    let is_of_tests = |(line, engine_line): &(&str, &str)| {
        engine_line.trim().is_empty() && !line.trim().is_empty()
    };
    let code_lines = source.code.lines().zip(source.engine_code.lines());
    source.text.lines().count() - code_lines.filter(is_of_tests).count()
}

/// Returns the name, the first line and the length in lines of every function that has a body.
fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let name: String =
            code[start + 3..].trim_start().chars().take_while(|it| is_word(*it)).collect();
        if code[..start].ends_with(is_word) || name.is_empty() {
            continue;
        }
        if let Some(open) = body_start(code, start) {
            let (first, last) = (line_of(code, start), line_of(code, past_closing(code, open) - 1));
            found.push((name, first, last - first + 1));
        }
    }
    found
}

/// Returns where the body of the function at `start` opens; None where it has none.
fn body_start(code: &str, start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += code[at..].find(['(', '[', '{', ';'])?;
        match code.as_bytes()[at] {
            b'{' => return Some(at),
            b';' => return None,
            _ => at = past_closing(code, at),
        }
    }
}
