//! Indexes, verification, sweeping, closing.

use super::check;
use super::derived::{DerivedDamage, write_derived};
use super::open::{OpenReport, write_damage, write_texts};
use super::options::WriteOptions;
use super::protect::META_CONTEXT;
use super::restore::remove_saved;
use super::write::{Target, delete_draft};
use super::{Database, Inner};
use crate::error::{Error, ErrorCode, Result};
use crate::fold::backfill;
use crate::json::{Path as FieldPath, write_string};
use crate::limits::INDEXES_COUNT_MAX;
use crate::log::{Damage, Verification, read_log_bytes, verify};
use crate::op::Seq;
use crate::snapshot::IndexKind;
use crate::store::{Directory, LogBytes};
use crate::views::State;
use crate::views::index::CollectionIndexes;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Who a sweep writes as, so that its nonces are nobody else's.
const SWEEP_CLIENT: &str = "__ttl__";

/// What checking a log found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Whether the log and what is derived from it hold: there is neither of the two damages.
    pub ok: bool,
    /// How many ops from the start hold.
    pub op_count: u64,
    /// The hash after the last of them.
    pub head: String,
    /// What is wrong with the log: the first op that does not hold.
    pub damage: Option<Damage>,
    /// What is wrong with what was derived from it: a sealed checkpoint file that is another, or views that came from
    /// one that no op seals and that are not those of the log. Nothing is lost by it.
    pub derived_damage: Option<DerivedDamage>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl VerifyReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"damage\":");
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"derived_damage\":");
        write_derived(self.derived_damage.as_ref(), &mut out);
        out.push_str(",\"head\":");
        write_string(&self.head, &mut out);
        out.push_str(&format!(",\"ok\":{},\"op_count\":{},\"warnings\":", self.ok, self.op_count));
        write_texts(&self.warnings, &mut out);
        out.push('}');
        out
    }
}

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
        self.inner.check_process()?;
        let writer = self.inner.lock_when_idle();
        self.inner.check_open()?;
        self.inner.check_takes_writes(&writer)?;
        let built = with_indexes(&self.inner.state.read(), wanted)?;
        if built.is_empty() {
            return Ok(());
        }
        if let Some(directory) = &self.inner.directory {
            let _held = self.inner.checkpoints.hold_files();
            let text = self.inner.meta_text(Some(&built));
            directory.write_meta(&self.inner.protection.seal_text(META_CONTEXT, &text)?)?;
            // The file that is there lacks the index: it is no use any more, and only a warning at opening.
            remove_saved(directory, |_| true);
            self.inner.checkpoints.set_covered_seq(-1);
        }
        let mut state = self.inner.state.write();
        let mut replaced = Vec::with_capacity(built.len());
        for (collection, indexes) in built {
            let number = state.views.documents.add_collection(collection);
            replaced.push(state.views.indexes.replace(number, indexes));
        }
        drop(state);
        drop(writer);
        // Nobody waits for that.
        drop(replaced);
        Ok(())
    }

    /// Returns every index: collection, field, kind.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn indexes(&self) -> Result<Vec<(String, String, IndexKind)>> {
        let state = self.inner.read_state()?;
        let named = |(collection, kind, path): (u32, IndexKind, FieldPath)| {
            let name = state.views.documents.collection_name(collection).to_owned();
            (name, path.to_string(), kind)
        };
        Ok(state.views.indexes.definitions().into_iter().map(named).collect())
    }

    /// Deletes every document whose end has come, one op each, and returns how many.
    ///
    /// Errors: `ReadOnly`, `DatabaseClosed`, `CommitUnknown`.
    pub fn sweep(&self) -> Result<u64> {
        let options =
            WriteOptions { client: Some(SWEEP_CLIENT.to_owned()), ..WriteOptions::default() };
        let checked = check::options(&options)?;
        self.inner.write(|group| {
            let now = group.now_seconds();
            let candidates = group.with_state(|state| due(state, now));
            let mut count = 0;
            for (collection, id) in &candidates {
                // It may have been put again or deleted by a write that is not folded yet.
                if group.pending_version(collection, id).is_some() {
                    continue;
                }
                let draft = delete_draft(&Target { collection, id }, &checked);
                group.stage_owned(draft)?;
                group.note_staged();
                count += 1;
            }
            Ok(count)
        })
    }

    /// Reads the log again and tells whether every hash, every link and every payload holds, and what is derived
    /// from it too: a checkpoint file must have the hash that its op says, and views that came from one that no op
    /// seals must be those that the log says. The bytes of files, of which the log holds the roots, are not read:
    /// that is `verify_files`.
    ///
    /// Cost: one hash an op, on all cores; once after opening from a checkpoint that no op seals, that of
    /// `verify_determinism`. Errors: `DatabaseClosed`, `StorageError`, `IntegrityError` where the log changed meanwhile.
    pub fn verify(&self) -> Result<bool> {
        Ok(self.verify_report()?.ok)
    }

    /// Does what `verify` does, and says what does not hold, where and why: the log, or what is derived from it. A
    /// checkpoint file that is broken and was not used is a warning.
    ///
    /// Errors: as `verify`.
    pub fn verify_report(&self) -> Result<VerifyReport> {
        // What reads have met is in the log and found again, or it was the views that were wrong.
        let report = self.opening_report();
        let (_, found, damage) = self.verify_log(&report)?;
        let mut warnings = report.warnings;
        let derived_damage = self.derived_damage(damage.is_none(), &mut warnings)?;
        if let Some((seq, key)) = found.uncovered {
            warnings.push(format!("op {seq} has a member {key:?} that no hash covers"));
        }
        warnings.sort();
        warnings.dedup();
        Ok(VerifyReport {
            ok: damage.is_none() && derived_damage.is_none(),
            op_count: found.op_count,
            head: found.head,
            damage,
            derived_damage,
            warnings,
        })
    }

    /// Checks the log, and nothing but the log; returns what is known of it, and the first damage.
    pub(super) fn verify_log(
        &self,
        report: &OpenReport,
    ) -> Result<(KnownLog, Verification, Option<Damage>)> {
        let known = self.known_log()?;
        // Beside damage the end is that of the file: what is wrong is still there to be named.
        let end_bytes = match (&report.damage, &known.bytes) {
            (Some(_), Some(bytes)) => {
                bytes.len_bytes().map_err(|error| Error::storage("read the log", error))?
            }
            _ => known.end_bytes,
        };
        // The lock is held for one chunk at a time, and not at all for a log on a disk.
        let mut read = |offset, bytes_max, out: &mut _| match &known.bytes {
            Some(bytes) => {
                self.inner.check_open()?;
                read_log_bytes(&**bytes, offset, bytes_max, out)
            }
            None => self.inner.read_state()?.log.read_bytes(offset, bytes_max, out),
        };
        let found = verify(end_bytes, &self.inner.protection, &mut read)?;
        if let Some(damage) = &found.damage {
            self.inner.wait_to_read()?.log.note_damage(damage);
        }
        let is_known = found.head == known.head && found.op_count as Seq == known.seq + 1;
        // The first of all is named.
        let is_other = (!is_known && found.damage.is_none()).then(|| Damage {
            seq: found.op_count as Seq,
            offset_bytes: end_bytes,
            reason: "the log is no longer the one that was opened: it holds other ops".to_owned(),
        });
        let is_gone = self.inner.check_in_place().err().map(|error| Damage {
            seq: found.op_count as Seq,
            offset_bytes: end_bytes,
            reason: error.to_string(),
        });
        let damages = report.damage.iter().chain(&found.damage).chain(&is_other).chain(&is_gone);
        let damage = damages.min_by_key(|damage| damage.seq).cloned();
        Ok((known, found, damage))
    }

    /// Returns what is known of the log now.
    pub(super) fn known_log(&self) -> Result<KnownLog> {
        let state = self.inner.read_state()?;
        Ok(KnownLog {
            bytes: state.log.disk_bytes().map(Arc::clone),
            end_bytes: state.log.len_bytes(),
            head: state.head.clone(),
            seq: state.views.seq,
        })
    }

    /// Returns once everything acknowledged is on the disk, also after a write that failed: of that its own call
    /// was told, and it was not acknowledged.
    ///
    /// Errors: `DatabaseClosed`; `CommitUnknown` once a sync has failed of what was acknowledged before: it may be
    /// on the disk or not, and no later sync tells.
    pub fn flush(&self) -> Result<()> {
        self.inner.check_open()?;
        self.inner.check_process()?;
        self.inner.sync_now()?;
        self.inner.check_in_place()
    }

    /// Returns the seq of the last op that is known to be on the disk; in memory, of the last op.
    ///
    /// With `Durability::Always` it is the seq of the last op.
    pub fn durable_seq(&self) -> Seq {
        match self.inner.directory {
            Some(_) => self.inner.durable_seq.load(Ordering::Acquire),
            None => self.seq(),
        }
    }

    /// Closes the database for every handle and lets another process write. Closing twice is harmless.
    ///
    /// Its files are closed too, whoever holds a handle or a reader still; calls that are under way end first.
    ///
    /// Where many ops came since the last checkpoint, the views are saved first, so that the next opening
    /// is quick; that this failed is a warning in the open report.
    ///
    /// Errors: `CommitUnknown` when what was acknowledged may not be on the disk, since the last sync failed or one
    /// before it; `StorageError` when the log is no longer where it was opened. It is closed all the same.
    pub fn close(&self) -> Result<()> {
        if self.is_closed() {
            return Ok(());
        }
        if self.inner.check_process().is_err() {
            // The lock and the log are the parent's: this copy of the handle only stops being used.
            self.inner.is_closed.store(true, Ordering::Release);
            return Ok(());
        }
        self.inner.checkpoints.stop();
        let (mut writer, synced) = self.inner.lock_when_synced();
        let synced = match self.inner.options.read_only {
            false => synced.and_then(|()| self.inner.check_in_place()),
            true => synced,
        };
        if self.inner.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // What may not be on the disk is not to be saved.
        if synced.is_ok() && self.inner.check_takes_writes(&writer).is_ok() {
            self.inner.save_at_the_end();
        }
        self.inner.drop_encryption_note();
        writer.close();
        drop(writer);
        // It may wait for the writer.
        self.inner.committer.stop();
        self.inner.let_go_of_files();
        synced
    }

    /// Tells whether a call made now would wait for another thread: a hint for a host that holds a lock
    /// of its own and lets go of it before it waits.
    ///
    /// Cost: two loads at the most.
    pub fn would_wait(&self, writes: bool) -> bool {
        match writes {
            // A writer that waits keeps readers out too.
            false => self.inner.state.try_read().is_none(),
            true => self.inner.state.is_locked() || self.inner.writer.is_locked(),
        }
    }

    /// Tells whether the handle was closed.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed.load(Ordering::Acquire)
    }

    /// Tells whether writes are refused: opened read-only, damaged as far as is known, or after a write that
    /// failed.
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
            || self.inner.report.lock().damage.is_some()
            || self.inner.wait_to_read().is_ok_and(|state| state.log.damage().is_some())
            || self.inner.has_failed()
    }

    /// Returns the directory, or None in memory.
    pub fn path(&self) -> Option<&Path> {
        self.inner.directory.as_ref().map(Directory::path)
    }
}

impl Inner {
    /// Closes what is open of the log and of the packs, and gives back the memory of texts.
    fn let_go_of_files(&self) {
        self.state.write().log.close();
        self.packs.close();
        if let Some(directory) = &self.directory {
            directory.close();
        }
        *self.legacy.lock() = None;
    }

    /// Returns `meta.json`, with the indexes of some collections as they will be.
    pub(super) fn meta_text(&self, changed: Option<&Changed<'_>>) -> String {
        let state = self.state.read();
        let others = state.views.indexes.definitions().into_iter().map(|(number, kind, path)| {
            (state.views.documents.collection_name(number).to_owned(), path.to_string(), kind)
        });
        let mine = changed.into_iter().flatten().flat_map(|(collection, indexes)| {
            let named = move |(kind, path): (IndexKind, &FieldPath)| {
                ((*collection).to_owned(), path.to_string(), kind)
            };
            indexes.definitions().map(named)
        });
        let is_changed =
            |name: &str| changed.is_some_and(|changed| changed.iter().any(|(it, _)| *it == name));
        let all = others.filter(|(name, _, _)| !is_changed(name)).chain(mine);
        let mut out = String::from("{\"indexes\":[");
        for (place, (name, field, kind)) in all.enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push('[');
            write_string(&name, &mut out);
            out.push(',');
            write_string(&field, &mut out);
            out.push_str(&format!(",\"{}\"]", kind.as_str()));
        }
        out.push_str("]}\n");
        out
    }
}

/// The indexes of collections as they will be, in the order in which the collections were named.
type Changed<'a> = Vec<(&'a str, CollectionIndexes)>;

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

/// Returns the documents whose end has come, soonest first, those with one end in the order written:
/// collections are not numbered in an order that the log knows, since an index may make one.
fn due(state: &State, now_seconds: f64) -> Vec<(String, String)> {
    let documents = &state.views.documents;
    let with_order = |(collection, document)| {
        let version = documents.versions(collection, document).last()?;
        let end = documents.expires_at(collection, version)?;
        let name = documents.collection_name(collection).to_owned();
        Some((end, version.seq, version.item, name, documents.id(collection, document).to_owned()))
    };
    let mut due: Vec<(f64, Seq, u32, String, String)> =
        state.views.expiry.due(now_seconds).filter_map(with_order).collect();
    due.sort_by(|left, right| {
        left.0.total_cmp(&right.0).then((left.1, left.2).cmp(&(right.1, right.2)))
    });
    due.into_iter().map(|(_, _, _, collection, id)| (collection, id)).collect()
}

/// What is known of a log while no lock is held.
pub(super) struct KnownLog {
    pub bytes: Option<Arc<dyn LogBytes>>,
    pub end_bytes: u64,
    pub head: String,
    pub seq: Seq,
}
