//! Indexes: made, and listed.

use crate::db::check;
use crate::db::database::Database;
use crate::db::restore::{Changed, META_CONTEXT, definitions_text, remove_saved};
use crate::error::{Error, ErrorCode, Result};
use crate::fold::backfill;
use crate::json::Path as FieldPath;
use crate::limits::INDEXES_COUNT_MAX;
use crate::snapshot::IndexKind;
use crate::views::State;
use crate::views::index::CollectionIndexes;

impl Database {
    /// Adds an index on a field, a dotted path, and folds the documents that are there into it.
    ///
    /// An index that exists stays as it is. On a disk the definition survives reopening.
    ///
    /// Cost: one text read for every version ever written; readers go on meanwhile, writers wait.
    /// Errors: `InvalidArgument`, `LimitExceeded`, `ReadOnly`, `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub fn create_index(&self, collection: &str, field: &str, kind: IndexKind) -> Result<()> {
        self.create_indexes(&[(collection, field, kind)])
    }

    /// Adds indexes, each on a field of a collection: all of them or, with an error, none.
    ///
    /// Cost: as one for each of their collections, and one sync. Errors: as `create_index`.
    pub fn create_indexes(&self, wanted: &[(&str, &str, IndexKind)]) -> Result<()> {
        wanted.iter().try_for_each(|(collection, field, _)| check::index(collection, field))?;
        // No op is appended, but the writer is held: what is folded in must not change meanwhile.
        self.inner.engine.check_process()?;
        let mut barrier = self.inner.engine.barrier();
        barrier.check_takes_writes()?;
        let built = with_indexes(&*self.inner.engine.read()?, wanted)?;
        if built.is_empty() {
            return Ok(());
        }
        if let Some(directory) = &self.inner.directory {
            let _held = self.inner.checkpoints.hold_files();
            let text = definitions_text(&*self.inner.engine.read()?, Some(&built));
            directory.write_meta(&self.inner.protection.seal_text(META_CONTEXT, &text)?)?;
            // The file that is there lacks the index: it is no use any more, and only a warning at opening.
            remove_saved(directory, |_| true);
            self.inner.checkpoints.set_covered_seq(-1);
        }
        let replaced = barrier.amend(|state| {
            let replace = |(collection, indexes)| {
                let number = state.views.documents.add_collection(collection);
                state.views.indexes.replace(number, indexes)
            };
            built.into_iter().map(replace).collect::<Vec<_>>()
        });
        drop(barrier);
        // Nobody waits for that.
        drop(replaced);
        Ok(())
    }

    /// Returns every index: collection, field, kind.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn indexes(&self) -> Result<Vec<(String, String, IndexKind)>> {
        let state = self.inner.engine.read()?;
        let named = |(collection, kind, path): (u32, IndexKind, FieldPath)| {
            let name = state.views.documents.collection_name(collection).to_owned();
            (name, path.to_string(), kind)
        };
        Ok(state.views.indexes.definitions().into_iter().map(named).collect())
    }
}

/// Makes the indexes of every collection that has not all that are wanted, with its documents folded in.
///
/// Errors: `LimitExceeded`, before anything is folded; `StorageError`, `IntegrityError`.
fn with_indexes<'a>(state: &State, wanted: &[(&'a str, &str, IndexKind)]) -> Result<Changed<'a>> {
    let (documents, indexes) = (&state.views.documents, &state.views.indexes);
    let mut count = indexes.definitions().len();
    let mut changed = Changed::new();
    for (collection, field, kind) in wanted {
        let path = FieldPath::parse(field);
        let known = documents.collection(collection).and_then(|number| indexes.of(number));
        if known.is_some_and(|known| known.has(*kind, &path)) {
            continue;
        }
        let place = changed.iter().position(|(it, _)| it == collection);
        let is_new = match place.and_then(|place| changed.get_mut(place)) {
            Some((_, indexes)) => indexes.add(*kind, path),
            None => {
                let mut indexes = known.map_or_else(Default::default, CollectionIndexes::emptied);
                indexes.add(*kind, path);
                changed.push((*collection, indexes));
                true
            }
        };
        count += usize::from(is_new);
        if is_new && count > INDEXES_COUNT_MAX {
            return Err(Error::new(
                ErrorCode::LimitExceeded,
                format!("a database has at most {INDEXES_COUNT_MAX} indexes"),
            ));
        }
    }
    for (collection, indexes) in &mut changed {
        if let Some(number) = documents.collection(collection) {
            backfill(state, number, indexes)?;
        }
    }
    Ok(changed)
}
