//! JSON text → a Python object.
//!
//! In: text that the engine gave, so it is canonical; white space and any escape are understood
//! all the same. Out: `dict`, `list`, `str`, `int` of any size, `float`, `bool`, `None`.
//!
//! Invariants:
//! * Text that is no JSON is an `IntegrityError`: the engine never gives it.
//! * Nesting is bounded by the deepest that the engine reads.

use std::borrow::Cow;

use memchr::memchr2;
use nedb_core::Error;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};

use super::names::NamesOut;
use crate::error::to_python;

/// Deepest nesting that is followed: the deepest line of NEDB 1.x, and what stands around it.
const DEPTH_MAX: usize = 1_024;

/// Makes a Python object of a JSON text.
pub(super) fn read<'py>(
    py: Python<'py>,
    text: &str,
    names: &mut NamesOut,
) -> PyResult<Bound<'py, PyAny>> {
    let mut decoder = Decoder { py, rest: text, names, depth: 0 };
    let value = decoder.value()?;
    decoder.skip_blanks();
    if decoder.rest.is_empty() { Ok(value) } else { Err(decoder.broken()) }
}

/// Reads one text; `rest` is what is left of it.
struct Decoder<'py, 't, 'n> {
    py: Python<'py>,
    rest: &'t str,
    names: &'n mut NamesOut,
    depth: usize,
}

impl<'py, 't> Decoder<'py, 't, '_> {
    /// Reads a value.
    fn value(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.skip_blanks();
        match self.rest.as_bytes().first() {
            Some(b'"') => {
                let raw = self.raw_string()?;
                Ok(PyString::new(self.py, &unescape(raw)).into_any())
            }
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b't') => self.word("true", true),
            Some(b'f') => self.word("false", false),
            Some(b'n') => {
                self.literal("null")?;
                Ok(self.py.None().into_bound(self.py))
            }
            _ => self.number(),
        }
    }

    /// Reads `true` or `false`.
    fn word(&mut self, word: &str, truth: bool) -> PyResult<Bound<'py, PyAny>> {
        self.literal(word)?;
        Ok(PyBool::new(self.py, truth).to_owned().into_any())
    }

    /// Reads an object; of two equal keys the last counts, as in Python.
    fn object(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.enter()?;
        let dict = PyDict::new(self.py);
        if !self.ends_at_once("}") {
            loop {
                self.skip_blanks();
                let raw = self.raw_string()?;
                let name = match unescape(raw) {
                    Cow::Borrowed(plain) => self.names.of(self.py, plain),
                    Cow::Owned(escaped) => PyString::new(self.py, &escaped),
                };
                self.skip_blanks();
                self.literal(":")?;
                dict.set_item(name, self.value()?)?;
                if !self.goes_on("}")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(dict.into_any())
    }

    /// Reads an array.
    fn array(&mut self) -> PyResult<Bound<'py, PyAny>> {
        self.enter()?;
        let list = PyList::empty(self.py);
        if !self.ends_at_once("]") {
            loop {
                list.append(self.value()?)?;
                if !self.goes_on("]")? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(list.into_any())
    }

    /// Reads a number: a token with a point or an exponent is a float, any other an int.
    fn number(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = self.rest.bytes().take_while(of_number).count();
        let Some((token, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.broken());
        };
        self.rest = rest;
        if let Ok(integer) = token.parse::<i64>() {
            return Ok(PyInt::new(self.py, integer).into_any());
        }
        if token.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            let float = token.parse::<f64>().map_err(|_| self.broken())?;
            return Ok(PyFloat::new(self.py, float).into_any());
        }
        if token.is_empty() {
            return Err(self.broken());
        }
        self.py.get_type::<PyInt>().call1((token,))
    }

    /// Takes a string without its quotes and with its escapes.
    fn raw_string(&mut self) -> PyResult<&'t str> {
        self.literal("\"")?;
        let mut length = 0;
        loop {
            let rest = self.rest.as_bytes().get(length..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else { return Err(self.broken()) };
            length += found;
            if rest.get(found) == Some(&b'"') {
                break;
            }
            // The byte after a backslash is never the closing quote.
            length += 2;
        }
        let split = self.rest.split_at_checked(length);
        let (raw, rest) = split.ok_or_else(|| self.broken())?;
        self.rest = rest;
        self.literal("\"")?;
        Ok(raw)
    }

    /// Begins a nested value, at its bracket.
    fn enter(&mut self) -> PyResult<()> {
        self.rest = self.rest.get(1..).unwrap_or_default();
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.broken()) } else { Ok(()) }
    }

    /// Takes the closing bracket of an empty object or array.
    fn ends_at_once(&mut self, close: &str) -> bool {
        self.skip_blanks();
        let Some(rest) = self.rest.strip_prefix(close) else { return false };
        self.rest = rest;
        true
    }

    /// Takes the comma before a next member (true) or the closing bracket (false).
    #[inline]
    fn goes_on(&mut self, close: &str) -> PyResult<bool> {
        self.skip_blanks();
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return Ok(true);
        }
        self.literal(close)?;
        Ok(false)
    }

    /// Takes a text that must stand here.
    #[inline]
    fn literal(&mut self, text: &str) -> PyResult<()> {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.broken()),
        }
    }

    /// Skips white space.
    #[inline]
    fn skip_blanks(&mut self) {
        if matches!(self.rest.as_bytes().first(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        }
    }

    /// Makes the error of a text that is no JSON.
    #[cold]
    fn broken(&self) -> PyErr {
        let left = self.rest.len();
        let message = format!("a stored text is no JSON, {left} bytes before its end");
        to_python(self.py, &Error::integrity(message))
    }
}

/// Returns what a raw string stands for; a lone surrogate is U+FFFD.
#[inline]
fn unescape(raw: &str) -> Cow<'_, str> {
    match memchr::memchr(b'\\', raw.as_bytes()) {
        None => Cow::Borrowed(raw),
        Some(_) => Cow::Owned(unescape_slowly(raw)),
    }
}

/// Replaces the escapes of a raw string.
fn unescape_slowly(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escape.chars();
        let (character, after) = match characters.next() {
            Some('u') => code_point(characters.as_str()),
            Some('n') => ('\n', characters.as_str()),
            Some('r') => ('\r', characters.as_str()),
            Some('t') => ('\t', characters.as_str()),
            Some('b') => ('\u{8}', characters.as_str()),
            Some('f') => ('\u{c}', characters.as_str()),
            Some(itself) => (itself, characters.as_str()),
            None => (char::REPLACEMENT_CHARACTER, ""),
        };
        text.push(character);
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Reads the digits after `\u`, and the second half of a surrogate pair; returns what follows too.
fn code_point(digits: &str) -> (char, &str) {
    let Some((unit, rest)) = unit(digits) else { return (char::REPLACEMENT_CHARACTER, digits) };
    let low = rest.strip_prefix("\\u").and_then(unit_of_low);
    match (unit, low) {
        (0xd800..=0xdbff, Some((low, after))) => {
            let point = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), after)
        }
        _ => (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), rest),
    }
}

/// Reads four hexadecimal digits.
fn unit(digits: &str) -> Option<(u32, &str)> {
    let (digits, rest) = digits.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Reads four hexadecimal digits that are the second half of a surrogate pair.
fn unit_of_low(digits: &str) -> Option<(u32, &str)> {
    unit(digits).filter(|(unit, _)| (0xdc00..=0xdfff).contains(unit))
}
