//! Expressions, orders and aggregates as a person reads them, in the words of NQL.
//!
//! In: parts of the algebra. Out: text for EXPLAIN. Nothing parses it again.

use std::fmt::{self, Display, Formatter};

use super::algebra::{Aggregate, AggregateFunction, CompareOperator, Expression, SortKey};
use crate::json::{Path, Value};

/// Longest list of values that is shown whole.
const LIST_COUNT_MAX: usize = 5;

/// Shows an expression; `nested` ones stand in parentheses where they would run together.
struct Shown<'q> {
    expression: &'q Expression,
    nested: bool,
}

/// Returns conditions that must all hold as one text.
pub(super) fn conditions_text(conditions: &[&Expression]) -> String {
    let nested = conditions.len() > 1;
    let texts: Vec<String> =
        conditions.iter().map(|expression| Shown { expression, nested }.to_string()).collect();
    texts.join(" AND ")
}

/// Returns the keys of an order as one text.
pub(super) fn order_text(keys: &[SortKey]) -> String {
    let texts: Vec<String> = keys
        .iter()
        .map(|key| format!("{}{}", key.path, if key.descending { " DESC" } else { "" }))
        .collect();
    texts.join(", ")
}

/// Returns paths as one text.
pub(super) fn paths_text(paths: &[Path]) -> String {
    paths.iter().map(Path::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns what a grouping does as one text.
pub(super) fn group_text(keys: &[Path], aggregates: &[Aggregate]) -> String {
    let mut text = paths_text(keys);
    for part in std::iter::once("COUNT".to_owned()).chain(aggregates.iter().map(aggregate_text)) {
        text.push_str(if text.is_empty() { "" } else { " " });
        text.push_str(&part);
    }
    text
}

fn aggregate_text(aggregate: &Aggregate) -> String {
    let function = match aggregate.function {
        AggregateFunction::Sum => "SUM",
        AggregateFunction::Average => "AVG",
        AggregateFunction::Minimum => "MIN",
        AggregateFunction::Maximum => "MAX",
    };
    format!("{function} {}", aggregate.path)
}

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.expression {
            Expression::Literal(value) => out.write_str(&value.to_text()),
            Expression::Field(path) => path.fmt(out),
            Expression::Compare { operator, left, right } => {
                write!(out, "{} {} {}", inner(left), symbol(*operator), inner(right))
            }
            Expression::And(parts) => self.join(parts, " AND ", "TRUE", out),
            Expression::Or(parts) => self.join(parts, " OR ", "FALSE", out),
            Expression::Not(part) => write!(out, "NOT {}", inner(part)),
            Expression::In { operand, values } => {
                write!(out, "{} IN ({})", inner(operand), values_text(values))
            }
            Expression::Like { operand, pattern } => {
                let pattern = Value::String(pattern.clone()).to_text();
                write!(out, "{} LIKE {pattern}", inner(operand))
            }
            Expression::Between { operand, low, high } => {
                let (low, high) = (low.to_text(), high.to_text());
                write!(out, "{} BETWEEN {low} AND {high}", inner(operand))
            }
            Expression::IsNull(operand) => write!(out, "{} IS NULL", inner(operand)),
            Expression::Contains { operand, value } => {
                write!(out, "{} CONTAINS {}", inner(operand), value.to_text())
            }
        }
    }
}

impl Shown<'_> {
    fn join(
        &self,
        parts: &[Expression],
        separator: &str,
        empty: &str,
        out: &mut Formatter<'_>,
    ) -> fmt::Result {
        let texts: Vec<String> = parts.iter().map(|part| inner(part).to_string()).collect();
        match (texts.is_empty(), self.nested) {
            (true, _) => out.write_str(empty),
            (_, true) => write!(out, "({})", texts.join(separator)),
            (_, false) => out.write_str(&texts.join(separator)),
        }
    }
}

fn inner(expression: &Expression) -> Shown<'_> {
    Shown { expression, nested: true }
}

fn values_text(values: &[Value]) -> String {
    let mut texts: Vec<String> = values.iter().take(LIST_COUNT_MAX).map(Value::to_text).collect();
    if values.len() > LIST_COUNT_MAX {
        texts.push(format!("{} more", values.len() - LIST_COUNT_MAX));
    }
    texts.join(", ")
}

fn symbol(operator: CompareOperator) -> &'static str {
    match operator {
        CompareOperator::Equal => "=",
        CompareOperator::NotEqual => "!=",
        CompareOperator::Less => "<",
        CompareOperator::LessOrEqual => "<=",
        CompareOperator::Greater => ">",
        CompareOperator::GreaterOrEqual => ">=",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(path: &str) -> Box<Expression> {
        Box::new(Expression::Field(Path::parse(path)))
    }

    #[test]
    fn expressions_read_like_nql() {
        let equal = Expression::Compare {
            operator: CompareOperator::Equal,
            left: field("a.b"),
            right: Box::new(Expression::Literal(Value::String("x".to_owned()))),
        };
        let null = Expression::IsNull(field("c"));
        let either = Expression::Or(vec![equal.clone(), Expression::Not(Box::new(null))]);
        assert_eq!(conditions_text(&[&either]), r#"a.b = "x" OR NOT c IS NULL"#);
        assert_eq!(
            conditions_text(&[&equal, &either]),
            r#"a.b = "x" AND (a.b = "x" OR NOT c IS NULL)"#
        );
    }

    #[test]
    fn long_lists_are_cut_short() {
        let values = (0..8).map(Value::Int).collect();
        let expression = Expression::In { operand: field("a"), values };
        assert_eq!(conditions_text(&[&expression]), "a IN (0, 1, 2, 3, 4, 3 more)");
    }
}
