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
use crate::read_budget::ReadBudget;
use crate::snapshot::Snapshot;

/// Fewest rows held before the worst of them are thrown away.
const HELD_COUNT_MIN: usize = 256;
/// Most wanted rows for which the worst are thrown away on the way.
const SHRUNK_COUNT_MAX: usize = 4_096;
/// What an entry holds beside its key, in bytes, with its copy while runs are merged.
const ENTRY_BYTES: usize = 80;
/// Bytes of keys, and rows, that are put in order before the clock is asked: some milliseconds.
const RUN_BYTES: usize = 4 << 20;
const RUN_COUNT_MIN: usize = 64;
const RUN_COUNT_MAX: usize = 64 << 10;

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
    rows.walk(snapshot, keys.len(), |index, row| {
        encoder.encode(row, &mut key);
        match sorter.push(index, &key, row.budget) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    snapshot.go_on()?;
    // Ordering many takes a while, and needs nothing of the state.
    snapshot.apart(|budget| rows.pick(&sorter.finish(Some(budget))))
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

    /// Takes in a row; false once the read is to end.
    fn push(&mut self, index: usize, key: &[u8], budget: Option<&ReadBudget>) -> bool {
        // A later row with the same key comes after: it must be strictly smaller to get in.
        if self.bar.as_deref().is_some_and(|bar| key >= bar) {
            return true;
        }
        if budget.is_some_and(|budget| !budget.hold(key.len() + ENTRY_BYTES)) {
            return false;
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        self.entries.push(Entry { prefix: prefix_of(key), start, end: self.arena.len(), index });
        // Throwing away is ordering first, here, where writers wait: many are ordered once, at the end.
        if let Some(keep) = self.keep.filter(|keep| *keep <= SHRUNK_COUNT_MAX)
            && self.entries.len() >= keep.saturating_mul(2).max(HELD_COUNT_MIN)
        {
            let held_bytes = self.held_bytes();
            self.shrink(keep);
            if let Some(budget) = budget {
                budget.release(held_bytes.saturating_sub(self.held_bytes()));
            }
        }
        true
    }

    fn held_bytes(&self) -> usize {
        self.arena.len() + self.entries.len() * ENTRY_BYTES
    }

    fn shrink(&mut self, keep: usize) {
        self.order(None);
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

    /// Puts the entries in order, some at a time; they stay in any, once the read is to end.
    fn order(&mut self, budget: Option<&ReadBudget>) {
        let arena = &self.arena;
        let goes_on = |work| budget.is_none_or(|budget| budget.spend(work));
        let mean_bytes = arena.len() / self.entries.len().max(1) + 1;
        let run_count = (RUN_BYTES / mean_bytes).clamp(RUN_COUNT_MIN, RUN_COUNT_MAX);
        for run in self.entries.chunks_mut(run_count) {
            if !goes_on(run.len() * 2) {
                return;
            }
            run.sort_unstable_by(|left, right| compare(arena, left, right));
        }
        let mut width = run_count;
        while width < self.entries.len() {
            let mut merged = Vec::with_capacity(self.entries.len());
            for pair in self.entries.chunks(width * 2) {
                let (left, right) = pair.split_at(width.min(pair.len()));
                if !merge(arena, left, right, &mut merged, &|| goes_on(mean_bytes + 16)) {
                    return;
                }
            }
            self.entries = merged;
            width *= 2;
        }
    }

    fn finish(mut self, budget: Option<&ReadBudget>) -> Vec<usize> {
        self.order(budget);
        let keep = self.keep.unwrap_or(usize::MAX);
        self.entries.iter().take(keep).map(|entry| entry.index).collect()
    }
}

/// Appends two runs in order, each of which is in order; false once the read is to end.
fn merge(
    arena: &[u8],
    mut left: &[Entry],
    mut right: &[Entry],
    out: &mut Vec<Entry>,
    goes_on: &dyn Fn() -> bool,
) -> bool {
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        if !goes_on() {
            return false;
        }
        // No two are equal: a row has one place.
        if compare(arena, first, second).is_lt() {
            out.push(*first);
            left = left_rest;
        } else {
            out.push(*second);
            right = right_rest;
        }
    }
    out.extend_from_slice(left);
    out.extend_from_slice(right);
    true
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
            encoder.encode(&RowView { text, seq: None, score: None, budget: None }, &mut key);
            sorter.push(index, &key, None);
        }
        sorter.finish(None)
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
