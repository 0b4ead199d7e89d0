//! A repair that was not acknowledged and whose op stands all the same, finished.

use super::report::RepairReport;
use crate::db::database::Database;
use crate::db::restore::{UnfinishedRepair, remove_saved_from};
use crate::engine::{Log, Next};
use crate::error::{Error, Result};
use crate::log::Damage;
use crate::store::{Directory, LogFile, LogStore};

impl Database {
    /// Finishes a repair that an attempt before has carried out and that was not acknowledged; None where there is
    /// none.
    ///
    /// Cost: the log, read and written. Errors: `DatabaseLocked`, `StorageError`, and it may be called again.
    pub(in crate::db) fn finish_repair(
        &self,
        directory: &Directory,
        damage: &Damage,
    ) -> Result<Option<RepairReport>> {
        let mut barrier = self.inner.engine.barrier();
        let (unfinished, end_bytes) = {
            let state = self.inner.engine.read()?;
            (UnfinishedRepair::of(&state)?, state.log.len_bytes())
        };
        let log = directory.open_log(false)?;
        let len_bytes = log.len_bytes().map_err(|error| Error::storage("read the log", error))?;
        let synced_bytes = directory.durable_bytes();
        // An attempt to finish it may have come as far as `LOCK`.
        let is_its_own = |it: &UnfinishedRepair| {
            synced_bytes == it.cut.synced_bytes || synced_bytes == Some(end_bytes)
        };
        let is_at_the_end = damage.offset_bytes == end_bytes && len_bytes <= end_bytes;
        let Some(unfinished) = unfinished.filter(|it| is_at_the_end && is_its_own(it)) else {
            return Ok(None);
        };
        let lock = directory.lock()?;
        let log = directory.open_log(true)?;
        if len_bytes < end_bytes {
            log.append(b"\n").map_err(|error| Error::storage("end the log's last line", error))?;
        }
        directory.rewrite_log(0)?;
        let mut store = LogFile::new(directory, log, lock, end_bytes);
        store.sync().map_err(|error| Error::storage("sync the repaired log", error))?;
        remove_saved_from(directory, unfinished.seq);
        let UnfinishedRepair { cut, seq, reason, damaged_file } = unfinished;
        let first = Damage { seq, offset_bytes: cut.offset_bytes, reason };
        let kept = directory.path().join(damaged_file);
        let log = Some(Log::Disk(Box::new(store)));
        let report = self.repaired(&first, cut.cut_bytes, kept.clone())?;
        let next = Next { state: None, log, is_durable: true };
        self.inner.install(&mut barrier, next, report);
        Ok(Some(RepairReport::of_a_cut(first, cut.cut_bytes, kept)))
    }
}
