//! The query algebra: what a query means, whatever language it was written in.
//!
//! NQL is one front end; SQL and MongoDB will be others. A [`Query`] is a read point and a tree of
//! operators. Every operator takes rows from its input and gives rows, so that a join, a union or an
//! unnesting is one more variant with two inputs or one, and needs no change of the others.
//!
//! Invariants:
//! * Values are bound: a parameter became its value in the parser, as a value, never as text.
//! * A tree holds no reference to a database and may be run many times.

use crate::json::{Path, Value};

/// One query: where in time it reads, and what it does there.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Where in time it reads.
    pub at: ReadPoint,
    /// The tree, outermost operator first.
    pub root: Operator,
    /// True for `EXPLAIN`: the plan is returned, nothing is executed.
    pub explain: bool,
}

impl Query {
    /// Returns the same query, of which the first rows are wanted alone.
    pub(crate) fn with_limit(self, limit: usize) -> Query {
        let (input, limit) = (Box::new(self.root), Some(limit as u64));
        Query { root: Operator::Slice { input, offset: 0, limit }, ..self }
    }
}

/// A place on the two time axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadPoint {
    /// Transaction time: the last seq that counts. None is the head.
    pub as_of: Option<i64>,
    /// Valid time: an ISO 8601 date or instant. None is any.
    pub valid_as_of: Option<String>,
}

/// A step that takes rows and gives rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// All documents of a collection, in order of creation.
    Scan {
        /// The collection; an unknown one is empty.
        collection: String,
    },
    /// The rows for which the predicate holds.
    Filter {
        /// Where the rows come from.
        input: Box<Operator>,
        /// What must hold.
        predicate: Expression,
    },
    /// The rows whose text matches, each with its `_score`.
    Search {
        /// Where the rows come from: a scan, or a filter over one.
        input: Box<Operator>,
        /// The text as written: words, and phrases in quotes.
        text: String,
        /// The fields to look in. Empty: those with a search index, else every string.
        fields: Vec<Path>,
    },
    /// The rows in another order; rows that compare equal keep theirs.
    Sort {
        /// Where the rows come from.
        input: Box<Operator>,
        /// First key first.
        keys: Vec<SortKey>,
    },
    /// The documents that the rows link to, each once, in the order first reached.
    Traverse {
        /// Where the rows come from.
        input: Box<Operator>,
        /// The relation followed forwards.
        relation: String,
    },
    /// The versions that caused the rows, or that the rows caused.
    Trace {
        /// Where the rows come from.
        input: Box<Operator>,
        /// Towards causes or towards effects.
        direction: TraceDirection,
    },
    /// One row for each distinct key, in first-seen order; one for everything without keys.
    Group {
        /// Where the rows come from.
        input: Box<Operator>,
        /// What makes a group. Empty: the whole input is one group.
        keys: Vec<Path>,
        /// What is computed beside `count`, which every group row carries.
        aggregates: Vec<Aggregate>,
    },
    /// Some of the rows.
    Slice {
        /// Where the rows come from.
        input: Box<Operator>,
        /// Rows left out at the start.
        offset: u64,
        /// Rows given at the most. None: all.
        limit: Option<u64>,
    },
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// What is compared.
    pub path: Path,
    /// Largest first.
    pub descending: bool,
}

/// Which way a trace walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceDirection {
    /// From the rows back to what caused them.
    Causes,
    /// From the rows forward to what they caused (`REVERSE`).
    Effects,
}

/// A function over the rows of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// What it is computed of. Values that are no numbers are skipped.
    pub path: Path,
}

/// The functions of `GROUP BY`. `COUNT` is in every group row and needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateFunction {
    /// The sum; of nothing it is 0.
    Sum,
    /// The mean; of nothing it is null.
    Average,
    /// The least number; of nothing it is null.
    Minimum,
    /// The largest number; of nothing it is null.
    Maximum,
}

/// What a row is asked, or what is computed of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A value.
    Literal(Value),
    /// The value at a path of the row; null when there is none.
    Field(Path),
    /// A comparison. Types never compare across; numbers compare by value.
    Compare {
        /// Which comparison.
        operator: CompareOperator,
        /// Left side.
        left: Box<Expression>,
        /// Right side.
        right: Box<Expression>,
    },
    /// All hold. Of nothing: true.
    And(Vec<Expression>),
    /// At least one holds. Of nothing: false.
    Or(Vec<Expression>),
    /// Does not hold. There is no third truth value.
    Not(Box<Expression>),
    /// Equals one of the values.
    In {
        /// What is looked for.
        operand: Box<Expression>,
        /// Where.
        values: Vec<Value>,
    },
    /// A string that matches a pattern: `%` any characters, `_` one, `\` takes the next literally.
    Like {
        /// What is matched; no string never matches.
        operand: Box<Expression>,
        /// The pattern.
        pattern: String,
    },
    /// Between two values, both included, of the values' own type.
    Between {
        /// What is compared.
        operand: Box<Expression>,
        /// Lower bound.
        low: Value,
        /// Upper bound.
        high: Value,
    },
    /// Null or missing.
    IsNull(Box<Expression>),
    /// An array that has the value as an element, or a string that has the string in it.
    Contains {
        /// Where is looked.
        operand: Box<Expression>,
        /// What for.
        value: Value,
    },
}

/// The six comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOperator {
    /// `=`: null equals null and missing.
    Equal,
    /// `!=`: the opposite of `=`, so true across types.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}
