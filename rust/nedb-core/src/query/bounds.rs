//! How much one query may ask for, whatever language it was written in.
//!
//! In: a query. Out: nothing, or the bound that it breaks.

use super::algebra::{Expression, Operator, Query};
use super::terms::Terms;
use crate::error::{Error, Result};
use crate::limits::{CONDITIONS_COUNT_MAX, KEYS_COUNT_MAX, SEARCH_WORDS_COUNT_MAX};

/// Checks a query before anything is read for it.
///
/// Errors: `LimitExceeded`.
pub(super) fn check(query: &Query) -> Result<()> {
    let mut conditions_count = 0;
    let mut next = Some(&query.root);
    while let Some(operator) = next {
        match operator {
            Operator::Filter { predicate, .. } => conditions_count += tests(predicate),
            Operator::Sort { keys, .. } => check_count("sort keys", keys.len(), KEYS_COUNT_MAX)?,
            Operator::Group { keys, aggregates, .. } => {
                check_count("group keys", keys.len(), KEYS_COUNT_MAX)?;
                check_count("aggregates", aggregates.len(), KEYS_COUNT_MAX)?;
            }
            Operator::Search { text, .. } => {
                let words_count = Terms::new(text).terms.len();
                check_count("words to search for", words_count, SEARCH_WORDS_COUNT_MAX)?;
            }
            _ => {}
        }
        next = input_of(operator);
    }
    check_count("conditions", conditions_count, CONDITIONS_COUNT_MAX)
}

fn check_count(what: &str, count: usize, count_max: usize) -> Result<()> {
    match count <= count_max {
        true => Ok(()),
        false => Err(Error::limit(format!(
            "the query has {count} {what}; at most {count_max} are allowed"
        ))),
    }
}

fn input_of(operator: &Operator) -> Option<&Operator> {
    match operator {
        Operator::Scan { .. } => None,
        Operator::Filter { input, .. }
        | Operator::Search { input, .. }
        | Operator::Sort { input, .. }
        | Operator::Traverse { input, .. }
        | Operator::Trace { input, .. }
        | Operator::Group { input, .. }
        | Operator::Slice { input, .. } => Some(input),
    }
}

/// Counts the tests of an expression; a list of values is looked up and counts as one.
fn tests(expression: &Expression) -> usize {
    match expression {
        Expression::And(parts) | Expression::Or(parts) => parts.iter().map(tests).sum(),
        Expression::Not(inner) => tests(inner),
        Expression::Compare { left, right, .. } => {
            tests(left).max(1) + tests(right).saturating_sub(1)
        }
        Expression::Literal(_) | Expression::Field(_) => 1,
        Expression::In { operand, .. }
        | Expression::Like { operand, .. }
        | Expression::Between { operand, .. }
        | Expression::IsNull(operand)
        | Expression::Contains { operand, .. } => tests(operand),
    }
}
