//! Canonical text: one spelling for every document.
//!
//! In: JSON text as a caller wrote it, or as NEDB 1.x did. Out: its canonical text, or the text that
//! 1.x hashed.
//!
//! Canonical text has the keys of every object sorted by code point, no white space, strings as raw
//! UTF-8 with only the escapes `\" \\ \n \r \t \b \f` and `\u00xx` in lower case for the other
//! controls and DEL, and numbers spelt as `number` spells them.
//!
//! Invariants:
//! * `canonicalize(text)` is `Borrowed` exactly when `is_canonical(text)` and it is not too deep.
//! * `is_canonical(canonicalize(text))` holds for every text that is not refused.

use std::borrow::Cow;

use super::check::{OutlinedMember, is_canonical_within, outline_within};
use super::lex::Dialect;
use super::parse::walk;
use super::rewrite::{Rewriter, Target};
use crate::error::Result;
use crate::limits::{LEGACY_NESTING_DEPTH_MAX, NESTING_DEPTH_MAX};

/// Returns the canonical text of strict JSON text; borrowed, at about 1 ns a byte, when the text
/// was canonical already.
///
/// Errors: `InvalidArgument`, with the byte and what is wrong there: not well-formed, a key twice,
/// a lone surrogate, a number beyond its type; `LimitExceeded` beyond `NESTING_DEPTH_MAX`.
pub(crate) fn canonicalize(text: &str) -> Result<Cow<'_, str>> {
    canonicalize_within(text, NESTING_DEPTH_MAX)
}

/// Returns canonical text as `canonicalize` does, of a text that may be nested `depth_max` deep: one
/// that holds documents.
///
/// Errors: as `canonicalize`.
pub(crate) fn canonicalize_within(text: &str, depth_max: usize) -> Result<Cow<'_, str>> {
    if is_canonical_within(text, depth_max) {
        return Ok(Cow::Borrowed(text));
    }
    rewrite(text, Dialect::Strict, depth_max).map(Cow::Owned)
}

/// Tells whether a text is canonical, nested up to `LEGACY_NESTING_DEPTH_MAX`, in one pass without
/// allocating. A number that only 1.x could hold is not canonical.
#[cfg(test)]
pub(crate) fn is_canonical(text: &str) -> bool {
    is_canonical_within(text, LEGACY_NESTING_DEPTH_MAX)
}

/// Tells whether a text is canonical, nested up to `LEGACY_NESTING_DEPTH_MAX`, and puts into `members`
/// those of its object, each after those of the object that is its value: one pass for both.
pub(crate) fn outline<'t>(text: &'t str, members: &mut Vec<OutlinedMember<'t>>) -> bool {
    outline_within(text, LEGACY_NESTING_DEPTH_MAX, members)
}

/// Appends what NEDB 1.x hashed of a JSON text that it wrote: the members sorted, no white space,
/// ASCII alone, numbers, `NaN` and lone surrogates as they stand; of a key that occurs twice the
/// last, as Python reads it.
///
/// Errors: `InvalidArgument` when it is no text that 1.x could have written and read.
pub(crate) fn canonicalize_legacy(text: &str, hashed: &mut String) -> Result<()> {
    let mut rewriter = Rewriter::new(Dialect::Legacy, Target::Hashed, std::mem::take(hashed));
    let walked = walk(text, Dialect::Legacy, LEGACY_NESTING_DEPTH_MAX, &mut rewriter);
    *hashed = rewriter.finish();
    walked
}

/// Returns the canonical text to serve of a document that NEDB 1.x wrote: lone surrogates become
/// U+FFFD, `NaN` and the infinities null; a number beyond our types stays as it stands.
///
/// Errors: `InvalidArgument` when it is no text that 1.x could have written and read.
pub(crate) fn legacy_document(text: &str) -> Result<String> {
    rewrite(text, Dialect::Legacy, LEGACY_NESTING_DEPTH_MAX)
}

/// Writes a text anew.
fn rewrite(text: &str, dialect: Dialect, depth_max: usize) -> Result<String> {
    let out = String::with_capacity(text.len());
    let mut rewriter = Rewriter::new(dialect, Target::Canonical, out);
    walk(text, dialect, depth_max, &mut rewriter)?;
    Ok(rewriter.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(text: &str) -> String {
        let mut hashed = String::new();
        canonicalize_legacy(text, &mut hashed).unwrap();
        hashed
    }

    #[test]
    fn canonical_text_is_borrowed() {
        for text in [r#"{"a":1,"b":[1.5,null,"é\n\u0001"],"c":{"":"\\"}}"#, "0", "[]", r#""x""#] {
            assert!(matches!(canonicalize(text), Ok(Cow::Borrowed(_))), "{text}");
        }
    }

    #[test]
    fn nested_objects_are_sorted_at_every_level() {
        let text = r#" {"b":[{"z":1,"y":{"d":{},"c":[1,2]}}, 3],"a":{"\u0062":0,"a":[ ]} } "#;
        let canonical = r#"{"a":{"a":[],"b":0},"b":[{"y":{"c":[1,2],"d":{}},"z":1},3]}"#;
        assert_eq!(canonicalize(text).unwrap(), canonical);
    }

    #[test]
    fn keys_sort_by_code_point_whatever_their_spelling() {
        // `"` is 22, `#` is 23, `\` is 5c; U+FFFF is below U+10000, whose UTF-16 is not.
        let text =
            "{\"\u{10000}\":6,\"\u{ffff}\":5,\"a\":4,\"\\\\\":3,\"#\":2,\"\\\"\":1,\"\\n\":0}";
        let canonical =
            "{\"\\n\":0,\"\\\"\":1,\"#\":2,\"\\\\\":3,\"a\":4,\"\u{ffff}\":5,\"\u{10000}\":6}";
        assert_eq!(canonicalize(text).unwrap(), canonical);
        assert!(is_canonical(canonical));
        assert!(hashed(text).ends_with("\"\\uffff\":5,\"\\ud800\\udc00\":6}"));
    }

    #[test]
    fn a_refusal_says_where_and_what() {
        for (text, sentence) in [
            ("{\"a\":1,}", "byte 7: expected a key in quotes, found '}'"),
            ("{\"a\" 1}", "byte 5: expected ':', found '1'"),
            ("[1 2]", "byte 3: expected ',' or ']', found '2'"),
            ("{\"a\":1", "byte 6: expected ',' or '}', found the end"),
            ("{} x", "byte 3: expected the end of the text, found 'x'"),
            ("[\"\\ud800\"]", "byte 2: the surrogate stands alone"),
            ("[\"\\x\"]", "byte 2: there is no such escape"),
            ("[01]", "byte 1: a number has no leading zeros"),
            ("[1.]", "byte 3: a digit is missing behind the point"),
            ("[1e]", "byte 3: a digit is missing in the exponent"),
            ("[-]", "byte 2: a digit is missing"),
            ("[1e999]", "byte 1: the number is beyond the largest double"),
            ("[18446744073709551616]", "byte 1: an integer must be from"),
            ("{\"é\":1,\"\\u00e9\":2}", "the key \"é\" occurs twice in one object"),
            ("[\"\n\"]", "byte 2: a control character must be escaped"),
            ("[NaN]", "byte 1: expected a value, found 'N'"),
            ("[-Infinity]", "byte 1: expected a value, found '-'"),
            ("\u{feff}{}", "byte 0: expected a value, found '\\u{feff}'"),
            ("[\"a", "byte 3: the string has no end"),
        ] {
            let error = canonicalize(text).expect_err(text);
            assert!(error.message().contains(sentence), "{text}: {error}");
        }
    }

    #[test]
    fn what_1x_hashed_keeps_numbers_and_surrogates_as_they_stand() {
        let text = r#"{"z": 1E5, "n": NaN, "i": [Infinity, -Infinity], "\udc00": 1, "\ud800": 2,
            "\uffff": 3, "\ud83d\uDE00é": "\ud83d\uDE00é\/\u007f\ud800x",
            "big": 123456789012345678901234567890, "d": 1, "d": 2.50}"#;
        let expected = concat!(
            r#"{"big":123456789012345678901234567890,"d":2.50,"i":[Infinity,-Infinity],"n":NaN,"#,
            r#""z":1E5,"\ud800":2,"\udc00":1,"\uffff":3,"#,
            r#""\ud83d\ude00\u00e9":"\ud83d\ude00\u00e9/\u007f\ud800x"}"#,
        );
        assert_eq!(hashed(text), expected);
        assert_eq!(hashed(expected), expected);
    }

    #[test]
    fn what_is_served_of_1x_is_canonical_but_for_big_numbers() {
        let text = r#"{"z": 1E5, "n": [NaN, Infinity, -Infinity], "a\ud800": 1, "a\udfff": 2,
            "t": "\ud800x", "d": 1, "d": 2.50}"#;
        let served = legacy_document(text).unwrap();
        let expected = "{\"a\u{fffd}\":2,\"d\":2.5,\"n\":[null,null,null],\"t\":\"\u{fffd}x\",\
            \"z\":100000.0}";
        assert_eq!(served, expected);
        assert!(is_canonical(&served));
        let big = "[123456789012345678901234567890,1e999]";
        assert_eq!(legacy_document(big).unwrap(), big);
        assert!(!is_canonical(big));
    }
}
