//! How the engine is called from Python: with or without the GIL, and how its errors come back.
//!
//! Invariants:
//! * The GIL is released for every call that may wait for a sync or walk over many documents. A point
//!   read, or a write in memory, keeps it: whoever gives it away while another thread computes waits
//!   until that thread is made to give it back, by default for 5 ms, thousands of times what the call
//!   takes. Keeping it is safe, since whoever holds the engine's lock never waits for the GIL: the
//!   engine calls no Python code.

use std::sync::Arc;

use nedb_core::{Database, Params, Result};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::clock::TimeSource;
use crate::convert;
use crate::error::{of_query, to_python};

/// An engine handle. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Engine {
    database: Database,
    time: Arc<TimeSource>,
    /// True when a write waits for a disk.
    durable: bool,
}

impl Engine {
    /// Takes a handle, where it has its time from, and whether it is on a disk.
    pub(crate) fn new(database: Database, time: TimeSource, durable: bool) -> Self {
        Engine { database, time: Arc::new(time), durable }
    }

    /// Returns the handle, for what neither waits nor fails.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Calls the engine for a point read: with the GIL, unless it would wait for another thread.
    #[inline]
    pub(crate) fn read<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Database) -> Result<T> + Send,
    ) -> PyResult<T> {
        if self.database.would_wait(false) { self.slow(py, work) } else { self.quick(py, work) }
    }

    /// Calls the engine for a write: without the GIL if it waits for a disk or for another thread.
    #[inline]
    pub(crate) fn write<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Database) -> Result<T> + Send,
    ) -> PyResult<T> {
        if self.durable || self.database.would_wait(true) {
            self.slow(py, work)
        } else {
            self.quick(py, work)
        }
    }

    /// Calls the engine for what takes less time than to let go of the GIL.
    #[inline]
    fn quick<T>(&self, py: Python<'_>, work: impl FnOnce(&Database) -> Result<T>) -> PyResult<T> {
        self.time.tick(py)?;
        work(&self.database).map_err(|error| to_python(py, &error))
    }

    /// Calls the engine for what may take long, without the GIL.
    pub(crate) fn slow<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Database) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.time.tick(py)?;
        py.detach(|| work(&self.database)).map_err(|error| to_python(py, &error))
    }

    /// Runs a query whose parameters are a JSON array, a JSON object or, when empty, none.
    pub(crate) fn query<'py>(
        &self,
        py: Python<'py>,
        nql: &str,
        parameters: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        self.time.tick(py)?;
        let run = || {
            let parameters = match parameters {
                "" => Params::none(),
                json => Params::from_json(json)?,
            };
            self.database.query(nql, &parameters)
        };
        let rows = py.detach(run).map_err(|error| of_query(py, &error, nql))?;
        convert::to_python_list(py, rows.iter())
    }
}
