//! The views beside the log that they were folded from.

use super::{Version, Views};
use crate::error::Result;
use crate::hash::ZERO_HASH;
use crate::log::{Damage, LogReader, WantedText};
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
    /// Why the views are not those of the log, once that was found: nothing is written on from them.
    pub wrong_views: Option<String>,
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
            wrong_views: None,
        }
    }

    /// Returns the first line of the log that was found not to hold. What was met through wrong views is no damage
    /// of the log.
    pub fn log_damage(&self) -> Option<&Damage> {
        self.log.damage().filter(|_| self.wrong_views.is_none())
    }

    /// Tells whether a line of the log was found not to hold, or the views.
    pub fn is_damaged(&self) -> bool {
        self.wrong_views.is_some() || self.log.damage().is_some()
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
