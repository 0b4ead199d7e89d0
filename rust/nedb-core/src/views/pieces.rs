//! Two folds of the same ops, compared a piece at a time.
//!
//! In: two things of one kind, and how to compare an entry of one with that of the other. Out: whether they are the
//! same.
//!
//! Between two pieces ops may be folded into both. What was the same before is so after, since what folding an op
//! does depends on what is there alone; so nobody holds still for longer than a piece takes.
//!
//! Invariants:
//! * Every entry is looked at that was there when the comparison began.

use crate::limits::COMPARED_AT_ONCE_COUNT;

/// What a look at a piece has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The two differ.
    Differs,
    /// So far they are the same, and there is more.
    More,
    /// They are the same.
    Same,
}

/// A comparison under way: it is handed the two, and looks at the next piece.
pub(crate) type Comparison<V> = Box<dyn FnMut(&V, &V) -> Compared>;

/// What an entry has cost to compare, in parts; None where the two differ.
type Cost = Option<usize>;

/// Returns what an entry of so many parts has cost, once it was found to be the same or not.
pub(super) fn cost(is_same: bool, part_count: usize) -> Cost {
    is_same.then_some(part_count)
}

/// How far the comparison of an entry has come that is compared in parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// The key from which on it goes on, of what has keys.
    pub key: u32,
    /// The number from which on it goes on, of what has numbers.
    pub number: usize,
    pub has_more: bool,
}

/// Compares entries that are numbered; there are never fewer than before.
pub(super) fn numbered<V>(
    count: impl Fn(&V) -> usize + 'static,
    compare: impl Fn(&V, &V, usize) -> Cost + 'static,
) -> Comparison<V> {
    numbered_in_parts(count, move |mine, theirs, at, _| compare(mine, theirs, at))
}

/// Compares entries that are numbered, of which each may say that there is more of it.
pub(super) fn numbered_in_parts<V>(
    count: impl Fn(&V) -> usize + 'static,
    compare: impl Fn(&V, &V, usize, &mut Cursor) -> Cost + 'static,
) -> Comparison<V> {
    let (mut next, mut cursor) = (0, Cursor::default());
    Box::new(move |mine, theirs| {
        let end = count(mine);
        if end != count(theirs) {
            return Compared::Differs;
        }
        let mut left = COMPARED_AT_ONCE_COUNT;
        while next < end {
            if left == 0 {
                return Compared::More;
            }
            cursor.has_more = false;
            let Some(part_count) = compare(mine, theirs, next, &mut cursor) else {
                return Compared::Differs;
            };
            left = left.saturating_sub(1 + part_count);
            if !cursor.has_more {
                (next, cursor) = (next + 1, Cursor::default());
            }
        }
        Compared::Same
    })
}

/// Compares the entries that have a key now; those that come later come in both.
pub(super) fn keyed<V: 'static, K: 'static>(
    keys: Vec<K>,
    count: impl Fn(&V) -> usize + 'static,
    compare: impl Fn(&V, &V, &K) -> Cost + 'static,
) -> Comparison<V> {
    let key_count = keys.len();
    let compare_key = move |mine: &V, theirs: &V, at: usize| compare(mine, theirs, keys.get(at)?);
    let mut compare_keys = numbered(move |_| key_count, compare_key);
    Box::new(move |mine, theirs| match count(mine) == count(theirs) {
        true => compare_keys(mine, theirs),
        false => Compared::Differs,
    })
}

/// Compares a part of each.
pub(super) fn within<W: 'static, V: 'static>(
    part: impl Fn(&W) -> &V + 'static,
    comparisons: Vec<Comparison<V>>,
) -> Vec<Comparison<W>> {
    let part = std::rc::Rc::new(part);
    let lift = |mut comparison: Comparison<V>| {
        let part = std::rc::Rc::clone(&part);
        Box::new(move |mine: &W, theirs: &W| comparison(part(mine), part(theirs))) as Comparison<W>
    };
    comparisons.into_iter().map(lift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(mine: &[usize], theirs: &[usize]) -> (Compared, usize) {
        let mut comparison: Comparison<Vec<usize>> = numbered(Vec::len, |mine, theirs, at| {
            cost(mine.get(at) == theirs.get(at), mine.get(at).copied().unwrap_or(0))
        });
        let (mine, theirs) = (mine.to_vec(), theirs.to_vec());
        let mut piece_count = 1;
        loop {
            match comparison(&mine, &theirs) {
                Compared::More => piece_count += 1,
                found => return (found, piece_count),
            }
        }
    }

    #[test]
    fn every_entry_is_compared_and_long_ones_make_more_pieces() {
        let long = COMPARED_AT_ONCE_COUNT;
        for count in [0, 1, long - 1, long, long + 1, 3 * long] {
            let entries = vec![0; count];
            assert_eq!(
                compare(&entries, &entries),
                (Compared::Same, count.div_ceil(long).max(1)),
                "{count}"
            );
            for at in [0, count / 2, count.saturating_sub(1)].into_iter().filter(|at| *at < count) {
                let mut other = entries.clone();
                other[at] = 1;
                assert_eq!(compare(&entries, &other).0, Compared::Differs, "{at} of {count}");
            }
        }
        assert_eq!(compare(&[long; 3], &[long; 3]), (Compared::Same, 3));
        assert_eq!(compare(&[0; 3], &[0; 4]).0, Compared::Differs);
    }
}
