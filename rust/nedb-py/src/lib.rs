//! NEDB for Python: the extension module `nedb._native`.
//!
//! In: Python objects. Out: Python objects. Between them a document is JSON text, which is all that
//! the engine sees.
//!
//! | file | what it owns |
//! |---|---|
//! | `arguments` | the checked form of each kind of argument |
//! | `clock` | the clock that a caller may give |
//! | `convert` | Python objects ⇄ canonical JSON text |
//! | `database` | the class `NEDB` |
//! | `engine` | how the engine is called: with or without the GIL |
//! | `error` | the exception classes |
//! | `files` | files, and the class `FileReader` |
//! | `keys` | what is told of keys, and `rewrap_key` |
//! | `log` | `db.log`: the ops as a sequence |
//! | `query` | `db.q(...)`: queries composed by calls |
//! | `transaction` | `db.transaction()` |
//!
//! Invariants:
//! * A binding converts, calls and maps: no rule of the database is decided here.
//! * No Python code runs while the engine holds a lock, and the GIL is released wherever the engine
//!   may block for long, so that threads neither wait in a circle nor for nothing.
//! * Every error is one of the classes of `error`; a missing or unknown argument is Python's own
//!   `TypeError`.

mod arguments;
mod clock;
mod convert;
mod database;
mod engine;
mod error;
mod files;
mod keys;
mod log;
mod progress;
mod query;
mod transaction;

use pyo3::prelude::*;

/// Fills the module `nedb._native`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::add_to(module)?;
    module.add_class::<database::Nedb>()?;
    module.add_class::<files::PyFileReader>()?;
    module.add_class::<log::Op>()?;
    module.add_class::<log::OpLog>()?;
    module.add_class::<query::Query>()?;
    module.add_class::<transaction::Transaction>()?;
    module.add_function(wrap_pyfunction!(keys::rewrap_key, module)?)?;
    log::register_sequence(module.py())?;
    module.add("__version__", python_version(env!("CARGO_PKG_VERSION")))
}

/// Spells Cargo's version as Python's packages are numbered: `2.0.0-alpha.1` is `2.0.0a1`.
fn python_version(cargo: &str) -> String {
    cargo.replace("-alpha.", "a").replace("-beta.", "b").replace("-rc.", "rc")
}
