//! The keys seen lately.
//!
//! Documents of one collection have the same keys again and again. On the way in, the text of a
//! key is found by the identity of its `str` (literals and attribute names are one object each);
//! on the way out, its `str` is found by its text.
//!
//! Invariants:
//! * An entry holds a reference to its `str`, so that no other object can have its address.
//! * The tables do not grow: a new key takes the place of another.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use rustc_hash::FxHasher;

use super::encode::write_string;
use crate::error::invalid;

/// Places in a table; a power of two, so that a hash is cut by a mask.
const PLACES_COUNT: usize = 256;
/// Longer keys are not kept.
const NAME_BYTES_MAX: usize = 64;

/// A key as it is sorted and as it is written.
pub(super) struct Name {
    /// Its characters.
    pub(super) text: String,
    /// Its spelling in canonical text, with quotes and colon.
    pub(super) spelling: String,
}

/// The texts of keys, by the identity of the `str`.
pub(super) struct NamesIn {
    places: Vec<Option<(Py<PyString>, Rc<Name>)>>,
}

impl Default for NamesIn {
    fn default() -> Self {
        NamesIn { places: std::iter::repeat_with(|| None).take(PLACES_COUNT).collect() }
    }
}

impl NamesIn {
    /// Returns the text of a key.
    pub(super) fn of(&mut self, key: &Bound<'_, PyString>) -> PyResult<Rc<Name>> {
        // Objects lie at multiples of 16.
        let place = self.places.get_mut((key.as_ptr() as usize >> 4) % PLACES_COUNT);
        if let Some(Some((known, name))) = &place
            && known.as_ptr() == key.as_ptr()
        {
            return Ok(Rc::clone(name));
        }
        let name = Rc::new(Name::of(key)?);
        if let Some(place) = place
            && name.text.len() <= NAME_BYTES_MAX
        {
            *place = Some((key.clone().unbind(), Rc::clone(&name)));
        }
        Ok(name)
    }
}

impl Name {
    /// Reads a key.
    fn of(key: &Bound<'_, PyString>) -> PyResult<Self> {
        let text = utf8(key, |text| Ok(text.to_owned()))?;
        let mut spelling = String::with_capacity(text.len() + 3);
        write_string(&text, &mut spelling);
        spelling.push(':');
        Ok(Name { text, spelling })
    }
}

/// Passes the UTF-8 text of a `str` to `work`; a lone surrogate is an `InvalidArgument`.
#[inline]
pub(super) fn utf8<T>(
    string: &Bound<'_, PyString>,
    work: impl FnOnce(&str) -> PyResult<T>,
) -> PyResult<T> {
    let py = string.py();
    let bytes = string.encode_utf8().map_err(|error| {
        if error.is_instance_of::<PyUnicodeEncodeError>(py) {
            invalid(py, "a string holds a lone surrogate, which no UTF-8 text can")
        } else {
            error
        }
    })?;
    match std::str::from_utf8(bytes.as_bytes()) {
        Ok(text) => work(text),
        Err(_) => Err(invalid(py, "a string is not Unicode text")),
    }
}

/// The `str` objects of keys, by their text.
pub(super) struct NamesOut {
    places: Vec<Option<(Box<str>, Py<PyString>)>>,
}

impl Default for NamesOut {
    fn default() -> Self {
        NamesOut { places: std::iter::repeat_with(|| None).take(PLACES_COUNT).collect() }
    }
}

impl NamesOut {
    /// Returns the `str` of a key.
    #[inline]
    pub(super) fn of<'py>(&mut self, py: Python<'py>, text: &str) -> Bound<'py, PyString> {
        if text.len() > NAME_BYTES_MAX {
            return PyString::new(py, text);
        }
        let mut hasher = FxHasher::default();
        text.hash(&mut hasher);
        // The upper bits of a multiplicative hash are the mixed ones.
        let Some(place) = self.places.get_mut((hasher.finish() >> 32) as usize % PLACES_COUNT)
        else {
            return PyString::new(py, text);
        };
        match place {
            Some((known, name)) if **known == *text => name.bind(py).clone(),
            _ => {
                let name = PyString::new(py, text);
                *place = Some((text.into(), name.clone().unbind()));
                name
            }
        }
    }
}
