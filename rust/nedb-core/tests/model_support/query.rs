//! Queries as trees: their NQL text, and their answer by the definitions of `docs/nql.md`.

use super::model::{Model, Point, Version};
use super::value::{Object, compare, compare_in_type, equal, pick};
use serde_json::{Number, Value, json};
use std::cmp::Ordering;

/// A condition; values are JSON texts of scalars, which NQL spells the same.
#[derive(Clone, Debug)]
pub enum Condition {
    Compare(&'static str, &'static str, &'static str),
    /// A field, a sign, a field.
    Fields(&'static str, &'static str, &'static str),
    In(&'static str, &'static [&'static str]),
    Between(&'static str, &'static str, &'static str),
    Like(&'static str, &'static str),
    Contains(&'static str, &'static str),
    IsNull(&'static str),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

/// What follows the rows of a collection.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub condition: Option<Condition>,
    pub order: &'static [(&'static str, bool)],
    pub traverse: Option<&'static str>,
    /// Whether it is REVERSE.
    pub trace: Option<bool>,
    pub group: &'static [&'static str],
    /// Functions and paths; `count` alone for COUNT.
    pub aggregates: &'static [(&'static str, &'static str)],
    pub having: Option<Condition>,
    pub limit: Option<usize>,
    pub offset: usize,
}

impl Condition {
    fn nql(&self) -> String {
        match self {
            Condition::Compare(path, sign, value) => format!("{path} {sign} {value}"),
            Condition::Fields(left, sign, right) => format!("{left} {sign} `{right}`"),
            Condition::In(path, values) => format!("{path} IN ({})", values.join(", ")),
            Condition::Between(path, low, high) => format!("{path} BETWEEN {low} AND {high}"),
            Condition::Like(path, pattern) => {
                format!("{path} LIKE \"{}\"", pattern.replace('\\', "\\\\"))
            }
            Condition::Contains(path, value) => format!("{path} CONTAINS {value}"),
            Condition::IsNull(path) => format!("{path} IS NULL"),
            Condition::And(left, right) => format!("({}) AND ({})", left.nql(), right.nql()),
            Condition::Or(left, right) => format!("({}) OR ({})", left.nql(), right.nql()),
            Condition::Not(inner) => format!("NOT ({})", inner.nql()),
        }
    }

    fn holds(&self, row: &Object) -> bool {
        match self {
            Condition::Compare(path, sign, value) => {
                is_so(sign, &field(row, path), &literal(value))
            }
            Condition::Fields(left, sign, right) => {
                is_so(sign, &field(row, left), &field(row, right))
            }
            Condition::In(path, values) => {
                values.iter().any(|value| equal(&field(row, path), &literal(value)))
            }
            Condition::Between(path, low, high) => {
                is_so(">=", &field(row, path), &literal(low))
                    && is_so("<=", &field(row, path), &literal(high))
            }
            Condition::Like(path, pattern) => match field(row, path) {
                Value::String(text) => like(&text, pattern),
                _ => false,
            },
            Condition::Contains(path, value) => match (field(row, path), literal(value)) {
                (Value::Array(elements), value) => elements.iter().any(|it| equal(it, &value)),
                (Value::String(text), Value::String(part)) => text.contains(&part),
                _ => false,
            },
            Condition::IsNull(path) => field(row, path).is_null(),
            Condition::And(left, right) => left.holds(row) && right.holds(row),
            Condition::Or(left, right) => left.holds(row) || right.holds(row),
            Condition::Not(inner) => !inner.holds(row),
        }
    }
}

/// Returns the value at a path; a computed member has the whole path as its name.
fn field(row: &Object, path: &str) -> Value {
    row.get(path).cloned().unwrap_or_else(|| pick(row, path))
}

fn literal(text: &str) -> Value {
    serde_json::from_str(text).expect("scalars are spelt as in JSON")
}

fn is_so(sign: &str, left: &Value, right: &Value) -> bool {
    let order = compare_in_type(left, right);
    match sign {
        "=" => equal(left, right),
        "!=" => !equal(left, right),
        "<" => order == Some(Ordering::Less),
        "<=" => order.is_some_and(Ordering::is_le),
        ">" => order == Some(Ordering::Greater),
        ">=" => order.is_some_and(Ordering::is_ge),
        other => panic!("{other} is no sign"),
    }
}

fn like(text: &str, pattern: &str) -> bool {
    let (mut text_rest, mut pattern_rest) = (text.chars(), pattern.chars());
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.into_iter().any(|at| like(&text[at..], pattern_rest.as_str()))
        }
        Some('_') => text_rest.next().is_some() && like(text_rest.as_str(), pattern_rest.as_str()),
        Some('\\') if !pattern_rest.as_str().is_empty() => {
            text_rest.next() == pattern_rest.next()
                && like(text_rest.as_str(), pattern_rest.as_str())
        }
        Some(wanted) => {
            text_rest.next() == Some(wanted) && like(text_rest.as_str(), pattern_rest.as_str())
        }
    }
}

/// Returns the clause that says where in time a query looks.
pub fn point_nql(point: Point<'_>) -> String {
    let as_of = point.as_of.map(|seq| format!(" AS OF {seq}"));
    let valid = point.valid.map(|date| format!(" VALID AS OF \"{date}\""));
    as_of.unwrap_or_default() + &valid.unwrap_or_default()
}

impl Query {
    /// Spells the query.
    pub fn nql(&self, collection: &str, point: Point<'_>) -> String {
        let mut nql = format!("FROM {collection}{}", point_nql(point));
        let mut add =
            |clause: Option<String>| clause.iter().for_each(|it| nql += &format!(" {it}"));
        add(self.condition.as_ref().map(|it| format!("WHERE {}", it.nql())));
        let key = |(path, is_descending): &(&str, bool)| {
            format!("{path}{}", if *is_descending { " DESC" } else { "" })
        };
        let keys: Vec<String> = self.order.iter().map(key).collect();
        add((!keys.is_empty()).then(|| format!("ORDER BY {}", keys.join(", "))));
        add(self.traverse.map(|relation| format!("TRAVERSE {relation}")));
        add(self.trace.map(|is_reverse| {
            format!("TRACE caused_by{}", if is_reverse { " REVERSE" } else { "" })
        }));
        add((!self.group.is_empty()).then(|| format!("GROUP BY {}", self.group.join(", "))));
        let aggregate =
            |(function, path): &(&str, &str)| format!("{} {path}", function.to_uppercase());
        let aggregates: Vec<String> = self.aggregates.iter().map(aggregate).collect();
        add((!aggregates.is_empty()).then(|| aggregates.join(" ")));
        add(self.having.as_ref().map(|it| format!("HAVING {}", it.nql())));
        add(self.limit.map(|limit| format!("LIMIT {limit}")));
        add((self.offset > 0).then(|| format!("OFFSET {}", self.offset)));
        nql
    }

    /// Answers the query, the documents of its collection given.
    pub fn answer(&self, model: &Model, documents: &[Version], point: Point<'_>) -> Vec<Value> {
        let holds = |version: &&Version| {
            self.condition.as_ref().is_none_or(|condition| condition.holds(&version.row()))
        };
        let mut versions: Vec<Version> = documents.iter().filter(holds).cloned().collect();
        let has_groups = !self.group.is_empty() || !self.aggregates.is_empty();
        if !has_groups {
            versions.sort_by(|left, right| by_keys(self.order, &left.row(), &right.row()));
        }
        if let Some(relation) = self.traverse {
            versions = traverse(model, &versions, relation, point);
        }
        versions = match self.trace {
            None => versions,
            Some(false) => model.causes_of(&versions),
            Some(true) => model.effects_of(&versions, model.seq_of(point)),
        };
        let mut rows: Vec<Object> = versions.iter().map(Version::row).collect();
        if has_groups {
            rows = self.groups(&rows);
            rows.retain(|row| self.having.as_ref().is_none_or(|condition| condition.holds(row)));
            rows.sort_by(|left, right| by_keys(self.order, left, right));
        }
        let kept = rows.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX));
        kept.map(Value::Object).collect()
    }

    fn groups(&self, rows: &[Object]) -> Vec<Object> {
        let mut groups: Vec<(Vec<Value>, Vec<&Object>)> = Vec::new();
        if self.group.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for row in rows {
            let keys: Vec<Value> = self.group.iter().map(|path| field(row, path)).collect();
            let is_same = |known: &[Value]| known.iter().zip(&keys).all(|(a, b)| equal(a, b));
            match groups.iter_mut().find(|(known, _)| is_same(known)) {
                Some((_, members)) => members.push(row),
                None => groups.push((keys, vec![row])),
            }
        }
        groups.iter().map(|(keys, members)| self.group_row(keys, members)).collect()
    }

    fn group_row(&self, keys: &[Value], members: &[&Object]) -> Object {
        let named = self.group.iter().map(|path| (*path).to_owned()).zip(keys.iter().cloned());
        let mut row: Object = named.collect();
        row.insert("count".to_owned(), json!(members.len()));
        for (function, path) in self.aggregates.iter().filter(|(_, path)| !path.is_empty()) {
            let values = members.iter().filter_map(|row| match field(row, path) {
                Value::Number(number) => Some(number),
                _ => None,
            });
            row.insert(
                format!("{function}_{path}"),
                aggregate(function, &values.collect::<Vec<_>>()),
            );
        }
        row
    }
}

fn by_keys(keys: &[(&str, bool)], left: &Object, right: &Object) -> Ordering {
    let order = |(path, is_descending): &(&str, bool)| {
        let order = compare(&field(left, path), &field(right, path));
        if *is_descending { order.reverse() } else { order }
    };
    keys.iter().map(order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn traverse(model: &Model, starts: &[Version], relation: &str, point: Point<'_>) -> Vec<Version> {
    let mut reached: Vec<Version> = Vec::new();
    for start in starts {
        for node in model.neighbors(&start.node(), relation, model.seq_of(point)) {
            let (collection, id) = node.split_once(':').expect("a node has a colon");
            let found = model.get(collection, id, point);
            reached.extend(found.filter(|version| !reached.contains(version)));
        }
    }
    reached
}

/// Works an aggregate out. Doubles of the scripts are halves, so that twice a sum is an integer.
fn aggregate(function: &str, values: &[Number]) -> Value {
    let best = |wanted: Ordering| {
        let values = values.iter().cloned().map(Value::Number);
        let better = |best: Value, value: Value| {
            if compare(&value, &best) == wanted { value } else { best }
        };
        values.reduce(better).unwrap_or(Value::Null)
    };
    let twice = |number: &Number| match number.as_i64() {
        Some(integer) => i128::from(integer) * 2,
        None => (number.as_f64().unwrap_or_default() * 2.0) as i128,
    };
    let twice: i128 = values.iter().map(twice).sum();
    let rounded_once = twice as f64 / 2.0;
    match function {
        "min" => best(Ordering::Less),
        "max" => best(Ordering::Greater),
        "sum" if values.iter().all(Number::is_i64) => json!((twice / 2) as i64),
        "sum" => json!(rounded_once),
        "avg" if values.is_empty() => Value::Null,
        "avg" => json!(rounded_once / values.len() as f64),
        other => panic!("{other} is no aggregate"),
    }
}
