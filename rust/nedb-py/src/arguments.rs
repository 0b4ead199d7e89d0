//! The checked form of each kind of argument.
//!
//! In: what a caller passed. Out: a Rust value, or `InvalidArgument` that says what was expected
//! and what was found. The values themselves (lengths, ranges, dates) are checked by the engine.
//!
//! A bool is no number here, although Python's `bool` is an `int`: `as_of=True` is a mistake.

use nedb_core::{IndexKind, ReadOptions, WriteOptions};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString};

use crate::error::{invalid, to_python};

/// Makes the error of an argument of another type.
fn expected(what: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let kind = found.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    invalid(found.py(), format!("expected {what}, got {kind}"))
}

/// A `str`.
pub(crate) struct Text(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Text {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Ok(text) = given.cast::<PyString>() else { return Err(expected("a str", &given)) };
        match text.to_cow() {
            Ok(text) => Ok(Text(text.into_owned())),
            Err(_) => Err(invalid(given.py(), "a str must not hold a lone surrogate")),
        }
    }
}

/// A JSON text: `str`, `bytes` or `bytearray`.
pub(crate) struct JsonText(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for JsonText {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let bytes = if let Ok(bytes) = given.cast::<PyBytes>() {
            bytes.as_bytes().to_vec()
        } else if let Ok(bytes) = given.cast::<PyByteArray>() {
            bytes.to_vec()
        } else if given.is_instance_of::<PyString>() {
            return Text::extract(given).map(|Text(text)| JsonText(text));
        } else {
            return Err(expected("JSON text as bytes or str", &given));
        };
        let text = String::from_utf8(bytes);
        text.map(JsonText).map_err(|_| invalid(given.py(), "JSON text must be UTF-8"))
    }
}

/// An `int` that fits in 64 bits with a sign.
pub(crate) struct Integer(pub(crate) i64);

impl<'py> FromPyObject<'_, 'py> for Integer {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let beyond = |_| invalid(given.py(), "the integer is beyond 64 bits");
        integer(&given)?.extract().map(Integer).map_err(beyond)
    }
}

/// A seq to read at. One that no log reaches is beyond the head, which is the head.
pub(crate) struct AsOf(i64);

impl<'py> FromPyObject<'_, 'py> for AsOf {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let integer = integer(&given)?;
        let far = || Ok(if integer.lt(0)? { i64::MIN } else { i64::MAX });
        integer.extract().or_else(|_| far()).map(AsOf)
    }
}

/// Returns the argument if it is an `int` and no `bool`.
fn integer<'a, 'py>(given: &'a Bound<'py, PyAny>) -> PyResult<&'a Bound<'py, PyInt>> {
    match given.cast::<PyInt>() {
        Ok(integer) if !given.is_instance_of::<PyBool>() => Ok(integer),
        _ => Err(expected("an int", given)),
    }
}

/// A number: `float`, or an `int` that a float can hold.
pub(crate) struct Real(pub(crate) f64);

impl<'py> FromPyObject<'_, 'py> for Real {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(float) = given.cast::<PyFloat>() {
            return Ok(Real(float.value()));
        }
        let Ok(integer) = integer(&given) else { return Err(expected("a number", &given)) };
        let beyond = |_| invalid(given.py(), "the number is beyond the largest float");
        integer.extract().map(Real).map_err(beyond)
    }
}

/// An iterable of seqs that is no text.
pub(crate) struct Seqs(Vec<i64>);

impl<'py> FromPyObject<'_, 'py> for Seqs {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let texts = given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>();
        let Some(seqs) = given.try_iter().ok().filter(|_| !texts) else {
            return Err(expected("a list of seqs", &given));
        };
        seqs.map(|seq| seq?.extract().map(|Integer(seq)| seq)).collect::<PyResult<_>>().map(Seqs)
    }
}

/// A kind of index: `"eq"`, `"ordered"` or `"search"`.
pub(crate) struct Kind(pub(crate) IndexKind);

impl<'py> FromPyObject<'_, 'py> for Kind {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Text(name) = Text::extract(given)?;
        IndexKind::parse(&name).map(Kind).map_err(|error| to_python(given.py(), &error))
    }
}

/// Says in whose name an op is written.
pub(crate) fn origin(
    client: Option<Text>,
    nonce: Option<Integer>,
    idem: Option<Text>,
) -> WriteOptions {
    WriteOptions {
        client: client.map(|Text(client)| client),
        nonce: nonce.map(|Integer(nonce)| nonce),
        idem: idem.map(|Text(idem)| idem),
        ..WriteOptions::default()
    }
}

/// Adds why a fact was written.
pub(crate) fn because(
    options: WriteOptions,
    caused_by: Option<Seqs>,
    evidence: Option<Text>,
    confidence: Option<Real>,
) -> WriteOptions {
    WriteOptions {
        caused_by: caused_by.map_or_else(Vec::new, |Seqs(seqs)| seqs),
        evidence: evidence.map(|Text(evidence)| evidence),
        confidence: confidence.map(|Real(confidence)| confidence),
        ..options
    }
}

/// Adds when a fact is true and how long it is kept.
pub(crate) fn during(
    options: WriteOptions,
    valid_from: Option<Text>,
    valid_to: Option<Text>,
    ttl_s: Option<Real>,
) -> WriteOptions {
    WriteOptions {
        valid_from: valid_from.map(|Text(date)| date),
        valid_to: valid_to.map(|Text(date)| date),
        ttl_seconds: ttl_s.map(|Real(seconds)| seconds),
        ..options
    }
}

/// Says where in time to read.
pub(crate) fn read_at(as_of: Option<AsOf>, valid_as_of: Option<Text>) -> ReadOptions {
    ReadOptions { as_of: seq(as_of), valid_as_of: valid_as_of.map(|Text(date)| date) }
}

/// Returns the seq to read at.
pub(crate) fn seq(as_of: Option<AsOf>) -> Option<i64> {
    as_of.map(|AsOf(seq)| seq)
}
