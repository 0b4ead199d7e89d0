//! The exception classes: one for each `ErrorCode`, all below `NEDBError`.
//!
//! In: an engine error. Out: a Python exception whose class says the code, with `.code` on every
//! class, and with the place in the query for `NQLError`.
//!
//! The classes are made once per process, when the module is imported, by calling Python's `type`:
//! some have a second, built-in base, which PyO3's macro does not offer.

use nedb_core::{Error, ErrorCode, QueryPosition};
use pyo3::exceptions::{
    PyBaseException, PyException, PyKeyError, PyOSError, PySyntaxError, PyTimeoutError,
    PyValueError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

/// What a class is: its code, its name, its built-in second base, and its docstring.
type Description =
    (ErrorCode, &'static str, Option<fn(Python<'_>) -> Bound<'_, PyType>>, &'static str);

/// The classes, in the order of `ErrorCode::ALL`.
const DESCRIPTIONS: [Description; 18] = [
    (
        ErrorCode::InvalidArgument,
        "InvalidArgument",
        Some(|py| py.get_type::<PyValueError>()),
        "An argument is not of the form the call asks for. Nothing was appended.",
    ),
    (
        ErrorCode::LimitExceeded,
        "LimitExceeded",
        Some(|py| py.get_type::<PyValueError>()),
        "An argument or a result is larger than a bound of the engine. Nothing was appended.",
    ),
    (
        ErrorCode::NqlError,
        "NQLError",
        Some(|py| py.get_type::<PySyntaxError>()),
        "A query does not parse, or a parameter it names is missing.",
    ),
    (
        ErrorCode::ReplayError,
        "ReplayError",
        None,
        "A nonce is not above the last one seen from this client. Nothing was appended.",
    ),
    (
        ErrorCode::IdempotencyConflict,
        "IdempotencyConflict",
        None,
        "An idempotency key was already used for another kind of op or another target.",
    ),
    (
        ErrorCode::PreconditionFailed,
        "PreconditionFailed",
        None,
        "An if_seq did not hold. Nothing was appended.",
    ),
    (
        ErrorCode::DatabaseLocked,
        "DatabaseLocked",
        None,
        "Another process or another handle holds the directory for writing.",
    ),
    (ErrorCode::DatabaseClosed, "DatabaseClosed", None, "The handle was closed."),
    (
        ErrorCode::ReadOnly,
        "ReadOnly",
        None,
        "A write was asked of a handle opened for reading, or of a damaged database.",
    ),
    (
        ErrorCode::IntegrityError,
        "IntegrityError",
        None,
        "The log does not fit its hash chain, or a text read is not the one that was asked for.",
    ),
    (
        ErrorCode::CommitUnknown,
        "CommitUnknown",
        None,
        "A write or a sync failed: the op may or may not be there after reopening. \
         Retry with idem.",
    ),
    (
        ErrorCode::StorageError,
        "StorageError",
        Some(|py| py.get_type::<PyOSError>()),
        "The operating system refused to read, open or create a file.",
    ),
    (
        ErrorCode::KeyRequired,
        "KeyRequired",
        None,
        "The database is encrypted and no key was given.",
    ),
    (ErrorCode::WrongKey, "WrongKey", None, "The key that was given is not that of the database."),
    (
        ErrorCode::PlainDatabase,
        "PlainDatabase",
        None,
        "The database is not encrypted, and it was said that it must be.",
    ),
    (
        ErrorCode::NotFound,
        "NotFound",
        Some(|py| py.get_type::<PyKeyError>()),
        "There is no file, no version of it or no chunk of that name or number.",
    ),
    (
        ErrorCode::Cancelled,
        "Cancelled",
        None,
        "The call was ended by whoever asked for it. Nothing was changed.",
    ),
    (
        ErrorCode::TimedOut,
        "TimedOut",
        Some(|py| py.get_type::<PyTimeoutError>()),
        "The call took longer than it was given, and was ended. Nothing was changed.",
    ),
];

/// The classes as Python objects.
struct Classes {
    base: Py<PyType>,
    by_code: Vec<(ErrorCode, Py<PyType>)>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

/// Adds every exception class to the module.
pub(crate) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let classes = classes(py)?;
    module.add("NEDBError", &classes.base)?;
    for ((_, class), (_, name, ..)) in classes.by_code.iter().zip(DESCRIPTIONS) {
        module.add(name, class)?;
    }
    Ok(())
}

/// Returns the classes, made at the first call.
fn classes(py: Python<'_>) -> PyResult<&Classes> {
    CLASSES.get_or_try_init(py, || {
        let exception = py.get_type::<PyException>();
        let base = make("NEDBError", "", "Every error of NEDB. code names it.", &[exception])?;
        let mut by_code = Vec::with_capacity(DESCRIPTIONS.len());
        for (code, name, second, doc) in DESCRIPTIONS {
            let mut bases = vec![base.clone()];
            bases.extend(second.map(|second| second(py)));
            by_code.push((code, make(name, code.as_str(), doc, &bases)?.unbind()));
        }
        Ok(Classes { base: base.unbind(), by_code })
    })
}

/// Makes one class.
fn make<'py>(
    name: &str,
    code: &str,
    doc: &str,
    bases: &[Bound<'py, PyType>],
) -> PyResult<Bound<'py, PyType>> {
    let py = bases.first().map(Bound::py).ok_or_else(|| PyException::new_err("no base"))?;
    let members = PyDict::new(py);
    members.set_item("__doc__", doc)?;
    // Where users find it, and where pickle looks.
    members.set_item("__module__", "nedb")?;
    members.set_item("code", code)?;
    // Those of SyntaxError and OSError add the place or the number, which the message has already; that
    // of KeyError quotes it.
    members.set_item("__str__", py.get_type::<PyBaseException>().getattr("__str__")?)?;
    let made = py.get_type::<PyType>().call1((name, PyTuple::new(py, bases)?, members))?;
    Ok(made.cast_into::<PyType>()?)
}

/// Makes the exception of an `InvalidArgument` found by the binding.
pub(crate) fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    to_python(py, &Error::invalid(message))
}

/// Makes the exception of a `LimitExceeded` found by the binding.
pub(crate) fn limit(py: Python<'_>, message: impl Into<String>) -> PyErr {
    to_python(py, &Error::limit(message))
}

/// Makes the exception of an engine error.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    build(py, error, None).unwrap_or_else(|failure| failure)
}

/// Makes the exception of an engine error that a query met, with the place in its text.
pub(crate) fn of_query(py: Python<'_>, error: &Error, nql: &str) -> PyErr {
    let place = error.position().map(|position| (position, nql));
    build(py, error, place).unwrap_or_else(|failure| failure)
}

/// Makes the exception and sets what it carries beside its message.
fn build(py: Python<'_>, error: &Error, place: Option<(QueryPosition, &str)>) -> PyResult<PyErr> {
    let classes = classes(py)?;
    let known = classes.by_code.iter().find(|(code, _)| *code == error.code());
    let class = known.map_or(&classes.base, |(_, class)| class).bind(py);
    let exception = class.call1((error.to_string(),))?;
    if known.is_none() {
        exception.setattr("code", error.code().as_str())?;
    }
    if let Some(number) = system_error_number(error) {
        exception.setattr("errno", number)?;
    }
    if error.code() == ErrorCode::NqlError {
        set_place(&exception, place)?;
    }
    Ok(PyErr::from_value(exception))
}

/// Returns the operating system's number of the error below an engine error.
fn system_error_number(error: &Error) -> Option<i32> {
    std::error::Error::source(error)?.downcast_ref::<std::io::Error>()?.raw_os_error()
}

/// Sets where in the query an `NQLError` is: `position` (characters from 0), `lineno` and `offset`
/// (from 1), and `text` (that line), as Python itself does for its own source.
fn set_place(exception: &Bound<'_, PyAny>, place: Option<(QueryPosition, &str)>) -> PyResult<()> {
    let Some((QueryPosition { offset_bytes, line, column }, nql)) = place else {
        return exception.setattr("position", exception.py().None());
    };
    let before = nql.get(..offset_bytes).unwrap_or(nql);
    exception.setattr("position", before.chars().count())?;
    exception.setattr("lineno", line)?;
    exception.setattr("offset", column)?;
    exception.setattr("text", nql.lines().nth(line.saturating_sub(1)))
}
