//! The clock that a caller may give: a number that stands still, or a callable.
//!
//! A callable is asked before each call of the engine, while no lock is held, and the engine then
//! reads the answer: were it asked from inside, a thread that holds the GIL and waits for the
//! engine's lock would wait for a thread that holds the lock and waits for the GIL.

use std::sync::Arc;

use nedb_core::{Clock, ManualClock, SystemClock};
use pyo3::prelude::*;

use crate::arguments::Real;
use crate::error::invalid;

/// Where a database has its time from.
pub(crate) struct TimeSource {
    clock: Arc<dyn Clock>,
    asked: Option<(Py<PyAny>, Arc<ManualClock>)>,
}

impl TimeSource {
    /// Makes the source from the argument `clock`: None, seconds since 1970, or a callable.
    pub(crate) fn new(clock: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(clock) = clock else {
            return Ok(TimeSource { clock: Arc::new(SystemClock), asked: None });
        };
        if clock.is_callable() {
            let manual = Arc::new(ManualClock::new(0.0));
            let asked = Some((clock.clone().unbind(), Arc::clone(&manual)));
            return Ok(TimeSource { clock: manual, asked });
        }
        let Real(now_seconds) = clock.extract()?;
        let now_seconds = finite(clock.py(), now_seconds)?;
        Ok(TimeSource { clock: Arc::new(ManualClock::new(now_seconds)), asked: None })
    }

    /// Returns the clock that the engine reads.
    pub(crate) fn engine_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Asks the callable, if there is one, for the time of the call that follows.
    #[inline]
    pub(crate) fn tick(&self, py: Python<'_>) -> PyResult<()> {
        if let Some((callable, manual)) = &self.asked {
            let Real(now_seconds) = callable.bind(py).call0()?.extract()?;
            manual.set(finite(py, now_seconds)?);
        }
        Ok(())
    }
}

/// Refuses a time that is no number: a log must not hold one.
fn finite(py: Python<'_>, now_seconds: f64) -> PyResult<f64> {
    if now_seconds.is_finite() {
        Ok(now_seconds)
    } else {
        Err(invalid(py, "the clock must give seconds since 1970 as a finite number"))
    }
}
