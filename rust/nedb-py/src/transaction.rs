//! `db.transaction()`: writes that become one op, or none.
//!
//! In: calls of `put`, `delete`, `link`, `unlink`. Out: the items of one `batch`.
//!
//! Invariants:
//! * Each document is converted at its call, so later changes to it do not count.
//! * Nothing reaches the engine before the clean end of the `with` block, and nothing after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nedb_core::WriteOptions;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arguments::Text;
use crate::convert;
use crate::engine::Engine;
use crate::error::invalid;

/// A transaction that is being composed, or that has ended.
#[pyclass(frozen, module = "nedb")]
pub(crate) struct Transaction {
    engine: Engine,
    options: WriteOptions,
    state: Mutex<State>,
}

/// How far a transaction has come.
enum State {
    /// Items, each JSON text and all but the first with a comma before it.
    Open(String),
    /// Written; what the engine answered.
    Committed(Py<PyList>),
    /// Given up.
    Ended,
}

impl Transaction {
    /// Makes a transaction without items.
    pub(crate) fn new(engine: Engine, options: WriteOptions) -> Self {
        Transaction { engine, options, state: Mutex::new(State::Open(String::new())) }
    }

    /// Returns the state. It is held for moments only, and never while Python code runs.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item.
    fn add(&self, item: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut text = String::new();
        convert::to_json(item.as_any(), &mut text)?;
        match &mut *self.state() {
            State::Open(items) => {
                if !items.is_empty() {
                    items.push(',');
                }
                items.push_str(&text);
                Ok(())
            }
            _ => Err(over(item.py())),
        }
    }
}

/// Makes the error of a call after the end.
fn over(py: Python<'_>) -> PyErr {
    invalid(py, "the transaction has ended")
}

/// Makes an item of its kind and its string members.
fn item<'py, const N: usize>(
    py: Python<'py>,
    kind: &str,
    members: [(&str, Text); N],
) -> PyResult<Bound<'py, PyDict>> {
    let item = PyDict::new(py);
    item.set_item("op", kind)?;
    for (name, Text(text)) in members {
        item.set_item(name, text)?;
    }
    Ok(item)
}

/// Sets the members of an item that were given.
fn set_given<const N: usize>(
    item: &Bound<'_, PyDict>,
    members: [(&str, Option<&Bound<'_, PyAny>>); N],
) -> PyResult<()> {
    for (name, value) in members {
        if let Some(value) = value {
            item.set_item(name, value)?;
        }
    }
    Ok(())
}

#[pymethods]
#[allow(clippy::too_many_arguments, reason = "the keywords are those of NEDB.put")]
impl Transaction {
    /// Adds the insertion or replacement of a document. `if_seq` is the seq of the version that must
    /// be there before the transaction; -1: none.
    #[pyo3(signature = (coll, id, doc, *, if_seq=None, ttl_s=None, caused_by=None, evidence=None,
        confidence=None, valid_from=None, valid_to=None))]
    fn put<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        doc: &Bound<'py, PyAny>,
        if_seq: Option<&Bound<'py, PyAny>>,
        ttl_s: Option<&Bound<'py, PyAny>>,
        caused_by: Option<&Bound<'py, PyAny>>,
        evidence: Option<&Bound<'py, PyAny>>,
        confidence: Option<&Bound<'py, PyAny>>,
        valid_from: Option<&Bound<'py, PyAny>>,
        valid_to: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let item = item(py, "put", [("coll", coll), ("id", id)])?;
        set_given(
            &item,
            [
                ("doc", Some(doc)),
                ("if_seq", if_seq),
                ("ttl_s", ttl_s),
                ("caused_by", caused_by),
                ("evidence", evidence),
                ("confidence", confidence),
                ("valid_from", valid_from),
                ("valid_to", valid_to),
            ],
        )?;
        self.add(&item)
    }

    /// Adds the deletion of a document.
    #[pyo3(signature = (coll, id, *, if_seq=None))]
    fn delete<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        if_seq: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let item = item(py, "delete", [("coll", coll), ("id", id)])?;
        set_given(&item, [("if_seq", if_seq)])?;
        self.add(&item)
    }

    /// Adds the making of an edge.
    fn link(&self, py: Python<'_>, frm: Text, rel: Text, to: Text) -> PyResult<()> {
        self.add(&item(py, "link", [("frm", frm), ("rel", rel), ("to", to)])?)
    }

    /// Adds the removal of an edge.
    fn unlink(&self, py: Python<'_>, frm: Text, rel: Text, to: Text) -> PyResult<()> {
        self.add(&item(py, "unlink", [("frm", frm), ("rel", rel), ("to", to)])?)
    }

    /// One result for each item once it is written: the stored document of a put, None for the rest.
    #[getter]
    fn results(&self, py: Python<'_>) -> Option<Py<PyList>> {
        match &*self.state() {
            State::Committed(results) => Some(results.clone_ref(py)),
            _ => None,
        }
    }

    /// Returns the transaction itself.
    fn __enter__(slf: Py<Self>) -> PyResult<Py<Self>> {
        match &*slf.get().state() {
            State::Open(_) => {}
            _ => return Err(Python::attach(over)),
        }
        Ok(slf)
    }

    /// Writes the items as one op, or nothing when the block raised. Without items, writes nothing.
    fn __exit__<'py>(
        &self,
        py: Python<'py>,
        exception_type: &Bound<'py, PyAny>,
        _exception: &Bound<'py, PyAny>,
        _traceback: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let State::Open(items) = std::mem::replace(&mut *self.state(), State::Ended) else {
            return Err(over(py));
        };
        if !exception_type.is_none() {
            return Ok(());
        }
        let results = if items.is_empty() {
            PyList::empty(py)
        } else {
            let items = format!("[{items}]");
            let texts = self.engine.write(py, |database| database.batch(&items, &self.options))?;
            convert::to_python_list(py, texts.iter())?
        };
        *self.state() = State::Committed(results.unbind());
        Ok(())
    }

    /// Says how far it has come.
    fn __repr__(&self) -> &'static str {
        match &*self.state() {
            State::Open(_) => "<Transaction: open>",
            State::Committed(_) => "<Transaction: committed>",
            State::Ended => "<Transaction: nothing written>",
        }
    }
}
