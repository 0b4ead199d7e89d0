//! The clauses of a query, put into the order in which they act.
//!
//! In: what each clause said. Out: a [`Query`].
//!
//! Invariants:
//! * The order is that of the language, never that of the text: FROM, WHERE, SEARCH, ORDER BY of
//!   documents, TRAVERSE, TRACE, GROUP BY and aggregates, HAVING, ORDER BY of groups, OFFSET, LIMIT.
//! * ORDER BY is there once: of the groups when there are groups, else of what FROM gives.

use crate::json::Path;
use crate::query::algebra::{
    Aggregate, Expression, Operator, Query, ReadPoint, SortKey, TraceDirection,
};

/// What the clauses of a query said.
#[derive(Default)]
pub(super) struct Clauses {
    /// EXPLAIN
    pub(super) explain: bool,
    /// FROM
    pub(super) collection: String,
    /// AS OF, VALID AS OF
    pub(super) at: ReadPoint,
    /// WHERE
    pub(super) filter: Option<Expression>,
    /// SEARCH
    pub(super) search: Option<Search>,
    /// ORDER BY; empty when it is not there.
    pub(super) order: Vec<SortKey>,
    /// TRAVERSE
    pub(super) traverse: Option<String>,
    /// TRACE
    pub(super) trace: Option<TraceDirection>,
    /// GROUP BY
    pub(super) group: Option<Vec<Path>>,
    /// COUNT, SUM, AVG, MIN, MAX; COUNT alone is an empty list.
    pub(super) aggregates: Option<Vec<Aggregate>>,
    /// HAVING
    pub(super) having: Option<Expression>,
    /// OFFSET; 0 when it is not there.
    pub(super) offset: u64,
    /// LIMIT
    pub(super) limit: Option<u64>,
}

/// What SEARCH said.
pub(super) struct Search {
    /// The text to look for.
    pub(super) text: String,
    /// The fields to look in; empty when there is no IN.
    pub(super) fields: Vec<Path>,
}

impl Clauses {
    /// Builds the query, innermost operator first.
    pub(super) fn into_query(self) -> Query {
        let groups = self.group.is_some() || self.aggregates.is_some();
        let (order_of_documents, order_of_groups) =
            if groups { (Vec::new(), self.order) } else { (self.order, Vec::new()) };
        let mut root = filter(Operator::Scan { collection: self.collection }, self.filter);
        if let Some(Search { text, fields }) = self.search {
            root = Operator::Search { input: Box::new(root), text, fields };
        }
        root = sort(root, order_of_documents);
        if let Some(relation) = self.traverse {
            root = Operator::Traverse { input: Box::new(root), relation };
        }
        if let Some(direction) = self.trace {
            root = Operator::Trace { input: Box::new(root), direction };
        }
        if groups {
            let keys = self.group.unwrap_or_default();
            let aggregates = self.aggregates.unwrap_or_default();
            root = Operator::Group { input: Box::new(root), keys, aggregates };
        }
        root = sort(filter(root, self.having), order_of_groups);
        if self.offset > 0 || self.limit.is_some() {
            root =
                Operator::Slice { input: Box::new(root), offset: self.offset, limit: self.limit };
        }
        Query { at: self.at, root, explain: self.explain }
    }
}

/// Puts a filter over an operator, if there is something to filter by.
fn filter(input: Operator, predicate: Option<Expression>) -> Operator {
    match predicate {
        Some(predicate) => Operator::Filter { input: Box::new(input), predicate },
        None => input,
    }
}

/// Puts a sort over an operator, if there is something to sort by.
fn sort(input: Operator, keys: Vec<SortKey>) -> Operator {
    if keys.is_empty() { input } else { Operator::Sort { input: Box::new(input), keys } }
}
