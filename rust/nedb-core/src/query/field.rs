//! A field of a row, resolved once per query and looked up once per row.
//!
//! In: a path as the query wrote it, a row. Out: the raw canonical text of the value there; `null`
//! when there is none, because null and missing are one.

use std::borrow::Cow;

use super::rows::RowView;
use crate::document::write_integer;
use crate::json::{Path, write_double};

/// What a missing value counts as.
const MISSING: &str = "null";

/// A path of a row, prepared for being looked up many times.
#[derive(Clone, Debug)]
pub(super) struct Field {
    source: FieldSource,
    path: Path,
    /// The whole dotted name as one key: a computed row has members like `sum_a.b`.
    name: Option<Path>,
}

/// Where the value of a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldSource {
    /// In the text.
    Text,
    /// It is the seq that wrote the version.
    Seq,
    /// It is the score of the search.
    Score,
}

impl Field {
    /// Prepares a path.
    pub(super) fn new(path: &Path) -> Field {
        let source = match path.as_single() {
            Some("_seq") => FieldSource::Seq,
            Some("_score") => FieldSource::Score,
            _ => FieldSource::Text,
        };
        let name = match path.as_single() {
            Some(_) => None,
            None => Some(Path::from_segments(vec![path_name(path)])),
        };
        Field { source, path: path.clone(), name }
    }

    /// Returns the raw text of the field's value in `row`.
    pub(super) fn raw<'t>(&self, row: &RowView<'t>) -> Cow<'t, str> {
        match (self.source, row.seq, row.score) {
            (FieldSource::Seq, Some(seq), _) => {
                let mut text = String::new();
                write_integer(seq, &mut text);
                Cow::Owned(text)
            }
            (FieldSource::Score, _, Some(score)) => {
                let mut text = String::new();
                write_double(score, &mut text);
                Cow::Owned(text)
            }
            (_, Some(_), _) => Cow::Borrowed(self.path.pick(row.text).unwrap_or(MISSING)),
            (_, None, _) => Cow::Borrowed(self.raw_computed(row.text).unwrap_or(MISSING)),
        }
    }

    fn raw_computed<'t>(&self, text: &'t str) -> Option<&'t str> {
        let named = self.name.as_ref().and_then(|name| name.pick(text));
        named.or_else(|| self.path.pick(text))
    }
}

/// Returns whether a path names what no stored text holds: `_seq` or `_score`.
pub(super) fn is_computed(path: &Path) -> bool {
    matches!(path.as_single(), Some("_seq" | "_score"))
}

/// Returns the name of a path as a key of a computed row: its segments joined by dots.
pub(super) fn path_name(path: &Path) -> String {
    let segments: Vec<&str> = path.segments().iter().map(|segment| &**segment).collect();
    segments.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(path: &str, row: &RowView<'_>) -> String {
        Field::new(&Path::parse(path)).raw(row).into_owned()
    }

    #[test]
    fn seq_and_score_come_from_the_row_and_not_from_the_text() {
        let row = RowView {
            text: r#"{"_seq":1,"a":{"b":2}}"#,
            seq: Some(9),
            score: Some(0.5),
            budget: None,
        };
        assert_eq!(raw("_seq", &row), "9");
        assert_eq!(raw("_score", &row), "0.5");
        assert_eq!(raw("_score", &RowView { score: None, ..row }), "null");
        assert_eq!(raw("a.b", &row), "2");
        assert_eq!(raw("a.c", &row), "null");
    }

    #[test]
    fn computed_rows_are_asked_for_the_whole_dotted_name_first() {
        let row = RowView {
            text: r#"{"_seq":3,"a":{"b":1},"sum_a.b":2}"#,
            seq: None,
            score: None,
            budget: None,
        };
        assert_eq!(raw("sum_a.b", &row), "2");
        assert_eq!(raw("a.b", &row), "1");
        assert_eq!(raw("_seq", &row), "3");
    }
}
