//! The access path: how the documents of a collection that may pass a predicate are reached.
//!
//! In: what must hold, what order and how many rows are wanted, which indexes there are. Out: an
//! `Access` that reaches every document which passes, and an estimate of how many it reaches.
//!
//! Invariants:
//! * An access path only narrows down: the whole predicate is asked of every document again.
//! * A bound reaches the values of its own type alone, as a comparison does.
//! * At a valid time no ordered index is walked: what it would find is not what is seen.

use std::ops::Bound;

use super::algebra::{CompareOperator, Expression, SortKey};
use super::compare::Constant;
use super::field::is_computed;
use super::filter::flipped;
use crate::json::{Key, Path, TypeClass, Value, class_range};
use crate::snapshot::{CollectionId, IndexKind, Snapshot};

/// How documents are reached.
#[derive(Debug)]
pub(super) enum Access {
    /// None can pass, or the collection is unknown.
    Nothing,
    /// All, in order of creation.
    Scan,
    /// Those with one of these ids.
    Find(Vec<String>),
    /// Those with one of these values, by an index.
    Equal(Vec<(Path, Key)>),
    /// Those with a value in a range, by an ordered index.
    Range {
        /// The indexed path.
        path: Path,
        /// The range of keys.
        range: KeyRange,
        /// Whether the order of the index (true: largest first) is the order of the rows. None: the
        /// rows are put back into order of creation.
        descending: Option<bool>,
    },
}

/// A range of keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyRange {
    /// Where it begins.
    pub(super) low: Bound<Key>,
    /// Where it ends.
    pub(super) high: Bound<Key>,
}

/// What the rows of a collection are wanted for.
#[derive(Debug)]
pub(super) struct Wanted<'q> {
    /// What must hold, all of it.
    pub(super) conditions: &'q [&'q Expression],
    /// The order wanted. None: of creation.
    pub(super) order: Option<&'q SortKey>,
    /// How many rows are wanted. None: all.
    pub(super) keep: Option<usize>,
    /// Whether the query reads at a valid time.
    pub(super) at_valid_time: bool,
}

/// An access path with the number of documents that it is thought to reach.
#[derive(Debug)]
pub(super) struct Choice {
    /// The path.
    pub(super) access: Access,
    /// How many documents are examined if all are.
    pub(super) estimate: usize,
}

impl KeyRange {
    /// Everything.
    const ALL: KeyRange = KeyRange { low: Bound::Unbounded, high: Bound::Unbounded };

    /// Returns the keys that stand in a relation to a constant; None for `=` and `!=`.
    fn of(operator: CompareOperator, constant: &Constant) -> Option<KeyRange> {
        if constant.class() == TypeClass::Null {
            // Nothing is less or greater than null, so the walk need not look.
            return Some(KeyRange {
                low: Bound::Excluded([].into()),
                high: Bound::Excluded([].into()),
            });
        }
        let (lowest, highest) = class_range(constant.class());
        let from = Bound::Included(lowest.into_boxed_slice());
        let to = Bound::Excluded(highest.into_boxed_slice());
        let key = constant.key().clone();
        Some(match operator {
            CompareOperator::Less => KeyRange { low: from, high: Bound::Excluded(key) },
            CompareOperator::LessOrEqual => KeyRange { low: from, high: Bound::Included(key) },
            CompareOperator::Greater => KeyRange { low: Bound::Excluded(key), high: to },
            CompareOperator::GreaterOrEqual => KeyRange { low: Bound::Included(key), high: to },
            CompareOperator::Equal | CompareOperator::NotEqual => return None,
        })
    }

    /// Returns what lies in both ranges.
    fn and(self, other: KeyRange) -> KeyRange {
        let low = tighter(self.low, other.low, true);
        let high = tighter(self.high, other.high, false);
        KeyRange { low, high }
    }

    /// Returns whether no key lies in it.
    fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (
                Bound::Included(low) | Bound::Excluded(low),
                Bound::Included(high) | Bound::Excluded(high),
            ) => low >= high,
        }
    }
}

/// Returns the bound that leaves less: of two at one key, the one that excludes it.
fn tighter(left: Bound<Key>, right: Bound<Key>, is_low: bool) -> Bound<Key> {
    let rank = |bound: &Bound<Key>| match bound {
        Bound::Unbounded => None,
        Bound::Included(key) => Some((key.clone(), false)),
        Bound::Excluded(key) => Some((key.clone(), true)),
    };
    let left_wins = match (rank(&left), rank(&right)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some((left, left_excludes)), Some((right, right_excludes))) => match left.cmp(&right) {
            std::cmp::Ordering::Equal => left_excludes || !right_excludes,
            ordering => ordering.is_gt() == is_low,
        },
    };
    if left_wins { left } else { right }
}

/// What a condition says that an access path can use.
#[derive(Debug, PartialEq)]
enum Fact {
    /// The id is one of these.
    Ids(Vec<String>),
    /// One of these paths has its value.
    Equal(Vec<(Path, Key)>),
    /// The value at a path lies in a range.
    Range(Path, KeyRange),
}

impl Fact {
    fn of(expression: &Expression) -> Option<Fact> {
        match expression {
            Expression::Compare { operator, left, right } => match (&**left, &**right) {
                (Expression::Field(path), Expression::Literal(value)) => {
                    Fact::compared(path, *operator, value)
                }
                (Expression::Literal(value), Expression::Field(path)) => {
                    Fact::compared(path, flipped(*operator), value)
                }
                _ => None,
            },
            Expression::In { operand, values } => Fact::among(stored(operand)?, values),
            Expression::IsNull(operand) => Fact::among(stored(operand)?, &[Value::Null]),
            Expression::Between { operand, low, high } => {
                let (low, high) = (Constant::new(low), Constant::new(high));
                let range = KeyRange::of(CompareOperator::GreaterOrEqual, &low)?
                    .and(KeyRange::of(CompareOperator::LessOrEqual, &high)?);
                Some(Fact::Range(stored(operand)?.clone(), range))
            }
            Expression::Or(parts) => Fact::union(parts),
            _ => None,
        }
    }

    fn compared(path: &Path, operator: CompareOperator, value: &Value) -> Option<Fact> {
        match operator {
            _ if is_computed(path) => None,
            CompareOperator::Equal => Fact::among(path, std::slice::from_ref(value)),
            CompareOperator::NotEqual => None,
            _ => {
                let range = KeyRange::of(operator, &Constant::new(value))?;
                Some(Fact::Range(path.clone(), range))
            }
        }
    }

    fn among(path: &Path, values: &[Value]) -> Option<Fact> {
        if path.as_single() == Some("_id") {
            // No document has an id that is no string.
            let ids = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            return Some(Fact::Ids(ids));
        }
        let keys = values.iter().map(|value| (path.clone(), Constant::new(value).key().clone()));
        Some(Fact::Equal(keys.collect()))
    }

    /// Returns the equalities of which one holds, if every part of an OR is one.
    fn union(parts: &[Expression]) -> Option<Fact> {
        let mut all = Vec::new();
        for part in parts {
            match Fact::of(part)? {
                Fact::Equal(keys) => all.extend(keys),
                Fact::Ids(_) | Fact::Range(..) => return None,
            }
        }
        Some(Fact::Equal(all))
    }
}

/// Returns the path of a field that stored texts hold.
fn stored(operand: &Expression) -> Option<&Path> {
    match operand {
        Expression::Field(path) if !is_computed(path) => Some(path),
        _ => None,
    }
}

/// Returns whether an access path was made from this condition.
pub(super) fn is_used_by(condition: &Expression, access: &Access) -> bool {
    match (Fact::of(condition), access) {
        (Some(Fact::Ids(ids)), Access::Find(found)) => ids == *found,
        (Some(Fact::Equal(keys)), Access::Equal(used)) => keys == *used,
        (Some(Fact::Range(path, _)), Access::Range { path: walked, .. }) => path == *walked,
        _ => false,
    }
}

/// Appends the parts of a conjunction, however nested.
pub(super) fn conjuncts<'q>(expression: &'q Expression, out: &mut Vec<&'q Expression>) {
    match expression {
        Expression::And(parts) => parts.iter().for_each(|part| conjuncts(part, out)),
        other => out.push(other),
    }
}

/// Chooses the access path that is thought to examine the fewest documents.
pub(super) fn choose(
    snapshot: &Snapshot<'_>,
    collection: CollectionId,
    wanted: &Wanted<'_>,
) -> Choice {
    let facts: Vec<Fact> = wanted.conditions.iter().filter_map(|it| Fact::of(it)).collect();
    let chooser = Chooser {
        snapshot,
        collection,
        wanted,
        document_count: snapshot.document_count_estimate(collection),
        ranges: merged_ranges(&facts),
    };
    if chooser.ranges.iter().any(|(_, range)| range.is_empty()) {
        return Choice { access: Access::Nothing, estimate: 0 };
    }
    if let Some(ids) = facts.iter().find_map(|fact| match fact {
        Fact::Ids(ids) => Some(ids),
        _ => None,
    }) {
        return Choice { access: Access::Find(ids.clone()), estimate: ids.len() };
    }
    if let Some(choice) = chooser.straight_in_order(&facts) {
        return choice;
    }
    let narrow = chooser.narrowest(&facts);
    chooser
        .in_order(narrow.as_ref())
        .or(narrow)
        .unwrap_or(Choice { access: Access::Scan, estimate: chooser.document_count })
}

/// Returns one range for each path: what all the bounds of it leave.
fn merged_ranges(facts: &[Fact]) -> Vec<(Path, KeyRange)> {
    let mut merged: Vec<(Path, KeyRange)> = Vec::new();
    for fact in facts {
        let Fact::Range(path, range) = fact else { continue };
        match merged.iter_mut().find(|(known, _)| known == path) {
            Some((_, known)) => *known = known.clone().and(range.clone()),
            None => merged.push((path.clone(), range.clone())),
        }
    }
    merged
}

/// Documents of a range that are counted before it is left at that: writers wait meanwhile.
const COUNTED_IN_RANGE_MAX: usize = 128 << 10;

/// What a choice is made from.
struct Chooser<'s, 'a, 'q> {
    snapshot: &'s Snapshot<'a>,
    collection: CollectionId,
    wanted: &'s Wanted<'q>,
    document_count: usize,
    ranges: Vec<(Path, KeyRange)>,
}

impl Chooser<'_, '_, '_> {
    /// Returns a walk along the index of the wanted order where nothing can leave fewer documents: no
    /// condition but on that order's own field, and so every document met is wanted.
    fn straight_in_order(&self, facts: &[Fact]) -> Option<Choice> {
        let (key, keep) = (self.wanted.order?, self.wanted.keep?);
        let is_on_key = |fact: &Fact| matches!(fact, Fact::Range(path, _) if *path == key.path);
        let is_straight = facts.len() == self.wanted.conditions.len()
            && facts.iter().all(is_on_key)
            && !is_computed(&key.path)
            && self.has_ordered_index(&key.path);
        is_straight.then(|| {
            let bounded = self.ranges.iter().find(|(path, _)| *path == key.path);
            let range = bounded.map_or(KeyRange::ALL, |(_, range)| range.clone());
            let descending = Some(key.descending);
            let access = Access::Range { path: key.path.clone(), range, descending };
            Choice { access, estimate: keep.min(self.document_count) }
        })
    }

    /// Returns the equality or range that leaves the fewest documents, if it beats a scan.
    fn narrowest(&self, facts: &[Fact]) -> Option<Choice> {
        let mut best: Option<Choice> = None;
        for fact in facts {
            let Fact::Equal(keys) = fact else { continue };
            if let Some(estimate) = self.equal_estimate(keys)
                && best.as_ref().is_none_or(|best| estimate < best.estimate)
            {
                best = Some(Choice { access: Access::Equal(keys.clone()), estimate });
            }
        }
        for (path, range) in &self.ranges {
            let most = best.as_ref().map_or(usize::MAX, |best| best.estimate);
            if let Some(estimate) = self.range_estimate(path, range, most) {
                let access =
                    Access::Range { path: path.clone(), range: range.clone(), descending: None };
                best = Some(Choice { access, estimate });
            }
        }
        best.filter(|best| self.beats_scan(best))
    }

    fn equal_estimate(&self, keys: &[(Path, Key)]) -> Option<usize> {
        keys.iter().try_fold(0_usize, |sum, (path, key)| {
            let count = self.snapshot.count_equal_estimate(self.collection, path, key)?;
            Some(sum.saturating_add(count))
        })
    }

    /// Counts the documents of a range, if there is an index and they are fewer than `most` and few
    /// enough to be worth putting back into order of creation.
    fn range_estimate(&self, path: &Path, range: &KeyRange, most: usize) -> Option<usize> {
        if !self.has_ordered_index(path) {
            return None;
        }
        let most = most.min(self.document_count / 4 + 1).min(COUNTED_IN_RANGE_MAX);
        let count = self.count_range(path, range, most)?;
        (count < most).then_some(count)
    }

    fn has_ordered_index(&self, path: &Path) -> bool {
        !self.wanted.at_valid_time
            && self.snapshot.has_index(self.collection, IndexKind::Ordered, path)
    }

    /// Counts the documents of a range, up to `most`.
    fn count_range(&self, path: &Path, range: &KeyRange, most: usize) -> Option<usize> {
        let range = (as_slice(&range.low), as_slice(&range.high));
        self.snapshot.count_range_estimate((self.collection, path), range, most)
    }

    /// Returns whether fewer documents are examined than by a scan that stops when it has enough.
    fn beats_scan(&self, choice: &Choice) -> bool {
        match &choice.access {
            // One value comes in order of creation and may be left as early as a scan.
            Access::Equal(keys) if keys.len() == 1 => true,
            _ if self.wanted.order.is_some() => choice.estimate < self.document_count,
            _ => choice.estimate < self.examined_until_enough(choice.estimate),
        }
    }

    /// Returns how many documents are examined, in an order that knows nothing of the predicate,
    /// until enough of the `passing` ones are found.
    fn examined_until_enough(&self, passing: usize) -> usize {
        let keep = self.wanted.keep.unwrap_or(usize::MAX);
        let examined = keep.saturating_mul(self.document_count) / passing.max(1);
        examined.min(self.document_count)
    }

    /// Returns a walk along the ordered index of the wanted order, unless narrowing down by another
    /// index and sorting the rest examines fewer documents.
    fn in_order(&self, narrow: Option<&Choice>) -> Option<Choice> {
        let key = self.wanted.order?;
        if is_computed(&key.path) || !self.has_ordered_index(&key.path) {
            return None;
        }
        let bounded = self.ranges.iter().find(|(path, _)| *path == key.path);
        let range = bounded.map_or(KeyRange::ALL, |(_, range)| range.clone());
        let estimate = match bounded {
            Some((path, range)) => self.count_range(path, range, self.document_count)?,
            None => self.document_count,
        };
        let examined = match narrow {
            Some(narrow) => self.examined_until_enough(narrow.estimate).min(estimate),
            None => estimate.min(self.wanted.keep.unwrap_or(estimate)),
        };
        let same_path = narrow.is_some_and(
            |narrow| matches!(&narrow.access, Access::Range { path, .. } if *path == key.path),
        );
        if !same_path && narrow.is_some_and(|narrow| narrow.estimate < examined) {
            return None;
        }
        let access =
            Access::Range { path: key.path.clone(), range, descending: Some(key.descending) };
        Some(Choice { access, estimate })
    }
}

/// Borrows a bound.
pub(super) fn as_slice(bound: &Bound<Key>) -> Bound<&[u8]> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(path: &str, operator: CompareOperator, text: &str) -> Expression {
        Expression::Compare {
            operator,
            left: Box::new(Expression::Field(Path::parse(path))),
            right: Box::new(Expression::Literal(Value::parse(text).unwrap())),
        }
    }

    fn key(text: &str) -> Key {
        Constant::from_text(text.to_owned()).key().clone()
    }

    #[test]
    fn bounds_of_one_path_are_combined() {
        let conditions = [
            compare("a", CompareOperator::Greater, "1"),
            compare("a", CompareOperator::LessOrEqual, "9"),
            compare("a", CompareOperator::GreaterOrEqual, "1"),
            compare("b", CompareOperator::Less, "\"x\""),
        ];
        let facts: Vec<Fact> = conditions.iter().filter_map(Fact::of).collect();
        let merged = merged_ranges(&facts);
        assert_eq!(merged.len(), 2);
        assert_eq!(
            merged[0].1,
            KeyRange { low: Bound::Excluded(key("1")), high: Bound::Included(key("9")) }
        );
        assert!(!merged[0].1.is_empty());
    }

    #[test]
    fn bounds_of_different_types_leave_nothing() {
        let range = |operator, text: &str| {
            KeyRange::of(operator, &Constant::from_text(text.to_owned())).unwrap()
        };
        let number = range(CompareOperator::Greater, "5");
        assert!(number.clone().and(range(CompareOperator::Less, "\"x\"")).is_empty());
        assert!(number.clone().and(range(CompareOperator::LessOrEqual, "5")).is_empty());
        assert!(!number.and(range(CompareOperator::LessOrEqual, "6")).is_empty());
    }

    #[test]
    fn or_is_a_union_only_if_every_part_is_an_equality() {
        let equal = |text| compare("a", CompareOperator::Equal, text);
        let both = Expression::Or(vec![equal("1"), equal("2")]);
        let expected =
            [(Path::parse("a"), key("1")), (Path::parse("a"), key("2"))].into_iter().collect();
        assert_eq!(Fact::of(&both), Some(Fact::Equal(expected)));
        let mixed = Expression::Or(vec![equal("1"), compare("a", CompareOperator::Less, "2")]);
        assert_eq!(Fact::of(&mixed), None);
    }

    #[test]
    fn what_no_text_holds_is_no_fact() {
        assert_eq!(Fact::of(&compare("_seq", CompareOperator::Equal, "1")), None);
        assert_eq!(Fact::of(&compare("_score", CompareOperator::Less, "1")), None);
        assert_eq!(Fact::of(&compare("a", CompareOperator::NotEqual, "1")), None);
        assert_eq!(
            Fact::of(&compare("_id", CompareOperator::Equal, "\"x\"")),
            Some(Fact::Ids(vec!["x".to_owned()]))
        );
    }
}
