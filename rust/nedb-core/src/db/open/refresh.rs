//! A database that was opened read-only, moved on to what a writer has done since.
//!
//! In: the directory as it is now. Out: the ops that were synced, the indexes that were made or dropped, the
//! packs that took others' places; or why there is nothing to go on from.
//!
//! Invariants:
//! * What was read stays what is shown: where the log does not go on from its last line, nothing changes.
//! * What another process does to a file by putting a new one in its place is seen: each file is opened anew.

use super::open_directory::readable_bytes;
use crate::db::database::{Database, Inner};
use crate::db::restore::{Definition, has_indexes, read_definitions, replay_into};
use crate::error::{Error, Result};
use crate::fold::backfill;
use crate::log::{Fault, ReplayEnd};
use crate::op::Seq;
use crate::store::{Directory, LogBytes, StoredFile};
use crate::views::State;
use crate::views::index::CollectionIndexes;
use std::sync::Arc;

/// Indexes that a collection is to have.
type Changed = Vec<(String, CollectionIndexes)>;

impl Database {
    /// Reads on in a database that was opened read-only: what a writer has synced since. Returns seq.
    ///
    /// Indexes that were made or dropped, packs that were compacted and a repair of what was not read yet
    /// are followed. A repair that took back ops which were read, and encryption in place, cannot be: the
    /// error says to open the database again, and what was read before can be read still as far as it is there.
    ///
    /// Cost: a read of the last line and of `meta.json`; what came since; one text read for every version of
    /// a collection that has a new index. Errors: `DatabaseClosed`, `StorageError`, `KeyRequired` when it was
    /// encrypted, `IntegrityError` when the log does not go on from what was read, or is damaged after it.
    pub fn refresh(&self) -> Result<Seq> {
        let inner = &*self.inner;
        // One at a time.
        let mut held = inner.engine.hold_writer();
        inner.engine.check_open()?;
        let (Some(directory), true) = (&inner.directory, inner.options.read_only) else {
            return Ok(self.seq());
        };
        let file = directory.open_log(false)?;
        // In this order: the key is there before the log is replaced.
        inner.check_not_encrypted_since()?;
        // In this order: a length seen first may end within a batch that is synced a moment later.
        let synced_bytes = directory.durable_bytes();
        let len_bytes = file.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let end_bytes = readable_bytes(directory, synced_bytes, len_bytes);
        inner.check_goes_on(&*file)?;
        inner.packs.follow(directory, &inner.protection)?;
        let changed = inner.changed_indexes(directory)?;
        let (seq, end) = held.amend(|state| {
            state.take_indexes(changed);
            state.log.read_from(Arc::clone(&file) as Arc<dyn LogBytes>);
            let end = replay_into(state, &*file, end_bytes, &mut |_| Ok(()));
            (state.views.seq, end)
        });
        let end = end?;
        check_end(&end, synced_bytes)?;
        if synced_bytes.is_none_or(|synced_bytes| synced_bytes <= len_bytes) {
            // What opening found was repaired.
            inner.report.lock().damage = None;
        }
        Ok(seq)
    }
}

impl Inner {
    /// Checks that a log begins with everything that was read.
    fn check_goes_on(&self, file: &dyn StoredFile) -> Result<()> {
        let state = self.engine.read()?;
        if state.log.is_begun_by(file, &state.head)? {
            return Ok(());
        }
        Err(Error::integrity(format!(
            "the log no longer holds op {} as it was read: it was repaired, or another log was put in its \
             place; open the database again",
            state.views.seq
        )))
    }

    /// Returns the indexes of each collection that is to have others than it has.
    fn changed_indexes(&self, directory: &Directory) -> Result<Changed> {
        let definitions = read_definitions(directory, &self.protection, &mut Vec::new())?;
        let state = self.engine.read()?;
        if has_indexes(&state.views, &definitions) {
            return Ok(Changed::new());
        }
        let defined = definitions.iter().map(|(collection, _, _)| collection.clone());
        let known = state.views.indexes.definitions().into_iter();
        let known =
            known.map(|(number, _, _)| state.views.documents.collection_name(number).to_owned());
        let mut names: Vec<String> = defined.chain(known).collect();
        names.sort();
        names.dedup();
        let changed = names.into_iter().map(|name| {
            let indexes = state.indexes_as_defined(&name, &definitions)?;
            Ok(indexes.map(|indexes| (name, indexes)))
        });
        changed.filter_map(Result::transpose).collect()
    }
}

impl State {
    /// Makes the indexes that a collection is to have; None where it has them.
    fn indexes_as_defined(
        &self,
        name: &str,
        definitions: &[Definition],
    ) -> Result<Option<CollectionIndexes>> {
        let mut wanted = CollectionIndexes::default();
        for (_, path, kind) in definitions.iter().filter(|(collection, _, _)| collection == name) {
            wanted.add(*kind, path.clone());
        }
        let Some(number) = self.views.documents.collection(name) else { return Ok(Some(wanted)) };
        let is_known = |existing: &CollectionIndexes| {
            existing.definitions().count() == wanted.definitions().count()
                && existing.definitions().all(|(kind, path)| wanted.has(kind, path))
        };
        if self.views.indexes.of(number).is_some_and(is_known) {
            return Ok(None);
        }
        backfill(self, number, &mut wanted)?;
        Ok(Some(wanted))
    }

    fn take_indexes(&mut self, changed: Changed) {
        for (name, indexes) in changed {
            let number = self.views.documents.add_collection(&name);
            self.views.indexes.replace(number, indexes);
        }
    }
}

fn check_end(end: &ReplayEnd, synced_bytes: Option<u64>) -> Result<()> {
    match &end.fault {
        None => Ok(()),
        // Without a `LOCK` to say so, the end of the file may be a line that is being written.
        Some(Fault::NotWellFormed(_)) if synced_bytes.is_none() && end.is_last_line => Ok(()),
        Some(fault) => Err(Error::integrity(format!(
            "the log is damaged at op {}: {}; what was read before is there still, and repair(), in a process that \
             opens the database for writing, makes it whole, and keeps the damaged log beside",
            end.next_seq,
            fault.reason()
        ))),
    }
}
