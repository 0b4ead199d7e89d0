//! `db.q(coll)`: a query composed by calls.
//!
//! In: calls. Out: NQL with parameters `$1`, `$2`, …, which the engine's one parser reads.
//!
//! Invariants:
//! * No value becomes part of the text, and every name stands in backticks, so that none is taken
//!   for a keyword.
//! * What the clauses mean, and which go together, is the parser's to say.

use std::fmt::Write;

use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBool, PyList};

use crate::arguments::{self, AsOf, Integer, Text};
use crate::convert;
use crate::engine::Engine;
use crate::error::invalid;

/// The operators that stand between a field and one value.
const OPERATORS: [&str; 14] = [
    "=",
    "==",
    "!=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "LIKE",
    "NOT LIKE",
    "CONTAINS",
    "NOT CONTAINS",
    "IN",
    "NOT IN",
];

/// A query that is being composed. Each call changes it and returns it.
#[pyclass(module = "nedb")]
pub(crate) struct Query {
    engine: Engine,
    clauses: Clauses,
    /// The values of `$1`, `$2`, …, each as JSON text.
    parameters: Vec<String>,
}

/// The clauses as NQL; what is empty is left out.
#[derive(Default)]
struct Clauses {
    from: String,
    as_of: Option<i64>,
    valid_as_of: String,
    conditions: Vec<String>,
    search: String,
    order: Vec<String>,
    traverse: String,
    trace: String,
    groups: Vec<String>,
    aggregates: Vec<String>,
    having: Vec<String>,
    offset: String,
    limit: String,
}

impl Clauses {
    /// Composes the text.
    fn to_nql(&self) -> String {
        let as_of = self.as_of.map_or_else(String::new, |seq| seq.to_string());
        let clauses = [
            ("FROM ", self.from.as_str()),
            (" AS OF ", &as_of),
            (" VALID AS OF ", &self.valid_as_of),
            (" WHERE ", &self.conditions.join(" AND ")),
            (" SEARCH ", &self.search),
            (" ORDER BY ", &self.order.join(", ")),
            (" TRAVERSE ", &self.traverse),
            (" TRACE ", &self.trace),
            (" GROUP BY ", &self.groups.join(", ")),
            (" ", &self.aggregates.join(", ")),
            (" HAVING ", &self.having.join(" AND ")),
            (" LIMIT ", &self.limit),
            (" OFFSET ", &self.offset),
        ];
        let given = clauses.into_iter().filter(|(_, clause)| !clause.is_empty());
        given.flat_map(|(keyword, clause)| [keyword, clause]).collect()
    }
}

impl Query {
    /// Makes a query for all documents of a collection.
    pub(crate) fn new(engine: Engine, collection: &str) -> Self {
        let clauses = Clauses { from: name(collection), ..Clauses::default() };
        Query { engine, clauses, parameters: Vec::new() }
    }

    /// Adds a value; returns the parameter that stands for it.
    fn parameter(&mut self, value: &Bound<'_, PyAny>) -> PyResult<String> {
        let mut text = String::new();
        convert::to_json(value, &mut text)?;
        self.parameters.push(text);
        Ok(format!("${}", self.parameters.len()))
    }

    /// Adds a text; returns the parameter that stands for it.
    fn text_parameter(&mut self, py: Python<'_>, text: &Text) -> PyResult<String> {
        self.parameter(text.0.as_str().into_pyobject(py)?.as_any())
    }

    /// Composes a condition.
    fn condition(
        &mut self,
        field: &str,
        operator: &str,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<String> {
        let (field, operator) = (path(field), operator.trim().to_ascii_uppercase());
        match operator.as_str() {
            "IS NULL" | "IS NOT NULL" => Ok(format!("{field} {operator}")),
            "BETWEEN" | "NOT BETWEEN" => {
                let bounds = value.try_iter().and_then(Iterator::collect::<PyResult<Vec<_>>>);
                let Ok([low, high]) = bounds.as_deref() else {
                    return Err(invalid(value.py(), "BETWEEN takes (low, high)"));
                };
                let (low, high) = (self.parameter(low)?, self.parameter(high)?);
                Ok(format!("{field} {operator} {low} AND {high}"))
            }
            // The operator becomes part of the text, so only known ones may.
            known if OPERATORS.contains(&known) => {
                Ok(format!("{field} {operator} {}", self.parameter(value)?))
            }
            _ => {
                let known = OPERATORS.join(", ");
                let message = format!(
                    "{operator:?} is no operator; there are {known}, BETWEEN, NOT BETWEEN, \
                     IS NULL and IS NOT NULL"
                );
                Err(invalid(value.py(), message))
            }
        }
    }
}

/// Writes a name in backticks.
fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Writes a dotted path, each segment in backticks.
fn path(dotted: &str) -> String {
    dotted.split('.').map(name).collect::<Vec<_>>().join(".")
}

/// Reads a direction: a bool that is true for descending, or `"ASC"` or `"DESC"`.
fn is_descending(direction: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(descending) = direction.cast::<PyBool>() {
        return Ok(descending.is_true());
    }
    let Text(direction_name) = direction.extract()?;
    match direction_name.to_ascii_uppercase().as_str() {
        "ASC" => Ok(false),
        "DESC" => Ok(true),
        _ => Err(invalid(direction.py(), "a direction is \"ASC\" or \"DESC\"")),
    }
}

/// What each call returns: the query itself.
type Itself<'py> = PyRefMut<'py, Query>;

#[pymethods]
impl Query {
    /// Keeps the rows for which `field op value` holds; several calls are joined by AND.
    #[pyo3(signature = (field, op, value=None))]
    fn r#where<'py>(
        mut slf: Itself<'py>,
        field: Text,
        op: Text,
        value: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Itself<'py>> {
        let value = value.unwrap_or_else(|| slf.py().None().into_bound(slf.py()));
        let condition = slf.condition(&field.0, &op.0, &value)?;
        slf.clauses.conditions.push(condition);
        Ok(slf)
    }

    /// Reads at a seq.
    #[pyo3(signature = (seq))]
    fn as_of(mut slf: Itself<'_>, seq: AsOf) -> Itself<'_> {
        slf.clauses.as_of = arguments::seq(Some(seq));
        slf
    }

    /// Reads what was true at a date.
    fn valid_as_of(mut slf: Itself<'_>, date: Text) -> PyResult<Itself<'_>> {
        let py = slf.py();
        slf.clauses.valid_as_of = slf.text_parameter(py, &date)?;
        Ok(slf)
    }

    /// Keeps the rows whose text matches, in the given fields or in the indexed ones.
    #[pyo3(signature = (text, *fields))]
    fn search(mut slf: Itself<'_>, text: Text, fields: Vec<Text>) -> PyResult<Itself<'_>> {
        let py = slf.py();
        let mut search = slf.text_parameter(py, &text)?;
        if !fields.is_empty() {
            let fields: Vec<_> = fields.iter().map(|Text(field)| path(field)).collect();
            // Writing to a String does not fail.
            let _ = write!(search, " IN ({})", fields.join(", "));
        }
        slf.clauses.search = search;
        Ok(slf)
    }

    /// Sorts by a field; a further call adds a further key. `desc` is a bool, "ASC" or "DESC".
    #[pyo3(signature = (field, desc=None), text_signature = "($self, field, desc=False)")]
    fn order_by<'py>(
        mut slf: Itself<'py>,
        field: Text,
        desc: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Itself<'py>> {
        let descending = desc.as_ref().map_or(Ok(false), is_descending)?;
        let direction = if descending { " DESC" } else { "" };
        slf.clauses.order.push(path(&field.0) + direction);
        Ok(slf)
    }

    /// Goes on to the documents that the rows link to.
    fn traverse(mut slf: Itself<'_>, rel: Text) -> Itself<'_> {
        slf.clauses.traverse = name(&rel.0);
        slf
    }

    /// Goes on to the versions that caused the rows or, reversed, that the rows caused.
    #[pyo3(signature = (reverse=false))]
    fn trace(mut slf: Itself<'_>, reverse: bool) -> Itself<'_> {
        slf.clauses.trace = if reverse { "caused_by REVERSE" } else { "caused_by" }.to_owned();
        slf
    }

    /// Makes one row for each value of a field; a further call adds a further key.
    fn group_by(mut slf: Itself<'_>, field: Text) -> Itself<'_> {
        slf.clauses.groups.push(path(&field.0));
        slf
    }

    /// Counts the rows of each group, as `count`.
    fn count(mut slf: Itself<'_>) -> Itself<'_> {
        slf.clauses.aggregates.push("COUNT".to_owned());
        slf
    }

    /// Adds up a field, as `sum_field`.
    fn sum(mut slf: Itself<'_>, field: Text) -> Itself<'_> {
        slf.clauses.aggregates.push(format!("SUM {}", path(&field.0)));
        slf
    }

    /// Takes the mean of a field, as `avg_field`.
    fn avg(mut slf: Itself<'_>, field: Text) -> Itself<'_> {
        slf.clauses.aggregates.push(format!("AVG {}", path(&field.0)));
        slf
    }

    /// Takes the least of a field, as `min_field`.
    fn min(mut slf: Itself<'_>, field: Text) -> Itself<'_> {
        slf.clauses.aggregates.push(format!("MIN {}", path(&field.0)));
        slf
    }

    /// Takes the largest of a field, as `max_field`.
    fn max(mut slf: Itself<'_>, field: Text) -> Itself<'_> {
        slf.clauses.aggregates.push(format!("MAX {}", path(&field.0)));
        slf
    }

    /// Keeps the groups for which `field op value` holds.
    #[pyo3(signature = (field, op, value=None))]
    fn having<'py>(
        mut slf: Itself<'py>,
        field: Text,
        op: Text,
        value: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Itself<'py>> {
        let value = value.unwrap_or_else(|| slf.py().None().into_bound(slf.py()));
        let condition = slf.condition(&field.0, &op.0, &value)?;
        slf.clauses.having.push(condition);
        Ok(slf)
    }

    /// Leaves out the first rows.
    fn offset(mut slf: Itself<'_>, n: Integer) -> Itself<'_> {
        slf.clauses.offset = n.0.to_string();
        slf
    }

    /// Gives so many rows at the most.
    fn limit(mut slf: Itself<'_>, n: Integer) -> Itself<'_> {
        slf.clauses.limit = n.0.to_string();
        slf
    }

    /// Returns the text, in which `$1`, `$2`, … stand for `params`.
    fn nql(&self) -> String {
        self.clauses.to_nql()
    }

    /// The values of `$1`, `$2`, …
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        convert::to_python_list(py, self.parameters.iter())
    }

    /// Runs the query; returns the rows.
    fn run<'py>(slf: PyRef<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let (py, nql, engine) = (slf.py(), slf.clauses.to_nql(), slf.engine.clone());
        let parameters = format!("[{}]", slf.parameters.join(","));
        // The engine works without the GIL; other threads may use the query meanwhile.
        drop(slf);
        engine.query(py, &nql, &parameters)
    }

    /// Shows the text.
    fn __repr__(&self) -> String {
        format!("<Query {}>", self.clauses.to_nql())
    }
}
