//! Files, checked: every chunk of every version that the log names, and what of it is damaged.
//!
//! In: the ops of the log. Out: a report that names files, versions and chunks.
//!
//! Invariants:
//! * Which versions there are is what the log says, and not what a checkpoint file says of it.
//! * A chunk is right when a read would hand it out: authenticated, decoded and hashed.
//! * One damage hides no other.

use super::damage::{FileDamage, FileDamages};
use super::get_file::{Leaves, Named};
use crate::blob::{ChunkStore, FrameCache, LegacyFiles, Manifest};
use crate::db::database::{Database, Inner};
use crate::error::{Error, ErrorCode, Result};
use crate::hash::{Hash, ZERO_HASH};
use crate::log::{ReplayStart, replay};
use crate::op::{OpKind, Seq};
use crate::snapshot::FileVersion;
use crate::views::Files;
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// What checking the bytes of all files found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyFilesReport {
    /// Whether every chunk of every version can be read.
    pub ok: bool,
    /// How many versions there are.
    pub version_count: u64,
    /// How many different chunks they have, lists of chunks included.
    pub chunk_count: u64,
    /// The length of the versions together.
    pub logical_bytes: u64,
    /// What cannot be read.
    pub damages: FileDamages,
    /// How many chunks no op refers to: what a crash or a put that failed has left, and what puts under way
    /// have stored. `compact_blobs` gives back the first.
    pub unreferenced_chunk_count: u64,
    /// How many frames of packs hold nothing else.
    pub unreferenced_frame_count: u64,
    /// The length of those frames, and of what is no frame, in bytes.
    pub unreferenced_bytes: u64,
}

impl VerifyFilesReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        format!(
            "{{\"chunk_count\":{},{},\"logical_bytes\":{},\"ok\":{},\"unreferenced_bytes\":{},\
             \"unreferenced_chunk_count\":{},\"unreferenced_frame_count\":{},\"version_count\":{}}}",
            self.chunk_count,
            self.damages.to_members(),
            self.logical_bytes,
            self.ok,
            self.unreferenced_bytes,
            self.unreferenced_chunk_count,
            self.unreferenced_frame_count,
            self.version_count
        )
    }
}

impl Database {
    /// Reads the bytes of every version of every file that the log names, and says which chunks cannot be
    /// read, and why. `verify` looks at the log alone, which holds the roots of files and not their bytes.
    ///
    /// `progress` is told the bytes of packs done and in all; an error that it returns ends the check. Reads
    /// and writes go on meanwhile; what is put after the call has begun is not looked at.
    ///
    /// Cost: every byte of the packs is read, decoded and hashed once; the list of chunks of each version is
    /// read; after opening from a checkpoint a pass over the log. Memory of 32 bytes a chunk.
    /// Errors: `DatabaseClosed`; `StorageError`, and `IntegrityError` when the log is damaged, so that it
    /// does not say which files there are; what `progress` returns.
    pub fn verify_files(
        &self,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<VerifyFilesReport> {
        self.inner.engine.check_open()?;
        self.inner.check_not_encrypted_since()?;
        let versions = self.inner.versions_in_log(Seq::MAX)?;
        let store = self.inner.packs.store()?;
        let mut check = Check {
            inner: &self.inner,
            store: &store,
            right: store.right_chunks(progress)?,
            referenced: HashSet::new(),
            cache: FrameCache::new()?,
            report: VerifyFilesReport::default(),
        };
        for (name, version) in &versions {
            self.inner.engine.check_open()?;
            check.version(name, version);
        }
        let Check { referenced, mut report, .. } = check;
        let unreferenced = store.unreferenced(&referenced)?;
        report.ok = report.damages.count == 0;
        report.version_count = versions.len() as u64;
        report.chunk_count = referenced.len() as u64;
        report.unreferenced_chunk_count = unreferenced.chunk_count;
        report.unreferenced_frame_count = unreferenced.frame_count;
        report.unreferenced_bytes = unreferenced.bytes;
        Ok(report)
    }
}

/// A check that is under way.
struct Check<'i> {
    inner: &'i Inner,
    store: &'i ChunkStore,
    /// The names of the chunks that are known to be right.
    right: HashSet<Hash>,
    /// The names of the chunks that versions have.
    referenced: HashSet<Hash>,
    cache: FrameCache,
    report: VerifyFilesReport,
}

impl Check<'_> {
    fn version(&mut self, name: &str, version: &FileVersion) {
        if let Some(content) = version.content {
            self.referenced.insert(self.store.address(&content.manifest));
            self.report.logical_bytes += content.size_bytes;
        }
        let named = Named { name: name.to_owned(), number: version.number };
        match self.inner.bare_leaves_of(&named, version) {
            Ok(Leaves::Packs(manifest)) => self.packed(name, version, &manifest),
            Ok(Leaves::Legacy(files, leaves)) => self.legacy(name, version, &files, &leaves),
            Err(error) => self.report.damages.push(FileDamage::new(name, version, None, &error)),
        }
    }

    fn packed(&mut self, name: &str, version: &FileVersion, manifest: &Manifest) {
        for (place, leaf) in manifest.leaves.iter().enumerate() {
            let address = self.store.address(leaf);
            self.referenced.insert(address);
            if self.right.contains(&address) {
                continue;
            }
            // A compaction may have moved it meanwhile; else this says what is wrong.
            match self.store.with_chunk(leaf, &mut self.cache, |_| ()) {
                Ok(()) => drop(self.right.insert(address)),
                Err(error) => {
                    self.report.damages.push(FileDamage::new(name, version, Some(place), &error));
                }
            }
        }
    }

    fn legacy(&mut self, name: &str, version: &FileVersion, files: &LegacyFiles, leaves: &[Hash]) {
        let mut chunk = Vec::new();
        for (place, leaf) in leaves.iter().enumerate() {
            chunk.clear();
            match files.read_chunk(version.tier, leaf, &mut chunk) {
                Ok(()) => self.report.logical_bytes += chunk.len() as u64,
                Err(error) => {
                    self.report.damages.push(FileDamage::new(name, version, Some(place), &error));
                }
            }
        }
    }
}

impl Inner {
    /// Says of which versions chunks cannot be copied, and whose lists cannot be read.
    ///
    /// Cost: the list of chunks of every version is read. Errors: `DatabaseClosed`.
    pub(in crate::db) fn named_damages(
        &self,
        versions: &[(String, FileVersion)],
        reasons: &HashMap<Hash, Arc<Error>>,
    ) -> Result<FileDamages> {
        let (mut damages, store) = (FileDamages::default(), self.packs.store()?);
        for (name, version) in versions {
            let Some(content) = version.content else { continue };
            let named = Named { name: name.clone(), number: version.number };
            let mut push = |chunk, error: &Error| {
                damages.push(FileDamage::new(name, version, chunk, error));
            };
            if let Some(reason) = reasons.get(&store.address(&content.manifest)) {
                push(None, reason);
            }
            match self.bare_leaves_of(&named, version) {
                Ok(leaves) => {
                    for (place, leaf) in leaves.as_tree().1.iter().enumerate() {
                        if let Some(reason) = reasons.get(&store.address(leaf)) {
                            push(Some(place), reason);
                        }
                    }
                }
                // It is among the reasons, unless it was there and is not the list of this version.
                Err(error) if !reasons.contains_key(&store.address(&content.manifest)) => {
                    push(None, &error);
                }
                Err(_) => {}
            }
        }
        Ok(damages)
    }

    /// Returns every version of every file up to a seq, file by file, as the ops of the log say.
    ///
    /// Views that were loaded from a checkpoint file are not asked: what is deleted, copied or called whole
    /// may rest on nothing that is not in the chain.
    ///
    /// Cost: after opening from a checkpoint a pass over the log.
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub(in crate::db) fn versions_in_log(
        &self,
        seq_max: Seq,
    ) -> Result<Vec<(String, FileVersion)>> {
        let is_folded_from_start = self.report.lock().checkpoint_seq.is_none();
        let state = self.engine.read()?;
        let Some(bytes) = state.log.disk_bytes().filter(|_| !is_folded_from_start).cloned() else {
            return Ok(listed(&state.views.files, seq_max));
        };
        let (end_bytes, protection) = (state.log.len_bytes(), state.log.protection());
        let head = state.head.clone();
        drop(state);
        let mut files = Files::default();
        let start = ReplayStart { offset_bytes: 0, next_seq: 0, head: ZERO_HASH.to_owned() };
        let end = replay(&*bytes, &protection, start, end_bytes, &mut |step| {
            for item in step.op.items.as_slice() {
                if let OpKind::PutFile(put) = &item.kind {
                    files.put(step.op.seq, put);
                }
            }
            Ok(())
        })?;
        if end.head == head {
            return Ok(listed(&files, seq_max));
        }
        let reason = end.fault.map_or("it holds other ops than were read".to_owned(), |fault| {
            format!("op {}: {}", end.next_seq, fault.reason())
        });
        Err(Error::new(
            ErrorCode::IntegrityError,
            format!(
                "the log does not say which files there are, since it is damaged: {reason}; run \
                 verify_report()"
            ),
        ))
    }
}

fn listed(files: &Files, seq_max: Seq) -> Vec<(String, FileVersion)> {
    let counted = files.all().filter(|(_, version)| version.seq <= seq_max);
    counted.map(|(name, version)| (name.to_owned(), *version)).collect()
}
