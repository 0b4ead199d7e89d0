//! The paths that Rust code spells, in `use` and inline, each whole.
//!
//! In: code without comments and literals. Out: `a::b::c` for each name, braces opened, `super`
//! resolved, with the line it stands on.

use std::path::Path;

/// One path, from the root of the crate (without `crate`) or of another crate.
#[derive(Debug, PartialEq)]
pub struct SpelledPath {
    pub path: Vec<String>,
    pub line: usize,
    /// In a `use`: the name under which it is known then.
    pub handed_on_as: Option<String>,
}

/// Returns the module that a source file is.
pub fn module_of(path: &Path) -> Vec<String> {
    let whole = path.with_extension("");
    let parts = whole.iter().filter_map(|part| part.to_str()).map(str::to_owned);
    parts.filter(|part| !["mod", "lib"].contains(&part.as_str())).collect()
}

/// Returns every path that begins with one of `roots`.
pub fn spelled_paths(code: &str, roots: &[&str], module: &[String]) -> Vec<SpelledPath> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let follows_path = at > 0 && tokens[at - 1].0 == "::";
        let begins_path = tokens.get(at + 1).is_some_and(|next| next.0 == "::");
        if roots.contains(&tokens[at].0) && begins_path && !follows_path {
            at = walk(&tokens, at, Vec::new(), &mut found);
        } else {
            at += 1;
        }
    }
    found.iter_mut().for_each(|spelled| resolve(&mut spelled.path, module));
    found
}

/// Walks over one path, or one tree of them; returns the place behind it.
fn walk(
    tokens: &[(&str, usize)],
    mut at: usize,
    mut path: Vec<String>,
    out: &mut Vec<SpelledPath>,
) -> usize {
    while let Some((token, line)) = tokens.get(at) {
        if *token == "{" {
            return walk_group(tokens, at + 1, &path, out);
        }
        if !is_name(token) && *token != "*" {
            break;
        }
        path.push((*token).to_owned());
        at += 1;
        if tokens.get(at).is_none_or(|next| next.0 != "::") {
            let alias =
                tokens.get(at).filter(|next| next.0 == "as").and_then(|_| tokens.get(at + 1));
            let name = alias.map(|alias| alias.0.to_owned()).or_else(|| path.last().cloned());
            out.push(SpelledPath { path, line: *line, handed_on_as: name });
            return if alias.is_some() { at + 2 } else { at };
        }
        at += 1;
    }
    // A path before `<`, as in `crate::x::<T>`.
    let line = tokens.get(at.saturating_sub(1)).map_or(0, |token| token.1);
    out.push(SpelledPath { path, line, handed_on_as: None });
    at
}

fn walk_group(
    tokens: &[(&str, usize)],
    mut at: usize,
    path: &[String],
    out: &mut Vec<SpelledPath>,
) -> usize {
    while let Some((token, _)) = tokens.get(at) {
        match *token {
            "}" => return at + 1,
            "," => at += 1,
            _ => at = walk(tokens, at, path.to_vec(), out).max(at + 1),
        }
    }
    at
}

/// Replaces `crate`, `super` and `self` by what they stand for.
fn resolve(path: &mut Vec<String>, module: &[String]) {
    let mut base = module.to_vec();
    let mut rest = path.as_slice();
    loop {
        match rest.first().map(String::as_str) {
            Some("crate") => base.clear(),
            Some("super") => drop(base.pop()),
            Some("self") if rest.len() == path.len() => {}
            _ => break,
        }
        rest = &rest[1..];
    }
    if rest.len() < path.len() {
        let end = rest.iter().position(|part| part == "self").unwrap_or(rest.len());
        *path = [base.as_slice(), &rest[..end]].concat();
    } else if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Splits code into names, `::` and single characters, each with its line.
fn tokens(code: &str) -> Vec<(&str, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let length = match first {
            _ if is_word(first) => rest.find(|it: char| !is_word(it)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push((&rest[..length], line));
        }
        line += usize::from(first == '\n');
        rest = &rest[length..];
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(code: &str, module: &str) -> Vec<String> {
        let module: Vec<String> = module.split("::").map(str::to_owned).collect();
        let found = spelled_paths(code, &["crate", "super"], &module);
        found.iter().map(|it| format!("{}:{}", it.line, it.path.join("::"))).collect()
    }

    #[test]
    fn braces_are_opened_and_supers_resolved() {
        let code = "use crate::a::{B, c::{self, D as E},\n F};\npub(crate) use super::x::Y;";
        assert_eq!(spelled(code, "m::n"), ["1:a::B", "1:a::c", "1:a::c::D", "2:a::F", "3:m::x::Y"]);
    }

    #[test]
    fn inline_paths_are_found_too() {
        let code = "fn f(x: &crate::views::Version) { super::super::g::<u8>(crate::log::h()) }";
        assert_eq!(spelled(code, "m::n"), ["1:views::Version", "1:g", "1:log::h"]);
    }
}
