//! The bytes of files of an open database: for everyone who reads or writes one, until it is closed.
//!
//! In: a store of chunks. Out: the same store, for the length of one call.
//!
//! Invariants:
//! * Once the database is closed nobody is given the store, and its files are closed when the calls that are
//!   under way are over; a reader that a host still holds keeps none of them open.
//! * A reader goes on when the handle it came from is dropped and not closed.

use crate::blob::ChunkStore;
use crate::error::{Error, Result};
use parking_lot::RwLock;
use std::sync::Arc;

/// Where the bytes of files are, as long as the database is open.
#[derive(Debug)]
pub(super) struct Packs {
    store: RwLock<Option<Arc<ChunkStore>>>,
}

impl Packs {
    /// Makes it of a store.
    pub fn new(store: ChunkStore) -> Arc<Packs> {
        Arc::new(Packs { store: RwLock::new(Some(Arc::new(store))) })
    }

    /// Returns the store, to be held for one call.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn store(&self) -> Result<Arc<ChunkStore>> {
        self.store.read().clone().ok_or_else(Error::closed)
    }

    /// Lets go of the store.
    pub fn close(&self) {
        *self.store.write() = None;
    }
}
