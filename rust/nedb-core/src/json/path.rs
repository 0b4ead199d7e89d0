//! A dotted path, and the value at it.
//!
//! In: `address.city`, `tags.0`, canonical text. Out: the slice of the text that is the value.
//!
//! Invariants:
//! * `Path::parse(path.to_string()) == path` for every path that has a segment.
//! * Picking allocates nothing and stops at the first key beyond the one it looks for.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::scan::{elements, members};
use super::string::compare_raw_with;
#[cfg(test)]
use super::value::Value;

/// A path to a value within a document: keys of objects, and places in arrays counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    segments: Vec<String>,
}

impl Path {
    /// Parses a dotted path such as `tags.0`; a segment in backticks is taken as it stands, with a
    /// doubled backtick for one. Every text is a path, the empty one of one empty segment.
    pub fn parse(dotted: &str) -> Path {
        let mut segments = Vec::new();
        let mut rest = Some(dotted);
        while let Some(text) = rest {
            let (segment, behind) = quoted_segment(text).unwrap_or_else(|| plain_segment(text));
            segments.push(segment.into_owned());
            rest = behind;
        }
        Path { segments }
    }

    /// Makes a path of segments that are taken as they stand; of none it is the whole value.
    pub fn from_segments(segments: Vec<String>) -> Path {
        Path { segments }
    }

    /// Returns the segments.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Returns the one segment of a path that has only one.
    pub fn as_single(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [single] => Some(single),
            _ => None,
        }
    }

    /// Returns the raw text of the value at this path of canonical text, or None when there is none.
    #[inline]
    pub(crate) fn pick<'t>(&self, canonical: &'t str) -> Option<&'t str> {
        self.segments.iter().try_fold(canonical, |text, segment| step(text, segment))
    }

    #[cfg(test)]
    /// Returns the value at this path of a value, or None when there is none.
    pub(crate) fn pick_value<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.segments.iter().try_fold(value, |value, segment| match value {
            Value::Array(elements) => elements.get(array_place(segment)?),
            object => object.get(segment),
        })
    }
}

/// Goes one segment into canonical text.
#[inline]
fn step<'t>(text: &'t str, segment: &str) -> Option<&'t str> {
    if text.starts_with('[') {
        return elements(text).nth(array_place(segment)?);
    }
    for (key, value) in members(text) {
        match compare_raw_with(key, segment) {
            Ordering::Less => {}
            Ordering::Equal => return Some(value),
            Ordering::Greater => return None,
        }
    }
    None
}

/// Returns the place in an array that a segment names: decimal, without superfluous zeros.
fn array_place(segment: &str) -> Option<usize> {
    let canonical = segment.bytes().all(|byte| byte.is_ascii_digit())
        && (segment == "0" || !segment.starts_with('0'));
    segment.parse().ok().filter(|_| canonical)
}

/// Splits off a segment that stands in backticks up to a point or the end.
fn quoted_segment(text: &str) -> Option<(Cow<'_, str>, Option<&str>)> {
    let mut segment = String::new();
    let mut rest = text.strip_prefix('`')?;
    loop {
        let (piece, behind) = rest.split_once('`')?;
        segment.push_str(piece);
        match behind.strip_prefix('`') {
            Some(behind) => {
                segment.push('`');
                rest = behind;
            }
            None if behind.is_empty() => return Some((segment.into(), None)),
            None => return Some((segment.into(), Some(behind.strip_prefix('.')?))),
        }
    }
}

/// Splits off what stands before the first point.
fn plain_segment(text: &str) -> (Cow<'_, str>, Option<&str>) {
    match text.split_once('.') {
        Some((segment, rest)) => (segment.into(), Some(rest)),
        None => (text.into(), None),
    }
}

/// Writes the dotted form; segments that are no plain words stand in backticks.
impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            formatter.write_str(if index == 0 { "" } else { "." })?;
            let plain =
                |character: char| character.is_alphanumeric() || "_-@$:".contains(character);
            if !segment.is_empty() && segment.chars().all(plain) {
                formatter.write_str(segment)?;
            } else {
                write!(formatter, "`{}`", segment.replace('`', "``"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"\"q":7,"a":{"b":[10,{"c":"x"},[20]],"b.c":2},"n":null,"z":"}"}"#;

    #[test]
    fn paths_reach_into_objects_and_arrays() {
        for (path, expected) in [
            ("a.b.0", Some("10")),
            ("a.b.1.c", Some("\"x\"")),
            ("a.b.2.0", Some("20")),
            ("a.`b.c`", Some("2")),
            ("n", Some("null")),
            ("z", Some("\"}\"")),
            ("\"q", Some("7")),
            ("a.b.3", None),
            ("a.b.00", None),
            ("a.b.+1", None),
            ("a.b.-1", None),
            ("a.b.x", None),
            ("a.b.99999999999999999999999", None),
            ("n.a", None),
            ("z.0", None),
            ("", None),
            ("zz", None),
            ("A", None),
        ] {
            let path = Path::parse(path);
            assert_eq!(path.pick(TEXT), expected, "{path}");
            let value = Value::from_canonical(TEXT);
            assert_eq!(path.pick_value(&value).map(Value::to_text).as_deref(), expected, "{path}");
        }
        assert_eq!(Path::from_segments(Vec::new()).pick(TEXT), Some(TEXT));
        assert_eq!(Path::parse("0").pick(r#"{"0":1}"#), Some("1"));
        assert_eq!(Path::parse("").pick(r#"{"":1}"#), Some("1"));
    }

    #[test]
    fn dotted_texts_split_at_points_outside_backticks() {
        for (dotted, segments) in [
            ("a.b.0", vec!["a", "b", "0"]),
            ("", vec![""]),
            (".", vec!["", ""]),
            ("`a.b`.c", vec!["a.b", "c"]),
            ("`a``b`", vec!["a`b"]),
            ("``", vec![""]),
            // What is not closed, or goes on behind, is taken as it stands.
            ("`a.b", vec!["`a", "b"]),
            ("`a`b.c", vec!["`a`b", "c"]),
            ("a`b", vec!["a`b"]),
        ] {
            assert_eq!(Path::parse(dotted).segments(), segments, "{dotted}");
        }
        assert_eq!(Path::parse("a").as_single(), Some("a"));
        assert_eq!(Path::parse("a.b").as_single(), None);
        let odd = ["a", "b.c", "", "é", "x y"].map(String::from).to_vec();
        assert_eq!(Path::from_segments(odd).to_string(), "a.`b.c`.``.é.`x y`");
    }
}
