//! A query, run against a snapshot.
//!
//! In: a snapshot opened at the query's read point, a query. Out: its rows.
//!
//! Every step takes the rows of the one inside it whole: as handles for as long as they are
//! documents, so that a million of them are a few megabytes. How many are wanted is known beforehand.

use std::ops::ControlFlow;

use super::aggregate::group;
use super::algebra::Query;
use super::bounds;
use super::explain::explain;
use super::filter::Predicate;
use super::plan::Plan;
use super::rows::{RowSet, Rows};
use super::sort::sort;
use super::trace::trace;
use super::traverse::traverse;
use crate::error::Result;
use crate::limits::{AT_ONCE_DOCUMENTS_COUNT_MAX, AT_ONCE_TEXT_BYTES_MAX};
use crate::snapshot::Snapshot;

/// Runs a query, or, for `EXPLAIN`, tells how it would be run.
pub(crate) fn execute(snapshot: &mut Snapshot<'_>, query: &Query) -> Result<Rows> {
    bounds::check(query)?;
    let plan = Plan::new(snapshot, query)?;
    if query.explain {
        return Ok(explain(&plan));
    }
    run(snapshot, &plan)?.into_rows(snapshot)
}

/// Runs a query that reaches few documents, all of whose texts are in memory; None for any other.
///
/// What came to nothing took about as long as one that did.
pub(crate) fn execute_at_once(snapshot: &mut Snapshot<'_>, query: &Query) -> Option<Result<Rows>> {
    bounds::check(query).ok()?;
    let plan = Plan::new(snapshot, query).ok()?;
    if query.explain || !plan.reaches_at_most(AT_ONCE_DOCUMENTS_COUNT_MAX) {
        return None;
    }
    snapshot.budget().lose_patience_after(AT_ONCE_TEXT_BYTES_MAX);
    let rows = run(snapshot, &plan).and_then(|rows| rows.into_rows(snapshot));
    (!snapshot.budget().has_lost_patience()).then_some(rows)
}

fn run(snapshot: &mut Snapshot<'_>, plan: &Plan<'_>) -> Result<RowSet> {
    match plan {
        Plan::Source(source) => source.run(snapshot).map(RowSet::Documents),
        Plan::Search { search, .. } => search.run(snapshot).map(RowSet::Documents),
        Plan::Filter { input, predicate, keep, .. } => {
            let rows = run(snapshot, input)?;
            filter(rows, snapshot, predicate, *keep)
        }
        Plan::Sort { input, keys, keep } => {
            let rows = run(snapshot, input)?;
            sort(rows, snapshot, keys, *keep)
        }
        Plan::Traverse { input, relation, keep } => {
            let rows = run(snapshot, input)?;
            traverse(rows, snapshot, relation, *keep)
        }
        Plan::Trace { input, direction, keep } => {
            let rows = run(snapshot, input)?;
            trace(rows, snapshot, *direction, *keep)
        }
        Plan::Group { input, keys, aggregates } => {
            let rows = run(snapshot, input)?;
            group(&rows, snapshot, keys, aggregates)
        }
        Plan::Slice { input, offset, limit } => {
            let rows = run(snapshot, input)?;
            snapshot.apart(|_| rows.slice(*offset, *limit))
        }
    }
}

/// Returns the first `keep` rows (None: all) that pass.
fn filter(
    rows: RowSet,
    snapshot: &mut Snapshot<'_>,
    predicate: &Predicate,
    keep: Option<usize>,
) -> Result<RowSet> {
    let keep = keep.unwrap_or(usize::MAX);
    let mut passing = Vec::new();
    rows.walk(snapshot, predicate.work_per_byte(), |index, row| {
        if passing.len() < keep && predicate.holds(row) {
            passing.push(index);
        }
        if passing.len() < keep { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    snapshot.apart(|_| rows.pick(&passing))
}
