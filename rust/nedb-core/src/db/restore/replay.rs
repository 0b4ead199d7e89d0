//! A log on a disk as a state: from the newest checkpoint file that fits it, or from its first line.
//!
//! In: a directory, its log, the definitions of its indexes. Out: a state, where the log ended, and what
//! was wrong with the checkpoint files that were not used.
//!
//! Invariants:
//! * A checkpoint is used only when the log holds the op that it says it ends with, hash and all, and
//!   has the indexes that `meta.json` names. Whatever else is wrong with it is a warning, never an error.
//! * A file is complete before it has its name, and older ones are removed only after.

use super::checkpoint_files::{ignored, read_saved, saved_seqs, seal_in};
use super::index_definitions::{Definition, has_indexes};
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::fold::fold;
use crate::hash::{ZERO_HASH, hash_of};
use crate::json::Path as FieldPath;
use crate::log::{LogReader, ReplayEnd, ReplayStart, replay};
use crate::op::{Op, Seq};
use crate::snapshot::IndexKind;
use crate::store::{Directory, LogBytes, StoredFile};
use crate::views::index::CollectionIndexes;
use crate::views::{Checkpoint, State, Unusable};
use std::sync::Arc;

/// What a state is made from.
pub(in crate::db) struct LogSource<'a> {
    pub directory: &'a Directory,
    pub protection: &'a Arc<Protection>,
    pub file: &'a Arc<dyn StoredFile>,
    pub definitions: &'a [Definition],
    /// Where reading stops.
    pub end_bytes: u64,
    pub cache_bytes: usize,
    /// Whether files that go beyond `end_bytes` are to be expected, as beside a writer.
    pub may_be_ahead: bool,
}

/// A log that was folded.
pub(in crate::db) struct Folded {
    pub state: State,
    pub end: ReplayEnd,
    /// The checkpoint that it was folded from.
    pub checkpoint_seq: Option<Seq>,
    /// Whether the op after that checkpoint seals it.
    pub is_sealed: bool,
    pub warnings: Vec<String>,
}

/// Is told of each op that is folded; may end it with an error.
pub(in crate::db) type OnOp<'a> = &'a mut (dyn FnMut(&Op<'_>) -> Result<()> + Send);

/// Makes a state of a log: loads the newest checkpoint that fits, and folds what came after it.
///
/// Cost: a read of the checkpoint, one pass over the rest of the log.
/// Errors: `StorageError`, and what `on_op` returns.
pub(in crate::db) fn fold_log(source: &LogSource<'_>, on_op: OnOp<'_>) -> Result<Folded> {
    let mut warnings = Vec::new();
    // A directory may be one that we may write to and not list.
    let seqs = saved_seqs(source.directory).unwrap_or_else(|error| {
        warnings.push(format!("checkpoints are not looked for: {error}"));
        Vec::new()
    });
    for seq in seqs.into_iter().rev() {
        let mut ignore = |Unusable(reason): Unusable| {
            warnings.push(ignored(&Checkpoint::file_name(seq), &reason));
        };
        match load(source, seq) {
            Ok(None) => {}
            Err(unusable) => ignore(unusable),
            Ok(Some(loaded)) => match loaded.fold_rest(source, on_op)? {
                Err(unusable) => ignore(unusable),
                Ok((state, end, is_sealed)) => {
                    let checkpoint_seq = Some(seq);
                    return Ok(Folded { state, end, checkpoint_seq, is_sealed, warnings });
                }
            },
        }
    }
    let (state, end) = fold_from_start(source, on_op)?;
    Ok(Folded { state, end, checkpoint_seq: None, is_sealed: false, warnings })
}

/// Makes a state of a log without a look at checkpoints.
///
/// Errors: `StorageError`, and what `on_op` returns.
pub(in crate::db) fn fold_from_start(
    source: &LogSource<'_>,
    on_op: OnOp<'_>,
) -> Result<(State, ReplayEnd)> {
    let mut state = source.empty_state();
    for (collection, path, kind) in source.definitions {
        add_index(&mut state, collection, path.clone(), *kind);
    }
    let end = replay_into(&mut state, &**source.file, source.end_bytes, on_op)?;
    Ok((state, end))
}

/// Folds the rest of a log into a state.
pub(in crate::db) fn replay_into(
    state: &mut State,
    bytes: &dyn LogBytes,
    end_bytes: u64,
    on_op: OnOp<'_>,
) -> Result<ReplayEnd> {
    let start = ReplayStart {
        offset_bytes: state.log.len_bytes(),
        next_seq: state.views.seq + 1,
        head: if state.views.seq < 0 { ZERO_HASH.to_owned() } else { state.head.clone() },
    };
    let State { views, log, head, uncovered, .. } = state;
    let protection = log.protection();
    let end = replay(bytes, &protection, start, end_bytes, &mut |step| {
        on_op(&step.op)?;
        log.push_line_bytes(step.line_bytes);
        fold(views, &step.op);
        Ok(())
    })?;
    *head = end.head.clone();
    if uncovered.is_none() {
        uncovered.clone_from(&end.uncovered);
    }
    Ok(end)
}

impl LogSource<'_> {
    fn empty_state(&self) -> State {
        let bytes = Arc::clone(self.file) as Arc<dyn LogBytes>;
        State::new(LogReader::disk(bytes, self.cache_bytes, Arc::clone(self.protection)))
    }
}

/// A checkpoint that fits the log, and its bytes.
struct Loaded {
    state: State,
    bytes: Vec<u8>,
}

impl Loaded {
    /// Folds what came after; unusable when the op right after it seals another file.
    fn fold_rest(
        mut self,
        source: &LogSource<'_>,
        on_op: OnOp<'_>,
    ) -> Result<std::result::Result<(State, ReplayEnd, bool), Unusable>> {
        let sealing_seq = self.state.views.seq + 1;
        let mut seal = None;
        let end = replay_into(&mut self.state, &**source.file, source.end_bytes, &mut |op| {
            if op.seq == sealing_seq {
                seal = seal_in(op);
            }
            on_op(op)
        })?;
        match &seal {
            Some(seal) if *seal != hash_of(&self.bytes) => Ok(Err(Unusable(format!(
                "it is not the file that op {sealing_seq} was written for"
            )))),
            _ => {
                if seal.is_some() {
                    self.state.unsealed_seq = None;
                }
                Ok(Ok((self.state, end, seal.is_some())))
            }
        }
    }
}

/// Tells whether a checkpoint file fits the log, as far as is to be seen without the op that may seal it; one that is
/// gone does.
pub(in crate::db) fn is_usable(source: &LogSource<'_>, seq: Seq) -> bool {
    load(source, seq).is_ok()
}

/// Reads a checkpoint; None when the file is gone, or is ahead where that is to be expected.
fn load(source: &LogSource<'_>, seq: Seq) -> std::result::Result<Option<Loaded>, Unusable> {
    let unusable = |error: Error| Unusable(error.to_string());
    let Some(bytes) = read_saved(source.directory, source.protection, seq).map_err(unusable)?
    else {
        return Ok(None);
    };
    let checkpoint = Checkpoint::decode(&bytes)?;
    if checkpoint.views.seq != seq {
        return Err(Unusable(format!("it was saved at op {}", checkpoint.views.seq)));
    }
    if checkpoint.log.end > source.end_bytes {
        if source.may_be_ahead {
            return Ok(None);
        }
        return Err(Unusable(format!(
            "it was saved when the log was {} bytes long, and it is {} bytes long",
            checkpoint.log.end, source.end_bytes
        )));
    }
    if !has_indexes(&checkpoint.views, source.definitions) {
        return Err(Unusable("it is outdated: it has other indexes than meta.json".to_owned()));
    }
    let mut state = source.empty_state();
    state.restore(checkpoint);
    match state.log.with_fields(seq, |fields| Ok(fields.hash == state.head)) {
        Ok(true) => Ok(Some(Loaded { state, bytes })),
        Ok(false) => Err(Unusable(format!("it is of another log: op {seq} has another hash"))),
        Err(error) => Err(Unusable(format!("it is of another log: {error}"))),
    }
}

/// Adds an empty index to a state that nothing was folded into.
fn add_index(state: &mut State, collection: &str, path: FieldPath, kind: IndexKind) {
    let collection = state.views.documents.add_collection(collection);
    match state.views.indexes.of_mut(collection) {
        Some(indexes) => {
            indexes.add(kind, path);
        }
        None => {
            let mut indexes = CollectionIndexes::default();
            indexes.add(kind, path);
            state.views.indexes.replace(collection, indexes);
        }
    }
}
