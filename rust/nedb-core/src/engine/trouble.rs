//! Why the last write did not come into the log, or may not have.

use crate::error::Error;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why the last write did not come into the log, or may not have.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    known: Mutex<Option<Arc<Error>>>,
    is_known: AtomicBool,
}

impl Trouble {
    /// Notes why writes do not come into the log, or that they do.
    pub fn note(&self, trouble: Option<Error>) {
        let is_trouble = trouble.is_some();
        // Nobody waits for a lock to hear that all is well still.
        if is_trouble || self.is_known.load(Ordering::Relaxed) {
            let mut known = self.known.lock();
            *known = trouble.map(Arc::new);
            self.is_known.store(is_trouble, Ordering::Relaxed);
        }
    }

    /// Returns why; None once a write has come into the log.
    ///
    /// Cost: a load while all is well.
    pub fn known(&self) -> Option<Arc<Error>> {
        match self.is_known.load(Ordering::Relaxed) {
            true => self.known.lock().clone(),
            false => None,
        }
    }
}
