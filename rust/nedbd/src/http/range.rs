//! Which part of a file a request asks for, and whether it has it already (RFC 9110, sections 13 and 14).
//!
//! In: headers, a file's tag and length. Out: the whole, a part of it, or that it is not there.
//!
//! Invariants:
//! * A range that is not understood, several of them, and one of another version are as if there were none:
//!   the whole file is always a right answer.

use axum::http::HeaderMap;
use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use std::ops::Range;

/// What of a file is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<u64>),
    /// A part that begins behind the end.
    Nothing,
}

/// Returns what the headers ask for of a file with that tag, in its quotes, and that length.
pub fn wanted(headers: &HeaderMap, tag: &str, size_bytes: u64) -> Wanted {
    let is_same = text(headers, IF_RANGE).is_none_or(|given| given == tag);
    match text(headers, RANGE).filter(|_| is_same) {
        Some(range) => part(range, size_bytes).unwrap_or(Wanted::Whole),
        None => Wanted::Whole,
    }
}

/// Tells whether the client says that it has what is of that tag.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    text(headers, IF_NONE_MATCH).is_some_and(|given| {
        let same = |it: &str| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag;
        given.split(',').map(str::trim).any(same)
    })
}

fn text(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Reads `bytes=0-499`, `bytes=500-` or `bytes=-500`; None for anything else.
fn part(text: &str, size_bytes: u64) -> Option<Wanted> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (Some(first), None) if last.is_empty() => first..size_bytes,
        (None, Some(count)) if first.is_empty() => size_bytes.saturating_sub(count)..size_bytes,
        _ => return None,
    };
    Some(if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) })
}

fn number(text: &str) -> Option<u64> {
    // Rust would also read a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        given.iter().map(|(name, text)| (name.clone(), HeaderValue::from_static(text))).collect()
    }

    #[test]
    fn one_range_of_bytes_is_a_part() {
        let of = |text| wanted(&headers(&[(RANGE, text)]), "\"t\"", 10);
        for (text, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=3-5", 3..6),
            ("bytes=3-", 3..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
            ("bytes=5-18446744073709551615", 5..10),
        ] {
            assert_eq!(of(text), Wanted::Part(range), "{text}");
        }
        for text in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of(text), Wanted::Nothing, "{text}");
        }
        for text in
            ["bytes=", "bytes=-", "bytes=5-3", "bytes=1-2,4-5", "bytes=+1-2", "rows=1-2", "1-2"]
        {
            assert_eq!(of(text), Wanted::Whole, "{text}");
        }
        assert_eq!(wanted(&headers(&[(RANGE, "bytes=0-0")]), "\"t\"", 0), Wanted::Nothing);
        assert_eq!(wanted(&HeaderMap::new(), "\"t\"", 0), Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_none() {
        let of = |tag| wanted(&headers(&[(RANGE, "bytes=0-0"), (IF_RANGE, tag)]), "\"t\"", 10);
        assert_eq!(of("\"t\""), Wanted::Part(0..1));
        for tag in ["\"u\"", "W/\"t\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(of(tag), Wanted::Whole);
        }
    }

    #[test]
    fn a_tag_in_a_list_is_known() {
        let knows = |text| is_known(&headers(&[(IF_NONE_MATCH, text)]), "\"t\"");
        for text in ["\"t\"", "W/\"t\"", "\"a\", \"t\"", "*"] {
            assert!(knows(text), "{text}");
        }
        assert!(!knows("\"a\"") && !knows("t") && !is_known(&HeaderMap::new(), "\"t\""));
    }
}
