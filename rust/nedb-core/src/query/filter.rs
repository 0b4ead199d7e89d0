//! WHERE and HAVING: an expression, prepared once per query and asked of every row.
//!
//! In: an `Expression`, rows. Out: true or false; there is no third truth value.
//!
//! Invariants:
//! * A row's text is looked into, never parsed: a field is picked, and compared as raw text.
//! * Null and missing are one. Nothing compares across types: `<` is false there and `!=` true.
//! * The same rows pass whatever access path brought them here.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

use memchr::memmem::Finder;

use super::algebra::{CompareOperator, Expression};
use super::compare::{Constant, compare_raw, key_of};
use super::field::Field;
use super::like::LikePattern;
use super::rows::RowView;
use crate::json::{Key, TypeClass, Value, elements, string_text, type_class};
use crate::read_budget::ReadBudget;

/// An IN list up to this length is compared value by value; a longer one is a set of keys.
const LINEAR_LIST_COUNT_MAX: usize = 8;

/// A prepared expression.
#[derive(Debug)]
pub(super) enum Predicate {
    /// All hold.
    All(Vec<Predicate>),
    /// At least one holds.
    Any(Vec<Predicate>),
    /// Does not hold.
    Not(Box<Predicate>),
    /// A value passes a test.
    Test {
        /// The value.
        operand: Operand,
        /// The test.
        test: Test,
    },
    /// Two values of the row stand in a relation.
    Pair {
        /// Left side.
        left: Operand,
        /// The relation.
        operator: CompareOperator,
        /// Right side.
        right: Operand,
    },
}

/// Where a tested value comes from.
#[derive(Debug)]
pub(super) enum Operand {
    /// The row.
    Field(Field),
    /// The query.
    Text(String),
    /// A condition, as `true` or `false`.
    Truth(Box<Predicate>),
}

/// What is asked of one value, as raw canonical text.
#[derive(Debug)]
pub(super) enum Test {
    /// It equals the constant.
    Equal(Constant),
    /// It stands in this relation to the constant.
    Ordered(CompareOperator, Constant),
    /// It lies between the constants, both included.
    Between(Constant, Constant),
    /// It equals one of a few constants.
    AmongFew(Vec<Constant>),
    /// It equals one of many constants.
    AmongMany(HashSet<Key>),
    /// It is a string that matches.
    Like(LikePattern),
    /// It is an array with the constant in it, or a string with the string in it.
    Contains(Constant, Option<Box<Finder<'static>>>),
}

impl Predicate {
    /// Prepares an expression.
    pub(super) fn new(expression: &Expression) -> Predicate {
        match expression {
            Expression::Literal(_) | Expression::Field(_) => {
                let operand = Operand::new(expression);
                Predicate::Test { operand, test: Test::Equal(Constant::new(&Value::Bool(true))) }
            }
            Expression::Compare { operator, left, right } => {
                Predicate::compare(*operator, left, right)
            }
            Expression::And(parts) => Predicate::All(parts.iter().map(Predicate::new).collect()),
            Expression::Or(parts) => Predicate::Any(parts.iter().map(Predicate::new).collect()),
            Expression::Not(inner) => Predicate::Not(Box::new(Predicate::new(inner))),
            Expression::In { operand, values } => Predicate::test(operand, Test::among(values)),
            Expression::Like { operand, pattern } => {
                Predicate::test(operand, Test::Like(LikePattern::new(pattern)))
            }
            Expression::Between { operand, low, high } => {
                Predicate::test(operand, Test::Between(Constant::new(low), Constant::new(high)))
            }
            Expression::IsNull(operand) => {
                Predicate::test(operand, Test::Equal(Constant::new(&Value::Null)))
            }
            Expression::Contains { operand, value } => {
                Predicate::test(operand, Test::contains(Constant::new(value)))
            }
        }
    }

    /// Prepares several expressions that must all hold.
    pub(super) fn all(expressions: &[&Expression]) -> Predicate {
        match expressions {
            [single] => Predicate::new(single),
            several => Predicate::All(
                several.iter().map(|expression| Predicate::new(expression)).collect(),
            ),
        }
    }

    fn test(operand: &Expression, test: Test) -> Predicate {
        Predicate::Test { operand: Operand::new(operand), test }
    }

    fn compare(operator: CompareOperator, left: &Expression, right: &Expression) -> Predicate {
        let (operand, operator, value) = match (left, right) {
            (operand, Expression::Literal(value)) => (operand, operator, value),
            (Expression::Literal(value), operand) => (operand, flipped(operator), value),
            _ => {
                let (left, right) = (Operand::new(left), Operand::new(right));
                return Predicate::Pair { left, operator, right };
            }
        };
        let constant = Constant::new(value);
        match operator {
            CompareOperator::Equal => Predicate::test(operand, Test::Equal(constant)),
            CompareOperator::NotEqual => {
                Predicate::Not(Box::new(Predicate::test(operand, Test::Equal(constant))))
            }
            _ => Predicate::test(operand, Test::Ordered(operator, constant)),
        }
    }

    /// Returns about how much work is done for each byte of a row.
    pub(super) fn work_per_byte(&self) -> usize {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().map(Predicate::work_per_byte).sum::<usize>().max(1)
            }
            Predicate::Not(inner) => inner.work_per_byte(),
            Predicate::Test { operand, test } => operand.work_per_byte() + test.work_per_byte(),
            Predicate::Pair { left, right, .. } => left.work_per_byte() + right.work_per_byte(),
        }
    }

    /// Returns whether the row passes; whatever, once the read is to end.
    pub(super) fn holds(&self, row: &RowView<'_>) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().all(|part| counted(row) && part.holds(row)),
            Predicate::Any(parts) => parts.iter().any(|part| !counted(row) || part.holds(row)),
            Predicate::Not(inner) => !inner.holds(row),
            Predicate::Test { operand, test } => test.holds(&operand.raw(row), row.budget),
            Predicate::Pair { left, operator, right } => {
                let (left, right) = (left.raw(row), right.raw(row));
                // Two nulls are equal, and yet neither is at most the other: null has no order.
                let is_equality =
                    matches!(operator, CompareOperator::Equal | CompareOperator::NotEqual);
                let is_ordered = is_equality || type_class(&left) != TypeClass::Null;
                satisfies(*operator, compare_raw(&left, &right).filter(|_| is_ordered))
            }
        }
    }
}

impl Operand {
    fn new(expression: &Expression) -> Operand {
        match expression {
            Expression::Field(path) => Operand::Field(Field::new(path)),
            Expression::Literal(value) => Operand::Text(value.to_text()),
            condition => Operand::Truth(Box::new(Predicate::new(condition))),
        }
    }

    fn work_per_byte(&self) -> usize {
        match self {
            Operand::Field(_) => 1,
            Operand::Text(_) => 0,
            Operand::Truth(condition) => condition.work_per_byte(),
        }
    }

    fn raw<'t>(&'t self, row: &RowView<'t>) -> Cow<'t, str> {
        match self {
            Operand::Field(field) => field.raw(row),
            Operand::Text(text) => Cow::Borrowed(text),
            Operand::Truth(condition) => {
                Cow::Borrowed(if condition.holds(row) { "true" } else { "false" })
            }
        }
    }
}

impl Test {
    fn among(values: &[Value]) -> Test {
        if values.len() <= LINEAR_LIST_COUNT_MAX {
            Test::AmongFew(values.iter().map(Constant::new).collect())
        } else {
            Test::AmongMany(values.iter().map(|value| key_of(&value.to_text())).collect())
        }
    }

    fn contains(constant: Constant) -> Test {
        let finder =
            constant.string().map(|needle| Box::new(Finder::new(needle.as_bytes()).into_owned()));
        Test::Contains(constant, finder)
    }

    fn work_per_byte(&self) -> usize {
        match self {
            Test::Like(pattern) => pattern.work_per_byte(),
            Test::AmongFew(constants) => constants.len(),
            _ => 0,
        }
    }

    /// Returns whether the value that `raw` spells passes.
    fn holds(&self, raw: &str, budget: Option<&ReadBudget>) -> bool {
        match self {
            Test::Equal(constant) => constant.equals(raw),
            Test::Ordered(operator, constant) => satisfies(*operator, constant.compare(raw)),
            Test::Between(low, high) => {
                satisfies(CompareOperator::GreaterOrEqual, low.compare(raw))
                    && satisfies(CompareOperator::LessOrEqual, high.compare(raw))
            }
            Test::AmongFew(constants) => constants.iter().any(|constant| constant.equals(raw)),
            Test::AmongMany(keys) => keys.contains(&key_of(raw)),
            Test::Like(pattern) => {
                string_text(raw).is_some_and(|text| pattern.matches(&text, budget))
            }
            Test::Contains(constant, finder) => contains(raw, constant, finder.as_deref()),
        }
    }
}

/// Counts one of several tests of a row: a field may be looked for in all of its text.
#[inline]
fn counted(row: &RowView<'_>) -> bool {
    row.spend(row.text.len())
}

fn contains(raw: &str, constant: &Constant, finder: Option<&Finder<'_>>) -> bool {
    match (type_class(raw), finder) {
        (TypeClass::Array, _) => elements(raw).any(|element| constant.equals(element)),
        (TypeClass::String, Some(finder)) => {
            string_text(raw).is_some_and(|text| finder.find(text.as_bytes()).is_some())
        }
        _ => false,
    }
}

/// Returns whether a comparison with this outcome (None: of different types) satisfies the operator.
fn satisfies(operator: CompareOperator, ordering: Option<Ordering>) -> bool {
    match operator {
        CompareOperator::Equal => ordering == Some(Ordering::Equal),
        CompareOperator::NotEqual => ordering != Some(Ordering::Equal),
        CompareOperator::Less => ordering.is_some_and(Ordering::is_lt),
        CompareOperator::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        CompareOperator::Greater => ordering.is_some_and(Ordering::is_gt),
        CompareOperator::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
    }
}

/// Returns the operator that says the same with its sides exchanged.
pub(super) fn flipped(operator: CompareOperator) -> CompareOperator {
    match operator {
        CompareOperator::Less => CompareOperator::Greater,
        CompareOperator::LessOrEqual => CompareOperator::GreaterOrEqual,
        CompareOperator::Greater => CompareOperator::Less,
        CompareOperator::GreaterOrEqual => CompareOperator::LessOrEqual,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Path;

    const ROW: &str = r#"{"_id":"a","active":true,"age":77,"nested":{"x":[1,"two",{"y":2.0}]},"none":null,"text":"line\n\"quoted\"","zip":"0"}"#;

    fn field(path: &str) -> Box<Expression> {
        Box::new(Expression::Field(Path::parse(path)))
    }

    fn literal(text: &str) -> Box<Expression> {
        Box::new(Expression::Literal(value(text)))
    }

    fn value(text: &str) -> Value {
        Value::parse(text).unwrap()
    }

    fn holds(expression: &Expression) -> bool {
        let row = RowView { text: ROW, seq: Some(3), score: None, budget: None };
        Predicate::new(expression).holds(&row)
    }

    fn compared(path: &str, operator: CompareOperator, text: &str) -> bool {
        let direct =
            holds(&Expression::Compare { operator, left: field(path), right: literal(text) });
        let mirrored = holds(&Expression::Compare {
            operator: flipped(operator),
            left: literal(text),
            right: field(path),
        });
        assert_eq!(direct, mirrored);
        direct
    }

    #[test]
    fn null_and_missing_are_one() {
        assert!(compared("none", CompareOperator::Equal, "null"));
        assert!(compared("missing", CompareOperator::Equal, "null"));
        assert!(!compared("missing", CompareOperator::LessOrEqual, "null"));
        assert!(!compared("missing", CompareOperator::Less, "null"));
        assert!(compared("missing", CompareOperator::NotEqual, "1"));
        assert!(!compared("missing", CompareOperator::Less, "1"));
        assert!(holds(&Expression::IsNull(field("missing"))));
        assert!(!holds(&Expression::IsNull(field("age"))));
    }

    #[test]
    fn types_never_compare_across() {
        assert!(!compared("age", CompareOperator::Greater, "\"x\""));
        assert!(!compared("age", CompareOperator::Less, "\"x\""));
        assert!(compared("age", CompareOperator::NotEqual, "\"77\""));
        assert!(!compared("zip", CompareOperator::Equal, "0"));
        assert!(!compared("active", CompareOperator::Greater, "0"));
        assert!(compared("active", CompareOperator::Greater, "false"));
    }

    #[test]
    fn numbers_compare_by_value() {
        assert!(compared("age", CompareOperator::Equal, "77.0"));
        assert!(compared("age", CompareOperator::Less, "77.5"));
        assert!(compared("age", CompareOperator::GreaterOrEqual, "77"));
        assert!(!compared("age", CompareOperator::Greater, "77"));
        assert!(compared("_seq", CompareOperator::Equal, "3"));
    }

    #[test]
    fn between_is_inclusive_and_within_a_type() {
        let between = |low, high| {
            holds(&Expression::Between {
                operand: field("age"),
                low: value(low),
                high: value(high),
            })
        };
        assert!(between("77", "77.0"));
        assert!(between("1", "100"));
        assert!(!between("78", "100"));
        assert!(!between("null", "100"));
        assert!(!between("1", "\"z\""));
    }

    #[test]
    fn in_finds_equal_values_in_short_and_long_lists() {
        let among = |values: Vec<Value>| holds(&Expression::In { operand: field("age"), values });
        assert!(among(vec![value("\"x\""), value("77.0")]));
        assert!(!among(vec![]));
        assert!(among((60..90).map(Value::Int).collect()));
        assert!(among((60..90).map(|number| Value::Float(number.into())).collect()));
        assert!(!among((0..60).map(Value::Int).collect()));
    }

    #[test]
    fn contains_looks_into_arrays_and_strings() {
        let contains = |path: &str, text: &str| {
            holds(&Expression::Contains { operand: field(path), value: value(text) })
        };
        assert!(contains("nested.x", "1.0"));
        assert!(contains("nested.x", "{\"y\":2}"));
        assert!(contains("nested.x", "\"two\""));
        assert!(!contains("nested.x", "\"tw\""));
        assert!(contains("text", "\"e\\n\\\"q\""));
        assert!(contains("text", "\"\""));
        assert!(!contains("text", "\"en\""));
        assert!(!contains("age", "7"));
        assert!(!contains("nested", "\"x\""));
    }

    #[test]
    fn fields_compare_with_fields() {
        let pair = |operator, left: &str, right: &str| {
            holds(&Expression::Compare { operator, left: field(left), right: field(right) })
        };
        assert!(pair(CompareOperator::Equal, "none", "missing"));
        assert!(!pair(CompareOperator::LessOrEqual, "none", "missing"));
        assert!(!pair(CompareOperator::GreaterOrEqual, "none", "none"));
        assert!(!pair(CompareOperator::NotEqual, "none", "missing"));
        assert!(pair(CompareOperator::LessOrEqual, "age", "age"));
        assert!(pair(CompareOperator::Less, "nested.x.0", "age"));
        assert!(pair(CompareOperator::NotEqual, "age", "zip"));
        assert!(!pair(CompareOperator::Less, "age", "zip"));
    }

    #[test]
    fn conditions_combine() {
        let yes = || Expression::Field(Path::parse("active"));
        let no = || Expression::Not(Box::new(yes()));
        assert!(holds(&Expression::And(vec![])));
        assert!(!holds(&Expression::Or(vec![])));
        assert!(!holds(&Expression::And(vec![yes(), no()])));
        assert!(holds(&Expression::Or(vec![no(), yes()])));
        assert!(!holds(&Expression::Field(Path::parse("age"))));
        let like = Expression::Like { operand: field("text"), pattern: "%\"quoted_".to_owned() };
        assert!(holds(&like));
        let like = Expression::Like { operand: field("age"), pattern: "%".to_owned() };
        assert!(!holds(&like));
    }
}
