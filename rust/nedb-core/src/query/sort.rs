//! ORDER BY: rows in the total order of the values of their keys.
//!
//! Every row's keys become one string of bytes whose order is the order asked for, so that sorting
//! is comparing bytes. With a LIMIT only about twice as many rows as are wanted are ever held.
//!
//! Invariants:
//! * Rows that compare equal keep the order they came in.
//! * A missing value sorts as null. DESC reverses its key alone.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::algebra::SortKey;
use super::field::Field;
use super::rows::{RowSet, RowView};
use crate::error::Result;
use crate::json::encode_text;
use crate::snapshot::Snapshot;

/// Fewest rows held before the worst of them are thrown away.
const HELD_COUNT_MIN: usize = 256;

/// Returns the first `keep` rows (None: all) in the order of `keys`.
pub(super) fn sort(
    rows: RowSet,
    snapshot: &mut Snapshot<'_>,
    keys: &[SortKey],
    keep: Option<usize>,
) -> Result<RowSet> {
    let encoder = KeyEncoder::new(keys);
    let mut sorter = Sorter::new(keep);
    let mut key = Vec::new();
    rows.walk(snapshot, |index, row| {
        encoder.encode(row, &mut key);
        sorter.push(index, &key);
        ControlFlow::Continue(())
    })?;
    Ok(rows.pick(&sorter.finish()))
}

/// Turns the sort keys of a row into bytes.
struct KeyEncoder {
    keys: Vec<(Field, bool)>,
}

impl KeyEncoder {
    fn new(keys: &[SortKey]) -> KeyEncoder {
        KeyEncoder {
            keys: keys.iter().map(|key| (Field::new(&key.path), key.descending)).collect(),
        }
    }

    /// Writes the row's key. No part is a prefix of another value's, so that parts may follow each
    /// other, and may be reversed by inverting their bytes.
    fn encode(&self, row: &RowView<'_>, key: &mut Vec<u8>) {
        key.clear();
        for (field, descending) in &self.keys {
            let start = key.len();
            encode_text(&field.raw(row), key);
            if *descending {
                key.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
            }
        }
    }
}

/// The rows held so far, and the key that a further one must beat.
struct Sorter {
    keep: Option<usize>,
    /// The keys of all entries, one after the other.
    arena: Vec<u8>,
    entries: Vec<Entry>,
    /// The worst key among the best `keep`, once there are that many.
    bar: Option<Vec<u8>>,
}

/// One held row.
#[derive(Clone, Copy)]
struct Entry {
    /// The key's first eight bytes: most comparisons need no more.
    prefix: u64,
    start: usize,
    end: usize,
    index: usize,
}

impl Sorter {
    fn new(keep: Option<usize>) -> Sorter {
        Sorter { keep, arena: Vec::new(), entries: Vec::new(), bar: None }
    }

    fn push(&mut self, index: usize, key: &[u8]) {
        // A later row with the same key comes after: it must be strictly smaller to get in.
        if self.bar.as_deref().is_some_and(|bar| key >= bar) {
            return;
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        self.entries.push(Entry { prefix: prefix_of(key), start, end: self.arena.len(), index });
        if let Some(keep) = self.keep
            && self.entries.len() >= keep.saturating_mul(2).max(HELD_COUNT_MIN)
        {
            self.shrink(keep);
        }
    }

    fn shrink(&mut self, keep: usize) {
        self.order();
        self.entries.truncate(keep);
        let mut arena = Vec::with_capacity(self.arena.len());
        for entry in &mut self.entries {
            let start = arena.len();
            arena.extend_from_slice(key_in(&self.arena, entry));
            (entry.start, entry.end) = (start, arena.len());
        }
        self.arena = arena;
        self.bar = Some(
            self.entries.last().map_or_else(Vec::new, |entry| key_in(&self.arena, entry).to_vec()),
        );
    }

    fn order(&mut self) {
        let arena = &self.arena;
        self.entries.sort_unstable_by(|left, right| compare(arena, left, right));
    }

    fn finish(mut self) -> Vec<usize> {
        self.order();
        let keep = self.keep.unwrap_or(usize::MAX);
        self.entries.iter().take(keep).map(|entry| entry.index).collect()
    }
}

fn compare(arena: &[u8], left: &Entry, right: &Entry) -> Ordering {
    let by_prefix = left.prefix.cmp(&right.prefix);
    by_prefix
        .then_with(|| key_in(arena, left).cmp(key_in(arena, right)))
        .then_with(|| left.index.cmp(&right.index))
}

fn key_in<'a>(arena: &'a [u8], entry: &Entry) -> &'a [u8] {
    arena.get(entry.start..entry.end).unwrap_or_default()
}

fn prefix_of(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Path;

    fn order(texts: &[&str], keys: &[(&str, bool)], keep: Option<usize>) -> Vec<usize> {
        let keys: Vec<SortKey> = keys
            .iter()
            .map(|&(path, descending)| SortKey { path: Path::parse(path), descending })
            .collect();
        let encoder = KeyEncoder::new(&keys);
        let mut sorter = Sorter::new(keep);
        let mut key = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            encoder.encode(&RowView { text, seq: None, score: None }, &mut key);
            sorter.push(index, &key);
        }
        sorter.finish()
    }

    #[test]
    fn types_sort_in_the_stated_order_and_missing_sorts_as_null() {
        let texts = [
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":"x"}"#,
            r#"{"a":1}"#,
            r#"{"a":true}"#,
            r#"{"a":false}"#,
            r#"{"a":null}"#,
            "{}",
        ];
        assert_eq!(order(&texts, &[("a", false)], None), [6, 7, 5, 4, 3, 2, 1, 0]);
        assert_eq!(order(&texts, &[("a", true)], None), [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn equal_rows_keep_their_order_in_both_directions() {
        let texts = [r#"{"a":1}"#, r#"{"a":1.0}"#, r#"{"a":0}"#, r#"{"a":1}"#];
        assert_eq!(order(&texts, &[("a", false)], None), [2, 0, 1, 3]);
        assert_eq!(order(&texts, &[("a", true)], None), [0, 1, 3, 2]);
    }

    #[test]
    fn later_keys_decide_between_equal_earlier_ones() {
        let texts = [
            r#"{"a":"x","b":1}"#,
            r#"{"a":"xy","b":0}"#,
            r#"{"a":"x","b":2}"#,
            r#"{"a":"","b":3}"#,
        ];
        assert_eq!(order(&texts, &[("a", false), ("b", true)], None), [3, 2, 0, 1]);
        assert_eq!(order(&texts, &[("a", true), ("b", false)], None), [1, 0, 2, 3]);
    }

    #[test]
    fn the_first_few_are_those_of_the_whole_order() {
        let texts: Vec<String> =
            (0..5_000_u64).map(|n| format!(r#"{{"a":{}}}"#, n * 7_919 % 613)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for descending in [false, true] {
            let all = order(&texts, &[("a", descending)], None);
            for keep in [0, 1, 10, 200, 4_999, 6_000] {
                let few = order(&texts, &[("a", descending)], Some(keep));
                assert_eq!(few, all[..keep.min(all.len())]);
            }
        }
    }
}
