//! The views beside the log that they were folded from.

use super::{Checkpoint, Version, Views};
use crate::error::Result;
use crate::hash::ZERO_HASH;
use crate::log::{LogReader, WantedText};
use crate::op::{Op, Seq};

pub(crate) use crate::log::TextRef;

/// What a read looks at: views that say where, a log that says what.
pub(crate) struct State {
    pub views: Views,
    pub log: LogReader,
    /// The hash after the last op that was folded in.
    pub head: String,
    /// The first member found that no hash covers, and its op.
    pub uncovered: Option<(Seq, String)>,
    /// The checkpoint that the views go on from, where no op seals it and nobody has compared them with the log since:
    /// they may say anything.
    pub unsealed_seq: Option<Seq>,
}

impl State {
    /// Makes the state of an empty log.
    pub fn new(log: LogReader) -> Self {
        State {
            views: Views::default(),
            log,
            head: ZERO_HASH.to_owned(),
            uncovered: None,
            unsealed_seq: None,
        }
    }

    /// Goes on from a checkpoint, in place of an empty log. Whoever finds its seal in the log says so.
    pub fn restore(&mut self, checkpoint: Checkpoint) {
        let Checkpoint { views, head, log, uncovered } = checkpoint;
        self.log.restore_lines(log.starts, log.end);
        (self.views, self.head, self.uncovered) = (views, head, uncovered);
        self.unsealed_seq = Some(self.views.seq);
    }

    /// Returns the stored text of a version.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn version_text(
        &self,
        collection: &str,
        id: &str,
        version: &Version,
    ) -> Result<TextRef<'_>> {
        self.log.text(&wanted(collection, id, version))
    }

    /// Returns the stored text of a version where it is in memory.
    pub fn held_version_text(
        &self,
        collection: &str,
        id: &str,
        version: &Version,
    ) -> Option<TextRef<'_>> {
        self.log.held_text(&wanted(collection, id, version))
    }

    /// Hands an op of the log to `look`.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn with_op<T>(&self, seq: Seq, look: impl FnOnce(&Op<'_>) -> T) -> Result<T> {
        self.log.with_fields(seq, |fields| Ok(look(&fields.to_op()?)))
    }
}

/// Names the text that a version of a document has in the log.
pub(crate) fn wanted<'w>(collection: &'w str, id: &'w str, version: &Version) -> WantedText<'w> {
    let Version { seq, item, place, .. } = *version;
    WantedText { seq, item, place, collection, id }
}
