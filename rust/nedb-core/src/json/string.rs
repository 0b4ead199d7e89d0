//! Strings: what a token stands for, and how a string is spelt.
//!
//! In: the raw text of a string token, without its quotes, or the string it stands for. Out: the
//! other of the two.
//!
//! Invariants:
//! * `unescape(raw(s)) == s` for every string, where raw is what [`write_string`] puts in quotes.
//! * [`compare_raw`] orders by code point, whatever the spelling; a lone surrogate of 1.x has its
//!   own place there, as in Python.

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::memchr;

use super::lex::{ascii_run, hex4, low_surrogate, plain_run};

const REPLACEMENT: u32 = 0xfffd;

/// The code points of a raw string token, lone surrogates included.
#[derive(Clone)]
pub(super) struct CodePoints<'t> {
    rest: std::str::Chars<'t>,
}

/// Returns the code points that the raw string `raw` stands for; a broken escape is U+FFFD.
pub(super) fn code_points(raw: &str) -> CodePoints<'_> {
    CodePoints { rest: raw.chars() }
}

impl Iterator for CodePoints<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self.rest.next()? {
            '\\' => Some(self.escape()),
            plain => Some(plain.into()),
        }
    }
}

impl CodePoints<'_> {
    /// Reads what follows a `\`.
    fn escape(&mut self) -> u32 {
        match self.rest.next() {
            Some('n') => 0x0a,
            Some('r') => 0x0d,
            Some('t') => 0x09,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('u') => self.unicode_escape(),
            Some(itself) => itself.into(),
            None => REPLACEMENT,
        }
    }

    /// Reads what follows a `\u`, and the second half of a surrogate pair.
    fn unicode_escape(&mut self) -> u32 {
        let Some(unit) = hex4(self.rest.as_str().as_bytes()) else { return REPLACEMENT };
        self.skip(4);
        if !(0xd800..=0xdbff).contains(&unit) {
            return unit;
        }
        let Some(low) = low_surrogate(self.rest.as_str().as_bytes()) else { return unit };
        self.skip(6);
        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
    }

    /// Passes over `count` characters.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.rest.next();
        }
    }
}

/// Compares two raw strings by the code points that they stand for.
#[inline]
pub(super) fn compare_raw(left: &str, right: &str) -> Ordering {
    match (left.as_bytes(), right.as_bytes()) {
        // Most keys differ in their first byte, and then need no call. A backslash begins an
        // escape, which stands for something else.
        ([first, ..], [second, ..]) if first != second && *first != b'\\' && *second != b'\\' => {
            first.cmp(second)
        }
        // The order of UTF-8 bytes is that of code points.
        _ if !has_escape(left) && !has_escape(right) => left.as_bytes().cmp(right.as_bytes()),
        _ => code_points(left).cmp(code_points(right)),
    }
}

/// Compares a raw string with a string by code point.
#[inline]
pub(super) fn compare_raw_with(raw: &str, text: &str) -> Ordering {
    match (raw.as_bytes(), text.as_bytes()) {
        ([first, ..], [second, ..]) if first != second && *first != b'\\' => first.cmp(second),
        _ if !has_escape(raw) => raw.as_bytes().cmp(text.as_bytes()),
        _ => code_points(raw).cmp(text.chars().map(u32::from)),
    }
}

/// Tells whether a raw string holds an escape.
#[inline]
pub(super) fn has_escape(raw: &str) -> bool {
    memchr(b'\\', raw.as_bytes()).is_some()
}

/// Returns the string that `raw` stands for; a lone surrogate is U+FFFD.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    let (plain, escaped) = raw.split_at(first);
    text.push_str(plain);
    text.extend(code_points(escaped).map(character));
    Cow::Owned(text)
}

/// Returns the character of a code point; a surrogate is U+FFFD.
pub(super) fn character(code_point: u32) -> char {
    char::from_u32(code_point).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Returns the string of a raw string token with its quotes, or None when it is no string.
pub(crate) fn string_text(raw: &str) -> Option<Cow<'_, str>> {
    Some(unescape(raw.strip_prefix('"')?.strip_suffix('"')?))
}

/// Writes a string as a token of canonical text: quotes, and the escapes that it must have.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, stopped) = rest.split_at(plain_run(rest.as_bytes()));
        out.push_str(plain);
        let mut characters = stopped.chars();
        let Some(special) = characters.next() else { break };
        write_character(special, out);
        rest = characters.as_str();
    }
    out.push('"');
}

/// Writes one character as it stands in a string of canonical text.
pub(super) fn write_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\0'..='\u{1f}' | '\u{7f}' => write_unit(u32::from(character), out),
        plain => out.push(plain),
    }
}

/// Writes one code point, a surrogate perhaps, as it stands in a string of hashed text.
pub(super) fn write_code_point_ascii(code_point: u32, out: &mut String) {
    match char::from_u32(code_point) {
        Some(character) if character.is_ascii() => write_character(character, out),
        Some(character) => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write_unit(u32::from(*unit), out);
            }
        }
        None => write_unit(code_point, out),
    }
}

/// Writes `\u` and four lower-case hexadecimal digits.
fn write_unit(unit: u32, out: &mut String) {
    out.extend(unit_escape(unit).map(char::from));
}

/// Returns `\u` and four lower-case hexadecimal digits.
fn unit_escape(unit: u32) -> [u8; 6] {
    let digit = |shift: u32| {
        let nibble = (unit >> shift & 0xf) as u8;
        if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
    };
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

/// Passes canonical text to `sink` as it is hashed: every character beyond ASCII as `\uXXXX`, as a
/// surrogate pair above U+FFFF. Runs of ASCII go in whole, so ASCII text is one call.
pub(crate) fn write_ascii(text: &str, sink: &mut impl FnMut(&[u8])) {
    let mut rest = text;
    loop {
        let (ascii, beyond) = rest.split_at(ascii_run(rest.as_bytes()));
        if !ascii.is_empty() {
            sink(ascii.as_bytes());
        }
        let mut characters = beyond.chars();
        let Some(character) = characters.next() else { return };
        for unit in character.encode_utf16(&mut [0; 2]) {
            sink(&unit_escape(u32::from(*unit)));
        }
        rest = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_survives_its_token() {
        let text: String =
            (0..0x2100).filter_map(char::from_u32).chain(['😀', '\u{ffff}']).collect();
        let mut token = String::new();
        write_string(&text, &mut token);
        assert_eq!(string_text(&token).as_deref(), Some(text.as_str()));
        let mut special = String::new();
        write_string("\"\\/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{80}é", &mut special);
        let expected = r#""\"\\/\n\r\t\b\f\u0000\u001f\u007f€é""#.replace('€', "\u{80}");
        assert_eq!(special, expected);
    }

    #[test]
    fn what_is_no_string_has_no_text() {
        assert!(["", "\"", "1", "null", "[\"a\"]"].iter().all(|raw| string_text(raw).is_none()));
        assert_eq!(string_text(r#""\ud83d\uDE00\ud800\q\u12""#).unwrap(), "😀\u{fffd}q\u{fffd}12");
    }

    #[test]
    fn lone_surrogates_compare_as_python_compares_them() {
        assert!(compare_raw("\\ud7ff", "\\ud800").is_lt());
        assert!(compare_raw("\\udfff", "\u{e000}").is_lt());
        assert!(compare_raw("\\udfff", "\\ud800\\udc00").is_lt());
        assert!(compare_raw("a\\u0062", "ab").is_eq());
    }

    #[test]
    fn ascii_is_passed_on_whole() {
        let pieces = |text: &str| {
            let mut pieces = Vec::new();
            write_ascii(text, &mut |piece| pieces.push(String::from_utf8(piece.to_vec()).unwrap()));
            pieces
        };
        assert_eq!(pieces("{\"a\":\"\\n\"}"), ["{\"a\":\"\\n\"}"]);
        assert_eq!(pieces("a😀b").concat(), "a\\ud83d\\ude00b");
        assert_eq!(pieces("éЯ\u{ffff}").concat(), "\\u00e9\\u042f\\uffff");
        assert_eq!(pieces("").concat(), "");
    }
}
