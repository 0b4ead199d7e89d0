//! A clock for tests: it stands at what a file says.

use nedb_core::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes the clock that databases are opened with.
pub fn clock(test_clock: Option<PathBuf>) -> Arc<dyn Clock> {
    match test_clock {
        None => Arc::new(SystemClock),
        Some(path) => Arc::new(FileClock { path }),
    }
}

/// Stands at the number of seconds that a file holds; 0 while it holds none.
struct FileClock {
    path: PathBuf,
}

impl Clock for FileClock {
    fn now_seconds(&self) -> f64 {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite()).unwrap_or(0.0)
    }
}
