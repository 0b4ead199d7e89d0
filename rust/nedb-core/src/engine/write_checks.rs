//! Whether writes are taken, and whether they would be again.

use super::engine::Engine;
use super::writer::Writer;
use crate::error::{Error, ErrorCode, Result};
use crate::log::Damage;
use std::sync::Arc;

impl Engine {
    /// Returns why the last write did not come into the log, or may not have; None once one has.
    ///
    /// Cost: a load; it waits for nobody who writes.
    pub fn write_trouble(&self) -> Option<Arc<Error>> {
        self.trouble.known()
    }

    /// Checks that writes are taken, and that no line of the log was found not to hold since it was opened:
    /// a repair would cut off what is written after it.
    ///
    /// Whoever has the writer has seen to `check_process` before. Errors: as `Writer::check_takes_writes`, `ReadOnly`.
    pub(super) fn check_takes_writes(&self, writer: &Writer) -> Result<()> {
        writer.check_takes_writes()?;
        let state = self.state.read();
        if let Some(reason) = &state.wrong_views {
            return Err(Error::new(ErrorCode::ReadOnly, reason.clone()));
        }
        state.log_damage().map_or(Ok(()), |damage| Err(damaged_behind(damage)))
    }

    /// Checks that a write would be taken now.
    ///
    /// Errors: `DatabaseClosed`, `DatabaseLocked`, `ReadOnly`, `CommitUnknown`.
    pub fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        self.check_process()?;
        self.check_takes_writes(&self.writer.lock())
    }

    /// Checks that no write has failed on its way to the disk: what such a one has left is known only once the
    /// log is read again.
    ///
    /// Errors: `CommitUnknown`.
    pub fn check_is_known(&self) -> Result<()> {
        match self.writer.lock().check_takes_writes() {
            Err(error) if error.code() == ErrorCode::CommitUnknown => Err(error),
            _ => Ok(()),
        }
    }

    /// Checks that the log is still where it was opened; one in memory always is.
    ///
    /// Errors: `StorageError`.
    pub fn check_in_place(&self) -> Result<()> {
        let Some(directory) = &self.setup.directory else { return Ok(()) };
        let bytes = self.read_though_closed()?.log.disk_bytes().cloned();
        bytes.map_or(Ok(()), |bytes| directory.check_log_in_place(&*bytes)).map_err(|error| {
            Error::storage(format!("the log of {}", directory.path().display()), error)
        })
    }

    /// Tries whether writes would be taken again after one that was refused: whether the log is in its place, and
    /// there is room beside it.
    ///
    /// Cost: a small file is written, synced and removed. Errors: `StorageError`, `CommitUnknown`.
    pub fn probe_writes(&self) -> Result<()> {
        self.check_in_place()?;
        if let Some(directory) = &self.setup.directory {
            directory.probe_room()?;
        }
        // A write may have failed meanwhile: that trouble is another, and stays.
        let writer = self.writer.lock();
        writer.check_takes_writes()?;
        self.trouble.note(None);
        Ok(())
    }

    /// Tells whether a write has failed on its way to the disk.
    pub fn has_failed(&self) -> bool {
        matches!(self.writer.lock().refusal, Some((ErrorCode::CommitUnknown, _)))
    }
}

/// Makes the refusal of a write to a database in whose log a line was found not to hold after it was opened.
fn damaged_behind(damage: &Damage) -> Error {
    Error::new(
        ErrorCode::ReadOnly,
        format!(
            "the log is damaged at op {}: {}; what is written now would be cut off with everything after \
             it: run repair(), which keeps the damaged log beside",
            damage.seq, damage.reason
        ),
    )
}
