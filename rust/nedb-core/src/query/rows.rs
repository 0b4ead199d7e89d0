//! Rows: what flows between operators, and what a query gives back.
//!
//! Between operators a row is a document handle, or, once something was computed, a canonical JSON
//! text. Out of a query it is a text in one buffer. A document's text is copied once, with `_seq`
//! (and `_score`) put in at its sorted place; it is never parsed into a tree.
//!
//! Invariants:
//! * Texts of documents are borrowed for one look; handles survive letting writers in.
//! * An output text is canonical: the keys stay sorted, and `_seq` is there once.

use std::ops::ControlFlow;

use crate::document::{write_with_member, write_with_seq};
use crate::error::Result;
use crate::json::write_double;
use crate::op::Seq;
use crate::read_budget::{LOOK_OVERHEAD, ReadBudget};
use crate::snapshot::{DocRef, Snapshot};

/// One version of one document as a row, with its score once it was searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DocumentRow {
    /// The version.
    pub(super) document: DocRef,
    /// How well it matched; None where nothing was searched.
    pub(super) score: Option<f64>,
}

/// The rows between two operators.
#[derive(Debug)]
pub(super) enum RowSet {
    /// Versions of documents.
    Documents(Vec<DocumentRow>),
    /// Computed objects, as canonical texts.
    Computed(Vec<String>),
}

/// One row as an expression sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowView<'t> {
    /// The canonical text, without `_seq` and `_score`.
    pub(super) text: &'t str,
    /// The seq that wrote the version; None for a computed row.
    pub(super) seq: Option<Seq>,
    /// The score, once searched.
    pub(super) score: Option<f64>,
    /// What the read may take; None where nothing ends it.
    pub(super) budget: Option<&'t ReadBudget>,
}

impl RowView<'_> {
    /// Counts work; false once the read is to end, and whatever is said of the row then is worth nothing.
    #[inline]
    pub(super) fn spend(&self, work: usize) -> bool {
        self.budget.is_none_or(|budget| budget.spend(work))
    }
}

impl RowSet {
    /// Shows every row to `visit`, in order, until it breaks; lets writers in between rows, and while much is done
    /// with one. `work_per_byte` says how much that is.
    pub(super) fn walk(
        &self,
        snapshot: &mut Snapshot<'_>,
        work_per_byte: usize,
        visit: impl FnMut(usize, &RowView<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        match self {
            RowSet::Documents(rows) => walk_documents(rows, snapshot, work_per_byte, visit),
            RowSet::Computed(texts) => {
                snapshot.apart(|budget| walk_texts(texts, budget, work_per_byte, visit))
            }
        }
    }

    /// Returns how many rows there are.
    pub(super) fn len(&self) -> usize {
        match self {
            RowSet::Documents(rows) => rows.len(),
            RowSet::Computed(texts) => texts.len(),
        }
    }

    /// Returns the rows at `indexes`, in that order.
    pub(super) fn pick(self, indexes: &[usize]) -> RowSet {
        match self {
            RowSet::Documents(rows) => RowSet::Documents(
                indexes.iter().filter_map(|&index| rows.get(index)).copied().collect(),
            ),
            RowSet::Computed(mut texts) => RowSet::Computed(
                indexes
                    .iter()
                    .map(|&index| texts.get_mut(index).map(std::mem::take).unwrap_or_default())
                    .collect(),
            ),
        }
    }

    /// Returns the rows after the first `offset`, at most `limit` of them.
    pub(super) fn slice(self, offset: usize, limit: Option<usize>) -> RowSet {
        let limit = limit.unwrap_or(usize::MAX);
        match self {
            RowSet::Documents(rows) => {
                RowSet::Documents(rows.into_iter().skip(offset).take(limit).collect())
            }
            RowSet::Computed(texts) => {
                RowSet::Computed(texts.into_iter().skip(offset).take(limit).collect())
            }
        }
    }

    /// Writes the rows as the caller gets them.
    pub(super) fn into_rows(self, snapshot: &mut Snapshot<'_>) -> Result<Rows> {
        let mut rows = Rows::default();
        rows.ends.reserve(self.len());
        let mut scratch = String::new();
        self.walk(snapshot, 1, |_, row| {
            rows.push_with(|buffer| write_row(row, &mut scratch, buffer));
            match row.budget.is_none_or(|budget| budget.note_answer(rows.buffer.len())) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        snapshot.go_on()?;
        Ok(rows)
    }
}

fn walk_documents(
    rows: &[DocumentRow],
    snapshot: &mut Snapshot<'_>,
    work_per_byte: usize,
    mut visit: impl FnMut(usize, &RowView<'_>) -> ControlFlow<()>,
) -> Result<()> {
    for (index, row) in rows.iter().enumerate() {
        let (seq, score) = (Some(snapshot.seq_of(row.document)), row.score);
        let visited = snapshot.with_text(row.document, work_per_byte, |text, budget| {
            visit(index, &RowView { text, seq, score, budget: Some(budget) })
        })?;
        if visited.is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn walk_texts(
    texts: &[String],
    budget: &ReadBudget,
    work_per_byte: usize,
    mut visit: impl FnMut(usize, &RowView<'_>) -> ControlFlow<()>,
) {
    for (index, text) in texts.iter().enumerate() {
        let goes_on = budget.spend(text.len().saturating_mul(work_per_byte) + LOOK_OVERHEAD);
        let row = RowView { text, seq: None, score: None, budget: Some(budget) };
        if !goes_on || visit(index, &row).is_break() {
            return;
        }
    }
}

/// Writes a row as the caller gets it: `_score` (where there is one) and `_seq` in their sorted places.
fn write_row(row: &RowView<'_>, scratch: &mut String, out: &mut String) {
    match (row.seq, row.score) {
        (Some(seq), None) => write_with_seq(row.text, seq, out),
        (Some(seq), Some(score)) => {
            scratch.clear();
            write_with_member(row.text, "_score", |out| write_double(score, out), scratch);
            write_with_seq(scratch, seq, out);
        }
        (None, _) => out.push_str(row.text),
    }
}

/// The rows of a query: JSON texts, in order, in one buffer.
///
/// A row is an object in canonical form. A document row carries `_seq`, and `_score` when the query
/// searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    buffer: String,
    ends: Vec<usize>,
}

impl Rows {
    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives the rows as JSON texts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = self.buffer.get(start..end).unwrap_or_default();
            start = end;
            text
        })
    }

    /// Copies the rows out, each into a text of its own.
    pub fn into_texts(self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Appends the row that `write` appends to the buffer it is given.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.buffer);
        self.ends.push(self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(text: &str, score: Option<f64>) -> String {
        let mut out = String::new();
        write_row(
            &RowView { text, seq: Some(7), score, budget: None },
            &mut String::new(),
            &mut out,
        );
        out
    }

    #[test]
    fn seq_is_put_in_at_its_sorted_place() {
        assert_eq!(spliced("{}", None), r#"{"_seq":7}"#);
        assert_eq!(spliced(r#"{"_id":"a"}"#, None), r#"{"_id":"a","_seq":7}"#);
        assert_eq!(spliced(r#"{"a":1}"#, None), r#"{"_seq":7,"a":1}"#);
        assert_eq!(
            spliced(r#"{"Z":{"_z":1},"_id":"a","b":[2]}"#, None),
            r#"{"Z":{"_z":1},"_id":"a","_seq":7,"b":[2]}"#
        );
    }

    #[test]
    fn score_goes_before_seq_and_keys_between_them_stay_between() {
        assert_eq!(spliced(r#"{"_id":"a"}"#, Some(0.5)), r#"{"_id":"a","_score":0.5,"_seq":7}"#);
        assert_eq!(
            spliced(r#"{"_id":"a","_se":1,"a":1}"#, Some(0.5)),
            r#"{"_id":"a","_score":0.5,"_se":1,"_seq":7,"a":1}"#
        );
        assert_eq!(spliced(r#"{"_se":1}"#, Some(2.0)), r#"{"_score":2.0,"_se":1,"_seq":7}"#);
    }

    #[test]
    fn stored_seq_and_score_of_an_old_database_give_way() {
        assert_eq!(spliced(r#"{"_seq":1}"#, None), r#"{"_seq":7}"#);
        assert_eq!(spliced(r#"{"_id":"a","_seq":1,"b":2}"#, None), r#"{"_id":"a","_seq":7,"b":2}"#);
        assert_eq!(
            spliced(r#"{"_id":"a","_score":9,"_seq":1}"#, Some(0.5)),
            r#"{"_id":"a","_score":0.5,"_seq":7}"#
        );
        assert_eq!(spliced(r#"{"_score":9,"b":2}"#, None), r#"{"_score":9,"_seq":7,"b":2}"#);
    }

    #[test]
    fn escaped_keys_sort_by_what_they_stand_for() {
        assert_eq!(spliced(r#"{"\u007f":1}"#, None), r#"{"_seq":7,"\u007f":1}"#);
        assert_eq!(spliced(r#"{"\n":1,"b":2}"#, None), r#"{"\n":1,"_seq":7,"b":2}"#);
    }

    #[test]
    fn rows_come_back_as_they_were_pushed() {
        let mut rows = Rows::default();
        assert!(rows.is_empty());
        rows.push_with(|buffer| buffer.push_str("{}"));
        rows.push_with(|buffer| buffer.push_str(r#"{"a":1}"#));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.iter().collect::<Vec<_>>(), ["{}", r#"{"a":1}"#]);
        assert_eq!(rows.into_texts(), ["{}", r#"{"a":1}"#]);
    }
}
