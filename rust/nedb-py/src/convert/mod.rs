//! Python objects ⇄ canonical JSON text (log-format.md, "The hash chain" and "Numbers").
//!
//! | file | what it owns |
//! |---|---|
//! | `encode` | a Python object → canonical text |
//! | `number` | how a float is spelt |
//! | `decode` | JSON text → a Python object |
//! | `names` | the keys seen lately, so that neither direction converts them again |
//!
//! Invariants:
//! * Nothing here is called while the engine holds a lock.
//! * What is kept between calls belongs to one thread and is taken out while it is used, so that a
//!   conversion which runs Python code (a mapping's own iterator, a finalizer) may itself convert.

mod decode;
mod encode;
mod names;
mod number;

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::PyList;

use self::names::{NamesIn, NamesOut};

/// A text longer than this is not kept as the buffer of the next call.
const KEPT_BUFFER_BYTES_MAX: usize = 64 << 10;

/// What one thread keeps between conversions.
#[derive(Default)]
struct Kept {
    names_in: NamesIn,
    names_out: NamesOut,
    buffer: String,
}

thread_local! {
    static KEPT: Cell<Option<Box<Kept>>> = const { Cell::new(None) };
}

/// Calls `work` with what this thread keeps; a call inside `work` gets a new one.
#[inline]
fn with_kept<T>(work: impl FnOnce(&mut Kept) -> T) -> T {
    let mut kept = KEPT.take().unwrap_or_default();
    let result = work(&mut kept);
    if kept.buffer.capacity() > KEPT_BUFFER_BYTES_MAX {
        kept.buffer = String::new();
    }
    KEPT.set(Some(kept));
    result
}

/// Writes a Python mapping as a canonical JSON object and passes the text to `work`.
///
/// Errors: `InvalidArgument` when it is no mapping or holds what JSON cannot; `LimitExceeded` when
/// the text would be longer than any op.
#[inline]
pub(crate) fn with_document<T>(
    document: &Bound<'_, PyAny>,
    work: impl FnOnce(&str) -> PyResult<T>,
) -> PyResult<T> {
    with_kept(|kept| {
        // Taken out, so that the buffer stays whole should `work` convert too.
        let mut text = std::mem::take(&mut kept.buffer);
        text.clear();
        let written = encode::write_document(document, &mut kept.names_in, &mut text);
        let result = written.and_then(|()| work(&text));
        kept.buffer = text;
        result
    })
}

/// Writes any Python value as canonical JSON text. Errors: those of [`with_document`].
pub(crate) fn to_json(value: &Bound<'_, PyAny>, out: &mut String) -> PyResult<()> {
    with_kept(|kept| encode::write_value(value, &mut kept.names_in, out))
}

/// Writes a Python mapping as a canonical JSON object. Errors: those of [`with_document`].
pub(crate) fn document_to_json(document: &Bound<'_, PyAny>, out: &mut String) -> PyResult<()> {
    with_kept(|kept| encode::write_document(document, &mut kept.names_in, out))
}

/// Makes a Python object of JSON text from the engine. Errors: `IntegrityError` when it is none.
pub(crate) fn to_python<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    with_kept(|kept| decode::read(py, text, &mut kept.names_out))
}

/// Bytes of texts that are made objects of before other threads are let in: about ten milliseconds' work.
///
/// Another thread asks for the GIL after five milliseconds of waiting, and only who was asked hands it over. Let go of
/// more often, it is taken again before the other has woken, and its five milliseconds begin anew.
const AT_ONCE_BYTES: usize = 1 << 20;

/// Makes a Python list of JSON texts, one object each; other threads, and signals, are let in between.
pub(crate) fn to_python_list<'py>(
    py: Python<'py>,
    mut texts: impl ExactSizeIterator<Item = impl AsRef<str>>,
) -> PyResult<Bound<'py, PyList>> {
    let mut objects = Vec::with_capacity(texts.len());
    loop {
        let mut left_bytes = AT_ONCE_BYTES;
        with_kept(|kept| {
            while left_bytes > 0
                && let Some(text) = texts.next()
            {
                let text = text.as_ref();
                objects.push(decode::read(py, text, &mut kept.names_out)?);
                left_bytes = left_bytes.saturating_sub(text.len() + 1);
            }
            PyResult::Ok(())
        })?;
        if texts.len() == 0 {
            return PyList::new(py, objects);
        }
        // Nothing is borrowed here: a handler of a signal may ask the database something itself.
        py.check_signals()?;
        py.detach(|| ());
    }
}

/// Lets `fill` write a text into this thread's buffer, and makes a Python object of it if it says
/// that there is one. `fill` is done, and holds no lock, before any Python object is made.
#[inline]
pub(crate) fn fill_and_read<'py>(
    py: Python<'py>,
    fill: impl FnOnce(&mut String) -> PyResult<bool>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    with_kept(|kept| {
        kept.buffer.clear();
        if !fill(&mut kept.buffer)? {
            return Ok(None);
        }
        let Kept { buffer, names_out, .. } = kept;
        decode::read(py, buffer, names_out).map(Some)
    })
}
