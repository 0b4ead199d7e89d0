//! Keys: what `NEDB(...)` is told of them, what the environment says, and `rewrap_key`.
//!
//! In: bytes, and the variables `NEDB_TMK`, `NEDB_TMK_FILE` and `NEDB_ENCRYPT_EXISTING`. Out: options of the
//! engine, which understands them.

use nedb_core::{Options, Result, Tmk, rewrap_key as rewrap};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::database::directory;
use crate::error::{invalid, to_python};

/// Reads a key: bytes or a bytearray.
pub(crate) fn tmk(given: &Bound<'_, PyAny>) -> PyResult<Tmk> {
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Tmk::new(bytes.as_bytes()));
    }
    match given.cast::<PyByteArray>() {
        Ok(bytes) => Ok(Tmk::new(bytes.to_vec())),
        Err(_) => Err(invalid(given.py(), "a key is bytes: for hexadecimal digits, bytes.fromhex")),
    }
}

/// Fills in what the environment says.
pub(crate) fn from_environment(
    options: Options,
    encrypt_existing: Option<bool>,
) -> Result<Options> {
    let variable =
        |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned());
    options.with_environment(encrypt_existing, variable, |path| std::fs::read(path))
}

/// Wraps the data key of the database in `path`, which nobody has open for writing, with another key.
///
/// From then on only the new one opens it; nothing else changes, whatever its size.
#[pyfunction]
pub(crate) fn rewrap_key(
    path: &Bound<'_, PyAny>,
    old_tmk: &Bound<'_, PyAny>,
    new_tmk: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = path.py();
    let (path, old, new) = (directory(path)?, tmk(old_tmk)?, tmk(new_tmk)?);
    py.detach(|| rewrap(path, &old, &new)).map_err(|error| to_python(py, &error))
}
