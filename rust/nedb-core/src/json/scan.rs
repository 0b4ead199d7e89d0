//! Canonical text, looked into without parsing it.
//!
//! In: canonical text. Out: slices of it. Linear and without allocating: the hot loops of every
//! scan.
//!
//! Invariants:
//! * Of text that is not canonical the answers may be wrong, but there is always an answer.

use super::lex::{quote_run, unstructured_run};

/// The members of an object: each raw key without its quotes, and the raw text of its value.
pub(crate) struct Members<'t> {
    /// The rest of the object, from the quote of the next key on.
    rest: &'t str,
}

/// Returns the members of an object in canonical text; none when it is no object.
#[inline]
pub(crate) fn members(object: &str) -> Members<'_> {
    Members { rest: object.strip_prefix('{').unwrap_or_default() }
}

impl<'t> Iterator for Members<'t> {
    type Item = (&'t str, &'t str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.rest.as_bytes();
        let (b'"', key) = bytes.split_first()? else { return None };
        // Over the quote before the key, the one behind it, and the colon.
        let value_start = string_body_length(key) + 3;
        let value_end = value_start + value_length(bytes.get(value_start..)?);
        let member = (self.rest.get(1..value_start - 2)?, self.rest.get(value_start..value_end)?);
        self.rest = self.rest.get(value_end + 1..).unwrap_or_default();
        Some(member)
    }
}

/// The elements of an array.
pub(crate) struct Elements<'t> {
    rest: &'t str,
}

/// Returns the raw texts of the elements of an array in canonical text; none when it is no array.
#[inline]
pub(crate) fn elements(array: &str) -> Elements<'_> {
    Elements { rest: array.strip_prefix('[').unwrap_or_default() }
}

impl<'t> Iterator for Elements<'t> {
    type Item = &'t str;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let end = value_length(self.rest.as_bytes());
        let element = self.rest.get(..end).filter(|element| !element.is_empty())?;
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(element)
    }
}

/// Returns the length of what a string token holds, from behind its first quote on.
#[inline]
pub(super) fn string_body_length(body: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = body.get(at..).unwrap_or_default();
        let run_bytes = quote_run(rest);
        at += run_bytes;
        match rest.get(run_bytes) {
            // The byte behind a backslash is part of the escape, whatever it is.
            Some(b'\\') => at += 2,
            _ => return at.min(body.len()),
        }
    }
}

/// Returns the length of the value that `bytes` begins with; 0 when there is none.
#[inline]
pub(super) fn value_length(bytes: &[u8]) -> usize {
    match bytes {
        [b'"', body @ ..] => (string_body_length(body) + 2).min(bytes.len()),
        [b'{' | b'[', ..] => container_length(bytes),
        _ => {
            bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(bytes.len())
        }
    }
}

/// Returns the length of the object or array that `bytes` begins with.
fn container_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut depth = 0_usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let run_bytes = unstructured_run(rest);
        at += run_bytes;
        match rest.get(run_bytes..).unwrap_or_default() {
            [] => return bytes.len(),
            [b'"', body @ ..] => at += string_body_length(body) + 2,
            [b'{' | b'[', ..] => {
                depth += 1;
                at += 1;
            }
            _ => {
                at += 1;
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_slices_of_the_text() {
        let text = r#"{"":[],"a\"}":{"x":[1,{"y":"]\\"}],"z":"{"},"b":"\\","c":-1.5e-07}"#;
        let expected = [
            ("", "[]"),
            (r#"a\"}"#, r#"{"x":[1,{"y":"]\\"}],"z":"{"}"#),
            ("b", r#""\\""#),
            ("c", "-1.5e-07"),
        ];
        assert_eq!(members(text).collect::<Vec<_>>(), expected);
        assert!(["{}", "[]", "[1]", "1", "", "{"].iter().all(|text| members(text).count() == 0));
    }

    #[test]
    fn elements_are_slices_of_the_text() {
        let text = r#"[1,"a,]",[2,[3]],{"b":[4]},null,""]"#;
        let expected = ["1", r#""a,]""#, "[2,[3]]", r#"{"b":[4]}"#, "null", r#""""#];
        assert_eq!(elements(text).collect::<Vec<_>>(), expected);
        assert!(
            ["{}", "[]", "{\"a\":1}", "1", "", "["].iter().all(|text| elements(text).count() == 0)
        );
    }
}
