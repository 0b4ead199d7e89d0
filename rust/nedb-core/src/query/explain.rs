//! EXPLAIN: a plan as rows, one for each step, from the inside out.
//!
//! In: a plan. Out: rows like `{"detail":"users: status = \"active\"","estimated_rows":12,
//! "operator":"index equal","step":1}`. `estimated_rows` is how many rows the step is thought to
//! give, null where nothing is known.

use std::collections::BTreeMap;

use super::access::{Access, is_used_by};
use super::aggregate::write_object;
use super::algebra::{Expression, TraceDirection};
use super::describe::{conditions_text, group_text, order_text, paths_text};
use super::plan::{Plan, Source};
use super::rows::Rows;
use super::search::Search;
use crate::json::write_string;

/// Returns the steps of a plan.
pub(super) fn explain(plan: &Plan<'_>) -> Rows {
    let mut steps = Steps::default();
    steps.plan(plan);
    steps.rows
}

/// The rows so far.
#[derive(Default)]
struct Steps {
    rows: Rows,
}

impl Steps {
    fn plan(&mut self, plan: &Plan<'_>) {
        match plan {
            Plan::Source(source) => self.source(source),
            Plan::Search { search, collection, conditions } => {
                self.search(search, collection, conditions);
            }
            Plan::Filter { input, conditions, .. } => {
                self.plan(input);
                self.filter(conditions);
            }
            Plan::Sort { input, keys, keep } => {
                self.plan(input);
                let operator = if keep.is_some() { "top" } else { "sort" };
                self.push(operator, &order_text(keys), *keep);
            }
            Plan::Traverse { input, relation, .. } => {
                self.plan(input);
                self.push("traverse", relation, None);
            }
            Plan::Trace { input, direction, .. } => {
                self.plan(input);
                self.push("trace", direction_text(*direction), None);
            }
            Plan::Group { input, keys, aggregates } => {
                self.plan(input);
                let estimate = keys.is_empty().then_some(1);
                self.push("group", &group_text(keys, aggregates), estimate);
            }
            Plan::Slice { input, offset, limit } => {
                self.plan(input);
                let limit_text = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
                self.push("slice", &format!("OFFSET {offset}{limit_text}"), *limit);
            }
        }
    }

    fn source(&mut self, source: &Source<'_>) {
        let access = &source.choice.access;
        let used: Vec<&Expression> =
            source.conditions.iter().copied().filter(|it| is_used_by(it, access)).collect();
        let mut detail = source.name.to_owned();
        if !used.is_empty() {
            detail.push_str(": ");
            detail.push_str(&conditions_text(&used));
        }
        let operator = match access {
            Access::Nothing => "nothing",
            Access::Scan => "scan",
            Access::Find(_) => "find by id",
            Access::Equal(keys) if keys.len() > 1 => "index union",
            Access::Equal(_) => "index equal",
            Access::Range { descending: None, .. } => "index range",
            Access::Range { path, descending: Some(descending), .. } => {
                let direction = if *descending { " DESC" } else { "" };
                detail.push_str(&format!(" in order of {path}{direction}"));
                "index order"
            }
        };
        self.push(operator, &detail, Some(source.choice.estimate));
        self.filter(&source.conditions);
    }

    fn search(&mut self, search: &Search, collection: &str, conditions: &[&Expression]) {
        let operator = if search.indexed { "search index" } else { "search scan" };
        let fields = match search.fields.as_slice() {
            [] => "all strings".to_owned(),
            fields => paths_text(fields),
        };
        let terms = search.terms.terms.join(" ");
        self.push(operator, &format!("{collection}: {terms} in {fields}"), None);
        self.filter(conditions);
        if search.ranked {
            self.push("rank", "_score DESC", search.keep);
        }
    }

    fn filter(&mut self, conditions: &[&Expression]) {
        if !conditions.is_empty() {
            self.push("filter", &conditions_text(conditions), None);
        }
    }

    fn push(&mut self, operator: &str, detail: &str, estimate: Option<usize>) {
        let members = BTreeMap::from([
            ("step", (self.rows.len() + 1).to_string()),
            ("operator", string(operator)),
            ("detail", string(detail)),
            ("estimated_rows", estimate.map_or("null".to_owned(), |count| count.to_string())),
        ]);
        self.rows.push_with(|buffer| buffer.push_str(&write_object(&members)));
    }
}

fn string(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

fn direction_text(direction: TraceDirection) -> &'static str {
    match direction {
        TraceDirection::Causes => "caused_by",
        TraceDirection::Effects => "caused_by REVERSE",
    }
}
