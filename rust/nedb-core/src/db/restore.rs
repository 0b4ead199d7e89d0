//! A log on a disk as a state: from the newest checkpoint file that fits it, or from its first line.
//!
//! In: a directory, its log, the definitions of its indexes. Out: a state, where the log ended, and what
//! was wrong with the checkpoint files that were not used.
//!
//! Invariants:
//! * A checkpoint is used only when the log holds the op that it says it ends with, hash and all, and
//!   has the indexes that `meta.json` names. Whatever else is wrong with it is a warning, never an error.
//! * A file is complete before it has its name, and older ones are removed only after.

use super::protect::{damaged_definitions, read_meta};
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::fold::fold;
use crate::hash::{ZERO_HASH, hash_of};
use crate::json::{Path as FieldPath, elements, members, string_text};
use crate::limits::{CHECKPOINT_BYTES_MAX, INDEXES_COUNT_MAX};
use crate::log::{LogReader, ReplayEnd, ReplayStart, replay};
use crate::op::{Op, OpKind, Seq};
use crate::snapshot::IndexKind;
use crate::store::{Directory, LogBytes, OpenHow, StoredFile};
use crate::views::index::CollectionIndexes;
use crate::views::{Checkpoint, State, Unusable, Views};
use std::sync::Arc;

/// What the names of checkpoint files begin with; the seq follows.
const NAME_PREFIX: &str = "checkpoint.";

/// An index as `meta.json` names it: collection, field, kind.
pub(super) type Definition = (String, FieldPath, IndexKind);

/// What a state is made from.
pub(super) struct LogSource<'a> {
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
pub(super) struct Folded {
    pub state: State,
    pub end: ReplayEnd,
    /// The checkpoint that it was folded from.
    pub checkpoint_seq: Option<Seq>,
    /// Whether the op after that checkpoint seals it.
    pub is_sealed: bool,
    pub warnings: Vec<String>,
}

/// Is told of each op that is folded; may end it with an error.
pub(super) type OnOp<'a> = &'a mut (dyn FnMut(&Op<'_>) -> Result<()> + Send);

/// Makes a state of a log: loads the newest checkpoint that fits, and folds what came after it.
///
/// Cost: a read of the checkpoint, one pass over the rest of the log.
/// Errors: `StorageError`, and what `on_op` returns.
pub(super) fn fold_log(source: &LogSource<'_>, on_op: OnOp<'_>) -> Result<Folded> {
    let mut warnings = Vec::new();
    // A directory may be one that we may write to and not list.
    let seqs = saved_seqs(source.directory).unwrap_or_else(|error| {
        warnings.push(format!("checkpoints are not looked for: {error}"));
        Vec::new()
    });
    for seq in seqs.into_iter().rev() {
        let mut ignore = |Unusable(reason): Unusable| {
            warnings.push(ignored(&file_name(seq), &reason));
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
pub(super) fn fold_from_start(
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
pub(super) fn replay_into(
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

/// Returns the hash of the checkpoint file that an op seals.
pub(super) fn seal_in(op: &Op<'_>) -> Option<String> {
    match op.items.as_slice() {
        [item] => match &item.kind {
            OpKind::Checkpoint { views, .. } => views.as_deref().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

/// Says that a checkpoint file is not used.
pub(super) fn ignored(name: &str, reason: &str) -> String {
    format!("the file {name} is ignored: {reason}")
}

/// Tells whether a checkpoint file fits the log, as far as is to be seen without the op that may seal it; one that is
/// gone does.
pub(super) fn is_usable(source: &LogSource<'_>, seq: Seq) -> bool {
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

/// Tells whether views have the indexes that are defined, and no others.
pub(super) fn has_indexes(views: &Views, definitions: &[Definition]) -> bool {
    let sorted = |all: &mut dyn Iterator<Item = (String, FieldPath, &'static str)>| {
        let mut all: Vec<_> = all.collect();
        all.sort();
        all.dedup();
        all
    };
    let found = views.indexes.definitions().into_iter().map(|(collection, kind, path)| {
        (views.documents.collection_name(collection).to_owned(), path, kind.as_str())
    });
    let wanted = definitions.iter();
    let wanted = wanted.map(|(name, path, kind)| (name.clone(), path.clone(), kind.as_str()));
    sorted(&mut { found }) == sorted(&mut { wanted })
}

/// Returns the name of the checkpoint file at a seq.
pub(super) fn file_name(seq: Seq) -> String {
    format!("{NAME_PREFIX}{seq}")
}

/// Returns the seqs of the checkpoint files in a directory, ascending.
///
/// Errors: `StorageError`.
pub(super) fn saved_seqs(directory: &Directory) -> Result<Vec<Seq>> {
    let names = directory.list("")?;
    let mut seqs: Vec<Seq> = names.iter().filter_map(|name| seq_of(name)).collect();
    seqs.sort_unstable();
    Ok(seqs)
}

/// Returns the names of the checkpoint files in a directory; none where it cannot be listed.
pub(super) fn saved_names(directory: &Directory) -> Vec<String> {
    saved_seqs(directory).unwrap_or_default().into_iter().map(file_name).collect()
}

fn seq_of(name: &str) -> Option<Seq> {
    let seq = name.strip_prefix(NAME_PREFIX)?.parse().ok()?;
    // One seq has one name.
    (seq >= 0 && file_name(seq) == name).then_some(seq)
}

/// Reads a checkpoint file whole, or None when there is none.
///
/// Errors: `StorageError`, `LimitExceeded`, `IntegrityError` when it was sealed and does not authenticate.
pub(super) fn read_saved(
    directory: &Directory,
    protection: &Protection,
    seq: Seq,
) -> Result<Option<Vec<u8>>> {
    let name = file_name(seq);
    let file = match directory.open_file(&name, OpenHow::Read) {
        // Beside a writer it may have gone since it was listed.
        Err(_) if !directory.exists(&name) => return Ok(None),
        opened => opened?,
    };
    let len_bytes = file.len_bytes();
    let len_bytes = len_bytes.map_err(|error| Error::storage(format!("read {name}"), error))?;
    if len_bytes > CHECKPOINT_BYTES_MAX {
        return Err(Error::limit(format!("a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes")));
    }
    let sealed = directory.read(&name)?;
    sealed.map(|sealed| protection.open(name.as_bytes(), sealed)).transpose()
}

/// Writes a checkpoint file, and then removes all others.
///
/// Errors: `StorageError`, `LimitExceeded`; the others are there still.
pub(super) fn save(
    directory: &Directory,
    protection: &Protection,
    seq: Seq,
    bytes: Vec<u8>,
) -> Result<()> {
    if bytes.len() as u64 > CHECKPOINT_BYTES_MAX {
        return Err(Error::limit(format!("a checkpoint has at most {CHECKPOINT_BYTES_MAX} bytes")));
    }
    let own = file_name(seq);
    directory.replace(&own, &protection.seal(own.as_bytes(), bytes)?)?;
    remove_saved(directory, |name| name != own);
    Ok(())
}

/// Removes the checkpoint files of which `is_old` is true, and what a crash left of one that was being
/// written; what cannot be removed stays, and is ignored or replaced later.
pub(super) fn remove_saved(directory: &Directory, is_old: impl Fn(&str) -> bool) {
    let names = directory.list("").unwrap_or_default();
    let is_ours = |name: &&String| seq_of(name.strip_suffix(".new").unwrap_or(name)).is_some();
    for name in names.iter().filter(is_ours).filter(|name| is_old(name)) {
        let _gone_or_not = directory.remove(name);
    }
}

/// Removes the checkpoint files at a seq and beyond.
pub(super) fn remove_saved_from(directory: &Directory, first_seq: Seq) {
    remove_saved(directory, |name| seq_of(name).is_none_or(|seq| seq >= first_seq));
}

/// Reads `meta.json`: `{"indexes": [[collection, field, kind], ...]}`. What is no index, or one too many, is added
/// to `warnings`: without it every query has the same result.
///
/// Errors: `StorageError`, `IntegrityError`.
pub(super) fn read_definitions(
    directory: &Directory,
    protection: &Protection,
    warnings: &mut Vec<String>,
) -> Result<Vec<Definition>> {
    let Some(text) = read_meta(directory, protection)? else { return Ok(Vec::new()) };
    let canonical =
        crate::json::canonicalize(&text).map_err(|error| damaged_definitions(error.message()))?;
    let list = members(&canonical).find(|(key, _)| *key == "indexes").map_or("[]", |(_, it)| it);
    let mut definitions = Vec::new();
    for (place, definition) in elements(list).enumerate() {
        if place == INDEXES_COUNT_MAX {
            warnings.push(format!(
                "meta.json names more than {INDEXES_COUNT_MAX} indexes, the most that a database has; the others \
                 are ignored"
            ));
            break;
        }
        let parts: Vec<_> = elements(definition).filter_map(string_text).collect();
        let kind = parts.get(2).map(|kind| IndexKind::parse(kind));
        match (parts.as_slice(), kind) {
            ([collection, field, _], Some(Ok(kind))) => {
                definitions.push((collection.to_string(), FieldPath::parse(field), kind));
            }
            _ => warnings.push(format!(
                "meta.json names an index that is none, {definition}; it is ignored"
            )),
        }
    }
    Ok(definitions)
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
