//! The file of settings: TOML as names and values, each with its place.
//!
//! In: the text of a file. Out: what is set in it, or a sentence that says where it is wrong.
//!
//! Invariants:
//! * The file may hold secrets, and one that is malformed has them anywhere: nothing of its text is in a sentence,
//!   only the place and what is expected there.

use crate::secret::Secret;
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One line of the file: a name with its value.
#[derive(Debug)]
pub struct Entry {
    /// What stands before the `=`; where names and values are mixed up, a secret may.
    pub name: Secret,
    /// The value as a flag would spell it; None for what no setting is.
    pub value: Option<Secret>,
    /// Whether the value is a text in quotes.
    pub is_quoted: bool,
    pub place: Place,
}

/// Where something stands in the file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

impl Place {
    fn of(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Place { line: before.matches('\n').count() + 1, column }
    }
}

/// Reads a file of settings, in the order in which they stand.
///
/// The error is a sentence for the person at the keyboard.
pub fn read(text: &str) -> Result<Vec<Entry>, String> {
    let table = DeTable::parse(text).map_err(|error| malformed(text, &error))?;
    let mut entries: Vec<(Range<usize>, Entry)> = Vec::new();
    for (name, value) in table.get_ref() {
        let is_quoted = matches!(value.get_ref(), DeValue::String(_));
        let (place, name_text) = (Place::of(text, name.span().start), name.get_ref().as_ref());
        let value = text_of(value.get_ref()).map(Secret::new);
        let entry = Entry { name: Secret::new(name_text), value, is_quoted, place };
        entries.push((name.span(), entry));
    }
    entries.sort_by_key(|(span, _)| span.start);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// Says where a file is no TOML. What the parser says names kinds of things and no text of the file; how it shows
/// itself has the whole line.
fn malformed(text: &str, error: &toml::de::Error) -> String {
    let place = Place::of(text, error.span().map_or(text.len(), |span| span.start));
    format!("{place}: it is no TOML: {}", error.message())
}

/// Spells a value as a flag would, so that one parser decides.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|it| it.to_string())
        }
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<&str>> =
                items.iter().map(|item| item.get_ref().as_str()).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_has_its_place_and_is_spelt_as_a_flag() {
        let text =
            "# first\nport = 0x1f\n  read_only = true\norigins = [\"a\", \"b\"]\nrate = 1.5\n";
        let read = read(text).unwrap();
        let shown: Vec<(&str, Option<&str>, String)> = read
            .iter()
            .map(|it| {
                let value = it.value.as_ref().map(Secret::reveal);
                (it.name.reveal(), value, it.place.to_string())
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("port", Some("31"), "line 2, column 1".to_owned()),
                ("read_only", Some("true"), "line 3, column 3".to_owned()),
                ("origins", Some("a,b"), "line 4, column 1".to_owned()),
                ("rate", None, "line 5, column 1".to_owned()),
            ]
        );
    }
}
