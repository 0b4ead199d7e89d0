//! The end of a log: what a crash has left, or damage.

use super::unfinished_repair::UnfinishedRepair;
use crate::db::open_report::OpenReport;
use crate::error::{Error, Result};
use crate::log::{Damage, Fault, ReplayEnd};
use crate::store::{CutFile, Directory, StoredFile};
use crate::views::State;
use std::sync::Arc;

/// What is known while a directory is being opened.
pub(in crate::db) struct Opening {
    pub directory: Directory,
    pub file: Arc<dyn StoredFile>,
    pub report: OpenReport,
    pub durable_bytes: Option<u64>,
    pub len_bytes: u64,
}

impl Opening {
    /// Settles the tail, and makes sure for a writer that what is left is on the disk.
    pub fn settle(&mut self, end: &ReplayEnd, state: &State, for_writing: bool) -> Result<()> {
        self.settle_tail(end, state, for_writing)?;
        match for_writing && self.report.damage.is_none() {
            true => self.rewrite_unsure(state),
            false => Ok(()),
        }
    }

    /// Decides what the end of the replay was: the end of the log, a crash tail, or damage.
    pub fn settle_tail(&mut self, end: &ReplayEnd, state: &State, for_writing: bool) -> Result<()> {
        if let Some((seq, key)) = &state.uncovered {
            self.report.warnings.push(format!("op {seq} has a member {key:?} that no hash covers"));
        }
        let Some(fault) = &end.fault else {
            if let Some(durable_bytes) = self.durable_bytes.filter(|it| *it > self.len_bytes) {
                // No crash takes what was synced. To write on would fork the history.
                self.report.damage = Some(Damage {
                    seq: end.next_seq,
                    offset_bytes: end.offset_bytes,
                    reason: format!(
                        "the log is {} bytes shorter than what was synced: ops are missing at its \
                         end (if an older log was put in its place on purpose, delete LOCK)",
                        durable_bytes - self.len_bytes
                    ),
                });
                return Ok(());
            }
            if end.lacks_newline && for_writing {
                self.file
                    .append(b"\n")
                    .and_then(|()| self.file.sync())
                    .map_err(|error| Error::storage("end the log's last line", error))?;
            }
            return Ok(());
        };
        if !self.is_crash_tail(end, fault) {
            self.report.damage = Some(Damage {
                seq: end.next_seq,
                offset_bytes: end.offset_bytes,
                reason: fault.reason(),
            });
        } else if for_writing {
            let CutFile { path, bytes } =
                self.directory.cut_log(&*self.file, end.offset_bytes, end.next_seq)?;
            self.report.warnings.push(format!(
                "{bytes} bytes after op {} were left by a crash; they are kept in {}",
                end.next_seq - 1,
                path.display()
            ));
            (self.report.cut_bytes, self.report.cut_file) = (bytes, Some(path));
        }
        Ok(())
    }

    /// Writes what nobody has seen synced once more: a sync may have failed in a process before.
    fn rewrite_unsure(&self, state: &State) -> Result<()> {
        let end_bytes = state.log.len_bytes();
        // Without a `LOCK` only the last line may have been given its newline.
        let mut sure_bytes = self.durable_bytes.unwrap_or(end_bytes.saturating_sub(1));
        // What was synced before a repair that was not acknowledged is not what stands there now.
        if let Some(UnfinishedRepair { cut, .. }) = UnfinishedRepair::of(state)?
            && cut.synced_bytes == self.durable_bytes
        {
            sure_bytes = sure_bytes.min(cut.offset_bytes);
        }
        if sure_bytes < end_bytes { self.directory.rewrite_log(sure_bytes) } else { Ok(()) }
    }

    /// A crash leaves lines that are not well-formed, and only where nothing was acknowledged.
    fn is_crash_tail(&self, end: &ReplayEnd, fault: &Fault) -> bool {
        let Fault::NotWellFormed(_) = fault else { return false };
        match self.durable_bytes {
            Some(durable_bytes) => end.offset_bytes >= durable_bytes,
            None => end.is_last_line,
        }
    }
}
