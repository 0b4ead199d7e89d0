//! NQL: tokens → the algebra.
//!
//! One recursive-descent pass without backtracking. `docs/nql.md` is the grammar in full.
//!
//! | file | what it owns |
//! |---|---|
//! | `cursor` | the token at hand, names and paths, and the errors that name what was found |
//! | `literal` | values: strings with escapes, numbers, words, parameters |
//! | `expression` | conditions: WHERE and HAVING |
//! | `clauses` | a query: FROM and the clauses after it, in any order |
//! | `tree` | the clauses put into the order in which they act |
//!
//! Rule for keywords, which are not reserved: **where a name must stand, every word is a name; where
//! a clause or an operator may stand, every word is a keyword.** Two exceptions, both lifted by
//! backticks: TRUE, FALSE, NULL and NOT begin a value or a condition, and after the comma of GROUP
//! BY's list COUNT, SUM, AVG, MIN and MAX begin the aggregates.

mod clauses;
mod cursor;
mod expression;
mod literal;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use clauses::parse;
