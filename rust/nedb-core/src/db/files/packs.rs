//! The bytes of files of an open database: for everyone who reads or writes one, until it is closed.
//!
//! In: a store of chunks. Out: the same store, for the length of one call.
//!
//! Invariants:
//! * Once the database is closed nobody is given the store, and its files are closed when the calls that are
//!   under way are over; a reader that a host still holds keeps none of them open.
//! * A store is replaced whole: who reads by the places of one notices that there is another.
//! * A reader goes on when the handle it came from is dropped and not closed.

use crate::blob::ChunkStore;
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::store::{BLOBS_NAME, Directory};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// Where the bytes of files are, as long as the database is open.
#[derive(Debug)]
pub(in crate::db) struct Packs {
    store: RwLock<Option<Arc<ChunkStore>>>,
    /// The names of the packs when the store was made.
    names: Mutex<Vec<String>>,
}

impl Packs {
    /// Makes it of a store.
    pub fn new(store: ChunkStore) -> Arc<Packs> {
        Packs::with_names(store, Vec::new())
    }

    /// Makes it of the store of a directory; where it is not for writing, another process may write.
    ///
    /// Errors: `StorageError`.
    pub fn of_directory(
        directory: &Directory,
        protection: &Arc<Protection>,
        for_writing: bool,
    ) -> Result<Arc<Packs>> {
        if for_writing {
            let store = ChunkStore::new(directory.clone(), Arc::clone(protection), true);
            return Ok(Packs::new(store));
        }
        let names = directory.list(BLOBS_NAME)?;
        Ok(Packs::with_names(reading(directory, protection), names))
    }

    fn with_names(store: ChunkStore, names: Vec<String>) -> Arc<Packs> {
        let store = RwLock::new(Some(Arc::new(store)));
        Arc::new(Packs { store, names: Mutex::new(names) })
    }

    /// Takes another store of a reader's directory where packs were added or removed: those that are gone are
    /// not kept open.
    ///
    /// Cost: one listing; where the packs are others, the next read of a file lists their frames.
    /// Errors: `StorageError`, and the store is what it was then.
    pub fn follow(&self, directory: &Directory, protection: &Arc<Protection>) -> Result<()> {
        let mut known = self.names.lock();
        let names = directory.list(BLOBS_NAME)?;
        if *known != names {
            *self.store.write() = Some(Arc::new(reading(directory, protection)));
            *known = names;
        }
        Ok(())
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

fn reading(directory: &Directory, protection: &Arc<Protection>) -> ChunkStore {
    ChunkStore::new(directory.clone(), Arc::clone(protection), false)
}
