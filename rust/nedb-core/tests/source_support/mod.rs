//! Sources, read as text: what `layering` and `sizes` look at.
//!
//! In: a folder. Out: its sources, with everything blanked that is not code of the engine: comments,
//! literals, and what only tests compile. Blanks keep every line where it was, so that a finding can
//! be named by file and line.

// Each test crate uses its part of this module.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One source file.
pub struct Source {
    /// Where it is, from the root that was read.
    pub path: PathBuf,
    /// The text as it stands.
    pub text: String,
    /// Rust only: the same without comments and literals.
    pub code: String,
    /// Rust only: the same also without what is under `#[cfg(test)]`.
    pub engine_code: String,
}

/// Returns the root of the repository.
pub fn repository() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    core.ancestors().nth(2).expect("the crate lies in rust/nedb-core").to_owned()
}

/// Reads the sources of a crate that its library is made of, test modules left out.
pub fn engine_sources(src: &Path) -> Vec<Source> {
    let sources = read_sources(src, &["rs"]);
    let test_modules: BTreeSet<PathBuf> = sources.iter().flat_map(test_module_paths).collect();
    let is_test =
        |path: &Path| path.ancestors().any(|part| test_modules.contains(&part.with_extension("")));
    sources.into_iter().filter(|source| !is_test(&source.path)).collect()
}

/// Reads all sources with one of these extensions below a folder, in order of path.
pub fn read_sources(root: &Path, extensions: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(root, extensions, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let code = if is_rust { blank_comments_and_literals(&text) } else { String::new() };
        let engine_code = blank_test_items(&code);
        let path = path.strip_prefix(root).expect("collected below it").to_owned();
        Source { path, text, code, engine_code }
    };
    paths.into_iter().map(read).collect()
}

/// Folders that hold what nobody wrote here.
const FOREIGN_FOLDERS: [&str; 8] =
    ["target", "build", "node_modules", ".git", ".venv", ".venv-1x", "__pycache__", "fixtures"];

fn collect(folder: &Path, extensions: &[&str], out: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for path in entries.map(|entry| entry.expect("a folder's entry").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !FOREIGN_FOLDERS.contains(&name) && !path.is_symlink() {
                collect(&path, extensions, out);
            }
        } else if path.extension().is_some_and(|it| extensions.iter().any(|known| it == *known)) {
            out.push(path);
        }
    }
}

/// Returns the line, from 1, on which a byte of a text stands.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Returns the place behind the bracket that closes the one at `open`.
pub fn past_closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Returns Rust text with blanks where comments, strings and characters stand.
pub fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match foreign_length(bytes, at) {
            0 => {
                at += 1;
                continue;
            }
            length => (at + length).min(bytes.len()),
        };
        blank(&mut out, at, end);
        at = end;
    }
    String::from_utf8(out).expect("whole characters are blanked")
}

fn blank(bytes: &mut [u8], start: usize, end: usize) {
    bytes[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// Returns the length of the comment or literal that begins at a place; 0 for none.
fn foreign_length(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let follows_word = at > 0 && is_word(&bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => string_length(rest),
        [b'r', b'"' | b'#', ..] if !follows_word => raw_string_length(rest),
        [b'b', b'r', b'"' | b'#', ..] if !follows_word => match raw_string_length(&rest[1..]) {
            0 => 0,
            length => length + 1,
        },
        [b'\'', ..] => character_length(rest),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
            (b'*', b'/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let body = &rest[hashes + 2..];
    let found = body.windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |found| hashes + 2 + found + end.len())
}

/// A character ends with a quote; a lifetime does not.
fn character_length(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return end.map_or(0, |end| end + 4);
    }
    let wide = rest.get(1).map_or(1, |first| match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    });
    if rest.get(1 + wide) == Some(&b'\'') { wide + 2 } else { 0 }
}

const TEST_ATTRIBUTE: &str = "#[cfg(test)]";

/// Returns code with blanks where `#[cfg(test)]` and what it is about stand.
fn blank_test_items(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for (start, _) in code.match_indices(TEST_ATTRIBUTE) {
        blank(&mut out, start, test_item_end(code, start));
    }
    String::from_utf8(out).expect("whole characters are blanked")
}

fn test_item_end(code: &str, start: usize) -> usize {
    let behind = start + TEST_ATTRIBUTE.len();
    match code[behind..].find(['{', ';']) {
        Some(found) if code.as_bytes()[behind + found] == b'{' => {
            past_closing(code, behind + found)
        }
        Some(found) => behind + found + 1,
        None => code.len(),
    }
}

/// Returns the files, without extension, or folders of the test modules that a source declares.
fn test_module_paths(source: &Source) -> Vec<PathBuf> {
    let is_door = ["mod.rs", "lib.rs"].iter().any(|door| source.path.ends_with(door));
    let folder = match is_door {
        true => source.path.parent().unwrap_or(Path::new("")).to_owned(),
        false => source.path.with_extension(""),
    };
    let declared = source.code.match_indices(TEST_ATTRIBUTE).filter_map(|(start, _)| {
        let item = &source.code[start + TEST_ATTRIBUTE.len()..test_item_end(&source.code, start)];
        let name = item.trim().strip_prefix("mod ")?.strip_suffix(';')?.trim().to_owned();
        Some(folder.join(name))
    });
    declared.collect()
}
