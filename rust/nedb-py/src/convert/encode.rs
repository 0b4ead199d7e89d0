//! A Python object → canonical JSON text.
//!
//! In: `None`, `bool`, `int`, `float`, `str`, `list`, `tuple`, `dict`, their subclasses, any other
//! mapping, nested. Out: compact text with sorted keys, strings as UTF-8 with the canonical
//! escapes, floats as `repr` spells them.
//!
//! Invariants:
//! * What cannot be written exactly is an error, never rounded, replaced or left out.
//! * No Python code runs between the first and the last member of a `dict` being read.

use std::fmt::Write;
use std::rc::Rc;

use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use super::names::{Name, NamesIn, utf8};
use super::number::write_float;
use crate::error::{invalid, limit};

/// Deepest nesting that is followed. The engine's own bound is lower; this one ends a circle.
const DEPTH_MAX: usize = 192;
/// Longest text that is written: the engine's bound for one op. It ends a value that holds itself
/// many times over without being a circle.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Writes a document. Errors: see [`super::with_document`].
pub(super) fn write_document(
    document: &Bound<'_, PyAny>,
    names: &mut NamesIn,
    out: &mut String,
) -> PyResult<()> {
    let mut encoder = Encoder { names, out, depth: 0 };
    match as_dict(document)? {
        Some(dict) => encoder.object(&dict),
        None => {
            Err(invalid(document.py(), format!("a document is a dict, got {}", kind(document))))
        }
    }
}

/// Writes any value. Errors: see [`super::with_document`].
pub(super) fn write_value(
    value: &Bound<'_, PyAny>,
    names: &mut NamesIn,
    out: &mut String,
) -> PyResult<()> {
    Encoder { names, out, depth: 0 }.value(value)
}

/// Returns the mapping as a `dict`, or None when it is no mapping.
fn as_dict<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(Some(dict.clone()));
    }
    let Ok(mapping) = value.cast::<PyMapping>() else { return Ok(None) };
    let dict = PyDict::new(value.py());
    dict.update(mapping)?;
    Ok(Some(dict))
}

/// Names the type of a value, for a message.
fn kind(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Writes one text.
struct Encoder<'e> {
    names: &'e mut NamesIn,
    out: &'e mut String,
    depth: usize,
}

impl Encoder<'_> {
    /// Writes a value. The commonest types come first, and `bool` before `int`, which it is too.
    fn value(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(string) = value.cast::<PyString>() {
            return self.string(string);
        }
        if let Ok(truth) = value.cast::<PyBool>() {
            self.out.push_str(if truth.is_true() { "true" } else { "false" });
            return Ok(());
        }
        if let Ok(integer) = value.cast::<PyInt>() {
            return self.integer(integer);
        }
        if let Ok(float) = value.cast::<PyFloat>() {
            return self.float(float);
        }
        if value.is_none() {
            self.out.push_str("null");
            return Ok(());
        }
        if let Ok(list) = value.cast::<PyList>() {
            return self.array(value, list.iter());
        }
        if let Ok(tuple) = value.cast::<PyTuple>() {
            return self.array(value, tuple.iter());
        }
        match as_dict(value)? {
            Some(dict) => self.object(&dict),
            None => Err(invalid(
                value.py(),
                format!("a value of type {} cannot be stored as JSON", kind(value)),
            )),
        }
    }

    /// Writes a string.
    fn string(&mut self, string: &Bound<'_, PyString>) -> PyResult<()> {
        utf8(string, |text| {
            write_string(text, self.out);
            Ok(())
        })?;
        self.check_length(string.as_any())
    }

    /// Writes an integer from -2^63 to 2^64-1.
    fn integer(&mut self, integer: &Bound<'_, PyInt>) -> PyResult<()> {
        // Writing to a String does not fail.
        let _ = if let Ok(signed) = integer.extract::<i64>() {
            write!(self.out, "{signed}")
        } else if let Ok(unsigned) = integer.extract::<u64>() {
            write!(self.out, "{unsigned}")
        } else {
            return Err(invalid(
                integer.py(),
                "an integer must be from -9223372036854775808 to 18446744073709551615",
            ));
        };
        Ok(())
    }

    /// Writes a finite float.
    fn float(&mut self, float: &Bound<'_, PyFloat>) -> PyResult<()> {
        let value = float.value();
        if !value.is_finite() {
            return Err(invalid(float.py(), "NaN and the infinities are not JSON"));
        }
        write_float(value, self.out);
        Ok(())
    }

    /// Writes an array.
    fn array<'py>(
        &mut self,
        array: &Bound<'py, PyAny>,
        elements: impl Iterator<Item = Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.enter(array)?;
        self.out.push('[');
        for (position, element) in elements.enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            self.value(&element)?;
        }
        self.out.push(']');
        self.leave(array)
    }

    /// Writes an object, its keys in the order of their code points.
    fn object(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.enter(dict.as_any())?;
        let mut members = Vec::with_capacity(dict.len());
        // Without the GIL, the section keeps other threads from changing what is being read.
        with_critical_section(dict.as_any(), || {
            for (key, value) in dict {
                members.push((self.name(&key)?, value));
            }
            PyResult::Ok(())
        })?;
        // The order of UTF-8 bytes is that of code points.
        members.sort_unstable_by(|(left, _), (right, _)| left.text.cmp(&right.text));
        self.out.push('{');
        for (position, (name, value)) in members.iter().enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            self.out.push_str(&name.spelling);
            self.value(value)?;
        }
        self.out.push('}');
        self.leave(dict.as_any())
    }

    /// Returns the text of a key.
    fn name(&mut self, key: &Bound<'_, PyAny>) -> PyResult<Rc<Name>> {
        match key.cast::<PyString>() {
            Ok(key) => self.names.of(key),
            Err(_) => Err(invalid(key.py(), format!("a key is a str, got {}", kind(key)))),
        }
    }

    /// Begins a nested value.
    fn enter(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(limit(value.py(), "the value is circular or nested too deeply"));
        }
        Ok(())
    }

    /// Ends a nested value.
    fn leave(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.depth -= 1;
        self.check_length(value)
    }

    /// Refuses a text that has become longer than an op can be.
    #[inline]
    fn check_length(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.out.len() > TEXT_BYTES_MAX {
            let message = format!("the text is longer than {TEXT_BYTES_MAX} bytes");
            return Err(limit(value.py(), message));
        }
        Ok(())
    }
}

/// Writes a string in quotes with the canonical escapes: `"`, `\`, what is below space, and DEL.
#[inline]
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let escaped = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f);
    if text.as_bytes().iter().any(escaped) {
        text.chars().for_each(|character| write_character(character, out));
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// Writes one character of a string.
fn write_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\0'..='\u{1f}' | '\u{7f}' => {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        plain => out.push(plain),
    }
}
