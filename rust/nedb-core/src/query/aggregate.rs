//! GROUP BY: one computed row for each distinct key, in the order first seen.
//!
//! In: rows, the paths of the keys, the aggregates. Out: objects `{key: value, ..., "count": n,
//! "sum_f": ...}` as canonical text.
//!
//! Invariants:
//! * Keys are grouped by value: 1 and 1.0 are one group, shown as first seen; missing is null.
//! * Without keys there is exactly one row, also of nothing.
//! * Where a key and a computed member have one name, the computed member stands.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use super::accumulate::Accumulator;
use super::algebra::{Aggregate, AggregateFunction};
use super::field::{Field, path_name};
use super::rows::{RowSet, RowView};
use crate::error::Result;
use crate::json::{Key, Path, encode_text, write_string};
use crate::read_budget::{LOOK_OVERHEAD, ReadBudget};
use crate::snapshot::Snapshot;

/// What a group holds for each of its members, in bytes, beside their texts.
const MEMBER_BYTES: usize = 64;

/// Groups the rows.
pub(super) fn group(
    rows: &RowSet,
    snapshot: &mut Snapshot<'_>,
    keys: &[Path],
    aggregates: &[Aggregate],
) -> Result<RowSet> {
    let mut groups = Groups::new(keys, aggregates);
    rows.walk(snapshot, keys.len() + aggregates.len(), |_, row| match groups.add(row) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    })?;
    snapshot.go_on()?;
    // Many groups are written while others write.
    snapshot.apart(|budget| groups.finish(Some(budget))).map(RowSet::Computed)
}

/// All groups so far.
struct Groups {
    keys: Vec<(String, Field)>,
    aggregates: Vec<(String, AggregateFunction, Field)>,
    groups: Vec<Group>,
    by_key: HashMap<Key, usize>,
    scratch: Vec<u8>,
}

/// One group.
struct Group {
    /// The raw texts of the keys, as first seen.
    keys: Vec<String>,
    count: u64,
    accumulators: Vec<Accumulator>,
}

impl Groups {
    fn new(keys: &[Path], aggregates: &[Aggregate]) -> Groups {
        let mut groups = Groups {
            keys: keys.iter().map(|path| (path_name(path), Field::new(path))).collect(),
            aggregates: aggregates
                .iter()
                .map(|it| (aggregate_name(it), it.function, Field::new(&it.path)))
                .collect(),
            groups: Vec::new(),
            by_key: HashMap::new(),
            scratch: Vec::new(),
        };
        if keys.is_empty() {
            groups.by_key.insert(Key::default(), 0);
            let whole = groups.new_group(Vec::new());
            groups.groups.push(whole);
        }
        groups
    }

    fn new_group(&self, keys: Vec<String>) -> Group {
        let accumulators =
            self.aggregates.iter().map(|(_, function, _)| Accumulator::new(*function)).collect();
        Group { keys, count: 0, accumulators }
    }

    /// Takes in a row; false once the read is to end.
    fn add(&mut self, row: &RowView<'_>) -> bool {
        self.encode_key(row);
        let index = match self.by_key.get(self.scratch.as_slice()) {
            Some(&index) => index,
            None => {
                let keys: Vec<String> =
                    self.keys.iter().map(|(_, field)| field.raw(row).into_owned()).collect();
                let bytes = keys.iter().map(String::len).sum::<usize>() + self.scratch.len();
                let members = (keys.len() + self.aggregates.len()) * MEMBER_BYTES;
                if row.budget.is_some_and(|budget| !budget.hold(bytes + members + MEMBER_BYTES)) {
                    return false;
                }
                let group = self.new_group(keys);
                self.by_key.insert(self.scratch.as_slice().into(), self.groups.len());
                self.groups.push(group);
                self.groups.len() - 1
            }
        };
        let Some(group) = self.groups.get_mut(index) else { return true };
        group.count += 1;
        for (accumulator, (_, _, field)) in group.accumulators.iter_mut().zip(&self.aggregates) {
            accumulator.add(&field.raw(row));
        }
        true
    }

    /// Writes the row's key to the scratch buffer: no value's key is a prefix of another's, so the
    /// parts of two different keys never run together into the same bytes.
    fn encode_key(&mut self, row: &RowView<'_>) {
        self.scratch.clear();
        for (_, field) in &self.keys {
            encode_text(&field.raw(row), &mut self.scratch);
        }
    }

    /// Writes the rows; not all of them, once the read is to end.
    fn finish(self, budget: Option<&ReadBudget>) -> Vec<String> {
        let goes_on = |text: &String| {
            budget.is_none_or(|it| it.hold(text.len()) && it.spend(text.len() + LOOK_OVERHEAD))
        };
        self.groups.iter().map(|group| self.write(group)).take_while(goes_on).collect()
    }

    fn write(&self, group: &Group) -> String {
        let mut members: BTreeMap<&str, String> = BTreeMap::new();
        for ((name, _), text) in self.keys.iter().zip(&group.keys) {
            members.insert(name, text.clone());
        }
        members.insert("count", group.count.to_string());
        for ((name, _, _), accumulator) in self.aggregates.iter().zip(&group.accumulators) {
            let mut text = String::new();
            accumulator.write(&mut text);
            members.insert(name, text);
        }
        write_object(&members)
    }
}

/// Returns the canonical text of an object whose members' texts are given, sorted by name.
pub(super) fn write_object(members: &BTreeMap<&str, String>) -> String {
    let mut out = String::from("{");
    for (name, text) in members {
        if out.len() > 1 {
            out.push(',');
        }
        write_string(name, &mut out);
        out.push(':');
        out.push_str(text);
    }
    out.push('}');
    out
}

/// Returns the name of an aggregate in a group row, like `sum_a.b`.
pub(super) fn aggregate_name(aggregate: &Aggregate) -> String {
    let function = match aggregate.function {
        AggregateFunction::Sum => "sum",
        AggregateFunction::Average => "avg",
        AggregateFunction::Minimum => "min",
        AggregateFunction::Maximum => "max",
    };
    format!("{function}_{}", path_name(&aggregate.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(
        texts: &[&str],
        keys: &[&str],
        aggregates: &[(AggregateFunction, &str)],
    ) -> Vec<String> {
        let keys: Vec<Path> = keys.iter().map(|key| Path::parse(key)).collect();
        let aggregates: Vec<Aggregate> = aggregates
            .iter()
            .map(|&(function, path)| Aggregate { function, path: Path::parse(path) })
            .collect();
        let mut groups = Groups::new(&keys, &aggregates);
        for text in texts {
            groups.add(&RowView { text, seq: Some(1), score: None, budget: None });
        }
        groups.finish(None)
    }

    #[test]
    fn groups_come_in_first_seen_order_and_are_formed_by_value() {
        let texts = [r#"{"a":1.0}"#, r#"{"a":"x"}"#, r#"{"a":1}"#, "{}", r#"{"a":null}"#];
        assert_eq!(
            grouped(&texts, &["a"], &[]),
            [r#"{"a":1.0,"count":2}"#, r#"{"a":"x","count":1}"#, r#"{"a":null,"count":2}"#]
        );
    }

    #[test]
    fn several_keys_make_one_group_for_each_combination() {
        let texts = [r#"{"a":"x","b":"yz"}"#, r#"{"a":"xy","b":"z"}"#, r#"{"a":"x","b":"yz"}"#];
        assert_eq!(
            grouped(&texts, &["b", "a"], &[]),
            [r#"{"a":"x","b":"yz","count":2}"#, r#"{"a":"xy","b":"z","count":1}"#]
        );
    }

    #[test]
    fn names_of_nested_paths_are_dotted_and_members_are_sorted() {
        let texts = [r#"{"a":{"b":2},"k":"x"}"#, r#"{"a":{"b":3},"k":"x"}"#];
        let aggregates = [(AggregateFunction::Sum, "a.b"), (AggregateFunction::Average, "a.b")];
        assert_eq!(
            grouped(&texts, &["k"], &aggregates),
            [r#"{"avg_a.b":2.5,"count":2,"k":"x","sum_a.b":5}"#]
        );
    }

    #[test]
    fn without_keys_there_is_one_row_also_of_nothing() {
        assert_eq!(
            grouped(&[], &[], &[(AggregateFunction::Sum, "a"), (AggregateFunction::Maximum, "a")]),
            [r#"{"count":0,"max_a":null,"sum_a":0}"#]
        );
        assert_eq!(grouped(&["{}", "{}"], &[], &[]), [r#"{"count":2}"#]);
        assert!(grouped(&[], &["a"], &[]).is_empty());
    }

    #[test]
    fn the_count_stands_where_a_key_has_its_name() {
        assert_eq!(grouped(&[r#"{"count":9}"#], &["count"], &[]), [r#"{"count":1}"#]);
    }
}
