//! What is known of a log while no lock is held.

use crate::db::database::Database;
use crate::error::Result;
use crate::op::Seq;
use crate::store::LogBytes;
use std::sync::Arc;

/// What is known of a log while no lock is held.
pub(in crate::db) struct KnownLog {
    pub bytes: Option<Arc<dyn LogBytes>>,
    pub end_bytes: u64,
    pub head: String,
    pub seq: Seq,
}

impl Database {
    /// Returns what is known of the log now.
    pub(in crate::db) fn known_log(&self) -> Result<KnownLog> {
        let state = self.inner.engine.read()?;
        Ok(KnownLog {
            bytes: state.log.disk_bytes().map(Arc::clone),
            end_bytes: state.log.len_bytes(),
            head: state.head.clone(),
            seq: state.views.seq,
        })
    }
}
