//! The plan: the tree of a query with the choices made.
//!
//! In: the algebra's tree, the snapshot with its indexes. Out: a `Plan`, which says how each step is
//! done and how many rows of it are wanted at the most.
//!
//! Invariants:
//! * A plan gives the rows of its tree, in the same order, whatever was chosen.
//! * How many rows are wanted flows inwards only through steps that keep the order and drop nothing
//!   afterwards; a step that must see everything (sort, group) lets nothing through.

use super::access::{Access, Choice, Wanted, choose, conjuncts};
use super::algebra::{Aggregate, Expression, Operator, Query, SortKey, TraceDirection};
use super::filter::Predicate;
use super::search::{Search, is_indexed, resolve_fields};
use super::terms::Terms;
use crate::error::{Error, Result};
use crate::json::Path;
use crate::snapshot::{CollectionId, Snapshot};

/// One step, with what it takes its rows from.
#[derive(Debug)]
pub(super) enum Plan<'q> {
    /// Documents of a collection.
    Source(Source<'q>),
    /// Documents of a collection that match a text.
    Search {
        /// What is searched.
        search: Search,
        /// The collection's name.
        collection: &'q str,
        /// What else must hold.
        conditions: Vec<&'q Expression>,
    },
    /// The rows that pass, of rows that do not come straight from a collection.
    Filter {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// What must hold.
        conditions: Vec<&'q Expression>,
        /// The same, prepared.
        predicate: Predicate,
        /// How many rows are wanted. None: all.
        keep: Option<usize>,
    },
    /// The rows in another order.
    Sort {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// First key first.
        keys: &'q [SortKey],
        /// How many rows are wanted. None: all.
        keep: Option<usize>,
    },
    /// The documents that the rows link to.
    Traverse {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// The relation followed.
        relation: &'q str,
        /// How many rows are wanted. None: all.
        keep: Option<usize>,
    },
    /// What caused the rows, or what they caused.
    Trace {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// Which way.
        direction: TraceDirection,
        /// How many rows are wanted. None: all.
        keep: Option<usize>,
    },
    /// One row for each group.
    Group {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// What makes a group.
        keys: &'q [Path],
        /// What is computed.
        aggregates: &'q [Aggregate],
    },
    /// Some of the rows.
    Slice {
        /// Where the rows come from.
        input: Box<Plan<'q>>,
        /// Rows left out at the start.
        offset: usize,
        /// Rows given at the most. None: all.
        limit: Option<usize>,
    },
}

/// Documents of one collection, narrowed down and in order.
#[derive(Debug)]
pub(super) struct Source<'q> {
    /// The collection. None: it is unknown, and empty.
    pub(super) collection: Option<CollectionId>,
    /// The collection's name.
    pub(super) name: &'q str,
    /// How documents are reached, and how many that is thought to be.
    pub(super) choice: Choice,
    /// What must hold, all of it.
    pub(super) conditions: Vec<&'q Expression>,
    /// The same, prepared.
    pub(super) predicate: Option<Predicate>,
    /// How many rows are wanted. None: all.
    pub(super) keep: Option<usize>,
    /// Whether the query reads at a valid time.
    pub(super) at_valid_time: bool,
}

impl<'q> Plan<'q> {
    /// Plans a query.
    pub(super) fn new(snapshot: &Snapshot<'_>, query: &'q Query) -> Result<Plan<'q>> {
        let planner = Planner { snapshot, at_valid_time: query.at.valid_as_of.is_some() };
        planner.plan(&query.root, None)
    }

    /// Tells whether so many documents are reached at the most, as far as that is known beforehand.
    pub(super) fn reaches_at_most(&self, documents_count: usize) -> bool {
        match self {
            Plan::Source(source) => source.choice.estimate <= documents_count,
            Plan::Filter { input, .. }
            | Plan::Sort { input, .. }
            | Plan::Group { input, .. }
            | Plan::Slice { input, .. } => input.reaches_at_most(documents_count),
            Plan::Search { .. } | Plan::Traverse { .. } | Plan::Trace { .. } => false,
        }
    }
}

/// What every step is planned with.
struct Planner<'s, 'a> {
    snapshot: &'s Snapshot<'a>,
    at_valid_time: bool,
}

impl Planner<'_, '_> {
    /// Plans an operator of which the first `keep` rows are wanted.
    fn plan<'q>(&self, operator: &'q Operator, keep: Option<usize>) -> Result<Plan<'q>> {
        if let Some((name, conditions)) = collection_of(operator) {
            return Ok(Plan::Source(self.source(name, conditions, None, keep)));
        }
        match operator {
            Operator::Scan { .. } => Err(Error::nql("a scan is a source", None)),
            Operator::Filter { input, predicate } => self.filter(input, predicate, keep),
            Operator::Search { input, text, fields } => {
                self.search(input, text, fields, true, keep)
            }
            Operator::Sort { input, keys } => self.sort(input, keys, keep),
            Operator::Traverse { input, relation } => {
                Ok(Plan::Traverse { input: self.input(input)?, relation, keep })
            }
            Operator::Trace { input, direction } => {
                Ok(Plan::Trace { input: self.input(input)?, direction: *direction, keep })
            }
            Operator::Group { input, keys, aggregates } => {
                Ok(Plan::Group { input: self.input(input)?, keys, aggregates })
            }
            Operator::Slice { input, offset, limit } => self.slice(input, *offset, *limit, keep),
        }
    }

    /// Plans an operator all of whose rows are wanted.
    fn input<'q>(&self, operator: &'q Operator) -> Result<Box<Plan<'q>>> {
        self.plan(operator, None).map(Box::new)
    }

    fn filter<'q>(
        &self,
        input: &'q Operator,
        expression: &'q Expression,
        keep: Option<usize>,
    ) -> Result<Plan<'q>> {
        let input = self.input(input)?;
        let predicate = Predicate::new(expression);
        Ok(Plan::Filter { input, conditions: vec![expression], predicate, keep })
    }

    fn sort<'q>(
        &self,
        input: &'q Operator,
        keys: &'q [SortKey],
        keep: Option<usize>,
    ) -> Result<Plan<'q>> {
        if let (Some((name, conditions)), [key]) = (collection_of(input), keys) {
            let source = self.source(name, conditions, Some(key), keep);
            let in_order = matches!(
                source.choice.access,
                Access::Nothing | Access::Range { descending: Some(_), .. }
            );
            return Ok(match in_order {
                true => Plan::Source(source),
                // The sort must see every row.
                false => Plan::Sort {
                    input: Box::new(Plan::Source(Source { keep: None, ..source })),
                    keys,
                    keep,
                },
            });
        }
        let input = match input {
            // Ties of an ORDER BY keep the order of creation, not that of the scores.
            Operator::Search { input, text, fields } => {
                Box::new(self.search(input, text, fields, false, None)?)
            }
            other => self.input(other)?,
        };
        Ok(Plan::Sort { input, keys, keep })
    }

    fn slice<'q>(
        &self,
        input: &'q Operator,
        offset: u64,
        limit: Option<u64>,
        keep: Option<usize>,
    ) -> Result<Plan<'q>> {
        let offset = as_count(offset);
        let limit = match (limit.map(as_count), keep) {
            (Some(limit), Some(keep)) => Some(limit.min(keep)),
            (limit, keep) => limit.or(keep),
        };
        let wanted = limit.map(|limit| offset.saturating_add(limit));
        Ok(Plan::Slice { input: Box::new(self.plan(input, wanted)?), offset, limit })
    }

    fn source<'q>(
        &self,
        name: &'q str,
        conditions: Vec<&'q Expression>,
        order: Option<&SortKey>,
        keep: Option<usize>,
    ) -> Source<'q> {
        let collection = self.snapshot.collection(name);
        let at_valid_time = self.at_valid_time;
        let choice = match collection {
            Some(collection) => {
                let wanted = Wanted { conditions: &conditions, order, keep, at_valid_time };
                choose(self.snapshot, collection, &wanted)
            }
            None => Choice { access: Access::Nothing, estimate: 0 },
        };
        let predicate = predicate_of(&conditions);
        Source { collection, name, choice, conditions, predicate, keep, at_valid_time }
    }

    fn search<'q>(
        &self,
        input: &'q Operator,
        text: &str,
        fields: &[Path],
        ranked: bool,
        keep: Option<usize>,
    ) -> Result<Plan<'q>> {
        let Some((name, conditions)) = collection_of(input) else {
            return Err(Error::nql("SEARCH looks into the documents of a collection", None));
        };
        let Some(collection) = self.snapshot.collection(name) else {
            return Ok(Plan::Source(self.source(name, conditions, None, keep)));
        };
        let fields = resolve_fields(self.snapshot, collection, fields);
        let indexed = !self.at_valid_time && is_indexed(self.snapshot, collection, &fields);
        let search = Search {
            collection,
            terms: Terms::new(text),
            fields,
            indexed,
            at_valid_time: self.at_valid_time,
            predicate: predicate_of(&conditions),
            ranked,
            keep,
        };
        Ok(Plan::Search { search, collection: name, conditions })
    }
}

/// Returns the collection and the conditions of a scan, or of filters over one.
fn collection_of(operator: &Operator) -> Option<(&str, Vec<&Expression>)> {
    let mut predicates = Vec::new();
    let mut operator = operator;
    loop {
        match operator {
            Operator::Scan { collection } => break Some((collection, flattened(&predicates))),
            Operator::Filter { input, predicate } => {
                predicates.push(predicate);
                operator = input;
            }
            _ => break None,
        }
    }
}

/// Returns the parts of all predicates, those of the innermost first.
fn flattened<'q>(predicates: &[&'q Expression]) -> Vec<&'q Expression> {
    let mut parts = Vec::new();
    predicates.iter().rev().for_each(|predicate| conjuncts(predicate, &mut parts));
    parts
}

fn predicate_of(conditions: &[&Expression]) -> Option<Predicate> {
    (!conditions.is_empty()).then(|| Predicate::all(conditions))
}

fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
