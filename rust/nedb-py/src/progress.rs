//! A callable that is told how far a long call has come, and what it raises.
//!
//! In: a Python callable, and numbers of bytes from the engine. Out: an error that ends the call, and then the
//! exception that was its cause.
//!
//! Invariant: the engine's thread holds the GIL only while the callable runs.

use std::sync::{Arc, Mutex, PoisonError};

use nedb_core::{Error, Progress, Result};
use pyo3::prelude::*;

use crate::error::invalid;

/// A callable, or none, and the exception that it has raised.
#[derive(Clone)]
pub(crate) struct Listener {
    callable: Option<Arc<Py<PyAny>>>,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Listener {
    /// Takes a callable.
    pub(crate) fn new(callable: Option<&Bound<'_, PyAny>>) -> PyResult<Listener> {
        if let Some(other) = callable.filter(|it| !it.is_callable()) {
            let message = "progress is a callable that takes two numbers of bytes";
            return Err(invalid(other.py(), message));
        }
        let callable = callable.map(|it| Arc::new(it.clone().unbind()));
        Ok(Listener { callable, raised: Arc::default() })
    }

    /// Calls it. An exception is kept, and an error ends what the engine does.
    pub(crate) fn tell(&self, done_bytes: u64, all_bytes: u64) -> Result<()> {
        let Some(callable) = &self.callable else { return Ok(()) };
        Python::attach(|py| callable.call1(py, (done_bytes, all_bytes))).map(drop).map_err(
            |raised| {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(raised);
                Error::invalid("progress raised an exception")
            },
        )
    }

    /// Returns the exception that was raised, or else the error that a call ended with.
    pub(crate) fn raised_or(&self, error: PyErr) -> PyErr {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(error)
    }

    /// Returns it as what the engine tells how far it has come.
    pub(crate) fn as_progress(&self) -> Option<Progress> {
        self.callable.as_ref()?;
        let listener = self.clone();
        Some(Arc::new(move |done_bytes, all_bytes| listener.tell(done_bytes, all_bytes)))
    }
}
