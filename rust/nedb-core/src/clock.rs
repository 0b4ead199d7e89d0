//! The only source of time.
//!
//! A database is given a [`Clock`]; a test or a conformance case gives a [`ManualClock`], so that
//! every run of it writes the same bytes.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time as seconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync {
    /// Returns now, in seconds since 1970, never NaN.
    fn now_seconds(&self) -> f64;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_seconds(&self) -> f64 {
        // A machine set before 1970 counts as 1970: a log must not hold a time that is no number.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
    }
}

/// How long something takes: nothing that is written depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
}

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Self {
        Stopwatch { begun: Instant::now() }
    }

    /// Returns the time since it began, in microseconds.
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock {
    now_seconds: Mutex<f64>,
}

impl ManualClock {
    /// Makes a clock that stands at `now_seconds`.
    pub fn new(now_seconds: f64) -> Self {
        ManualClock { now_seconds: Mutex::new(now_seconds) }
    }

    /// Moves the clock to `now_seconds`.
    pub fn set(&self, now_seconds: f64) {
        *self.now_seconds.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = now_seconds;
    }
}

impl Clock for ManualClock {
    fn now_seconds(&self) -> f64 {
        *self.now_seconds.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
