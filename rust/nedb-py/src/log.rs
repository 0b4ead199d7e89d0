//! `db.log`: the ops as a read-only sequence.
//!
//! In: a position or a slice. Out: [`Op`] objects, each read from the log when it is asked for.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PySlice};

use crate::convert;
use crate::engine::Engine;

/// One accepted mutation, as the log holds it. Equal ops have equal lines.
#[pyclass(frozen, eq, hash, module = "nedb")]
pub(crate) struct Op {
    text: String,
    members: Py<PyDict>,
}

impl Op {
    /// Makes an op of its line.
    fn new(py: Python<'_>, text: String) -> PyResult<Self> {
        let members = convert::to_python(py, &text)?.cast_into::<PyDict>()?.unbind();
        Ok(Op { text, members })
    }

    /// Returns a member, or None when it is not set.
    fn member<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.members.bind(py).get_item(name)
    }
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Hash for Op {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.text.hash(hasher);
    }
}

/// Declares the attributes of an op, which are the members of its line.
macro_rules! op_attributes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[pymethods]
        impl Op {
            $(
                $(#[$doc])*
                #[getter]
                fn $name<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
                    self.member(py, stringify!($name))
                }
            )*

            /// Returns every member of the line as a new dict.
            fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                convert::to_python(py, &self.text)
            }

            /// Names the seq, the kind and the client.
            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let spelt = |value: Option<Bound<'_, PyAny>>| match value {
                    Some(value) => value.repr().map(|text| text.to_string()),
                    None => Ok("None".to_owned()),
                };
                let (seq, op) = (spelt(self.seq(py)?)?, spelt(self.op(py)?)?);
                Ok(format!("<Op {seq}: {op} by {}>", spelt(self.client(py)?)?))
            }
        }
    };
}

op_attributes! {
    /// Position in the log, from 0.
    seq,
    /// Who wrote it.
    client,
    /// The client's number for it.
    nonce,
    /// Its kind: put, delete, link, unlink, put_file, checkpoint or tx.
    op,
    /// What it says; the members depend on the kind.
    payload,
    /// When it was written, in seconds since 1970.
    ts,
    /// Its idempotency key, or None.
    idem,
    /// The hash of the op before it; 64 zeros for the first.
    prev_hash,
    /// Its own hash.
    hash,
    /// The seqs that caused it, or None.
    caused_by,
    /// Why it was written, or None.
    evidence,
    /// How sure the writer was, from 0 to 1, or None.
    confidence,
    /// From when its fact is true, or None.
    valid_from,
    /// Until when its fact is true, or None.
    valid_to,
}

/// The ops of a database, from 0 to `db.seq`; it grows as ops are written.
#[pyclass(frozen, sequence, module = "nedb")]
pub(crate) struct OpLog {
    engine: Engine,
}

impl OpLog {
    /// Makes the sequence of a database.
    pub(crate) fn new(engine: Engine) -> Self {
        OpLog { engine }
    }

    /// Reads one op that is there.
    fn read(&self, py: Python<'_>, seq: i64) -> PyResult<Op> {
        match self.engine.read(py, |database| database.op(seq))? {
            Some(text) => Op::new(py, text),
            None => Err(PyIndexError::new_err("op index out of range")),
        }
    }

    /// Finds the seq of an equal op.
    fn find(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        let Ok(op) = value.cast::<Op>() else { return Ok(None) };
        let Some(seq) = op.get().seq(py)? else { return Ok(None) };
        let seq = seq.extract()?;
        let found = (0..self.length()).contains(&seq) && self.read(py, seq)?.text == op.get().text;
        Ok(found.then_some(seq))
    }

    /// Returns how many ops there are.
    fn length(&self) -> i64 {
        self.engine.database().seq() + 1
    }
}

#[pymethods]
impl OpLog {
    fn __len__(&self) -> usize {
        usize::try_from(self.length()).unwrap_or(0)
    }

    /// Returns one op, or the list of the ops of a slice.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let bounds = slice.indices(self.length().try_into()?)?;
            let seqs =
                (0..bounds.slicelength).map(|place| bounds.start + place as isize * bounds.step);
            let ops = seqs.map(|seq| self.read(py, seq as i64)?.into_pyobject(py));
            let ops = ops.collect::<PyResult<Vec<_>>>()?;
            return Ok(PyList::new(py, ops)?.into_any());
        }
        let Ok(index) = index.cast::<PyInt>() else {
            return Err(PyTypeError::new_err("log indices must be integers or slices"));
        };
        let length = self.length();
        // One beyond 64 bits is beyond the log.
        let index = index.extract().unwrap_or(i64::MAX);
        let seq = if index < 0 { index.saturating_add(length) } else { index };
        if !(0..length).contains(&seq) {
            return Err(PyIndexError::new_err("op index out of range"));
        }
        Ok(self.read(py, seq)?.into_pyobject(py)?.into_any())
    }

    /// Reads from the first op to what is the last one now.
    fn __iter__(&self) -> OpIterator {
        let last = self.length() - 1;
        OpIterator { log: OpLog::new(self.engine.clone()), next: 0.into(), last, step: 1 }
    }

    /// Reads from what is the last op now to the first.
    fn __reversed__(&self) -> OpIterator {
        let next = (self.length() - 1).into();
        OpIterator { log: OpLog::new(self.engine.clone()), next, last: 0, step: -1 }
    }

    fn __contains__(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.find(py, value)?.is_some())
    }

    /// Returns the position of an equal op; `ValueError` when there is none.
    #[pyo3(signature = (value, start=0, stop=None))]
    fn index(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        start: i64,
        stop: Option<i64>,
    ) -> PyResult<i64> {
        let length = self.length();
        let from_the_end = |place: i64| if place < 0 { (place + length).max(0) } else { place };
        let range = from_the_end(start)..stop.map_or(length, from_the_end);
        let found = self.find(py, value)?.filter(|seq| range.contains(seq));
        found.ok_or_else(|| PyValueError::new_err("the op is not in the log"))
    }

    /// Returns 1 when there is an equal op, else 0.
    fn count(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        Ok(usize::from(self.find(py, value)?.is_some()))
    }

    fn __repr__(&self) -> String {
        format!("<OpLog of {} ops>", self.length())
    }
}

/// Goes through the ops, one at a time.
#[pyclass(frozen, module = "nedb")]
struct OpIterator {
    log: OpLog,
    next: AtomicI64,
    last: i64,
    step: i64,
}

#[pymethods]
impl OpIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Op>> {
        let seq = self.next.fetch_add(self.step, Ordering::Relaxed);
        let done = if self.step > 0 { seq > self.last } else { seq < self.last };
        if done { Ok(None) } else { self.log.read(py, seq).map(Some) }
    }
}

/// Tells Python that the log is a `collections.abc.Sequence`.
pub(crate) fn register_sequence(py: Python<'_>) -> PyResult<()> {
    let sequence = py.import("collections.abc")?.getattr("Sequence")?;
    sequence.call_method1("register", (py.get_type::<OpLog>(),))?;
    Ok(())
}
