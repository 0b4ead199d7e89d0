//! What files cost, and what can be given back.
//!
//! Invariants:
//! * What is removed is what no op of the log refers to, and no put under way: the log itself says so, not what
//!   was saved of it.

use super::damage::FileDamages;
use super::get_file::{Leaves, Named};
use crate::blob::Live;
use crate::db::check;
use crate::db::database::{Database, Inner};
use crate::error::Result;
use crate::op::{Seq, Tier};
use crate::snapshot::FileVersion;
use std::collections::HashSet;

/// What the files of one tier cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompressionStats {
    /// The tier in which the files were put.
    pub tier: Tier,
    /// How many different chunks their versions have.
    pub unique_chunk_count: u64,
    /// How many chunks did not have to be stored, since another version has the same.
    pub dedup_hit_count: u64,
    /// The length of all versions together.
    pub logical_bytes: u64,
    /// What the packs hold in this tier, lists of chunks and what is not referred to any more included.
    pub stored_bytes: u64,
}

impl CompressionStats {
    /// Returns how many bytes one stored byte stands for, to two places; 1 where nothing is stored.
    pub fn ratio(&self) -> f64 {
        if self.stored_bytes == 0 {
            return 1.0;
        }
        (self.logical_bytes as f64 / self.stored_bytes as f64 * 100.0).round() / 100.0
    }

    /// Returns it as JSON text, with the names that NEDB 1.x used.
    pub fn to_json(&self) -> String {
        let mut ratio = String::new();
        crate::json::write_double(self.ratio(), &mut ratio);
        format!(
            "{{\"dedup_hits\":{},\"logical_bytes\":{},\"ratio\":{ratio},\"stored_bytes\":{},\
             \"tier\":\"{}\",\"unique_chunks\":{}}}",
            self.dedup_hit_count,
            self.logical_bytes,
            self.stored_bytes,
            self.tier.as_str(),
            self.unique_chunk_count
        )
    }
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// How many chunks are referred to, or may be, those that list other chunks included.
    pub kept_chunk_count: u64,
    /// How many were not, and are gone.
    pub removed_chunk_count: u64,
    /// How many packs were replaced.
    pub rewritten_pack_count: u64,
    /// The length of all packs before, in bytes.
    pub before_bytes: u64,
    /// The length of all packs now.
    pub after_bytes: u64,
    /// What is missing, or was found damaged on the way: what stands beside it was kept as it is.
    pub damages: FileDamages,
}

impl CompactReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        format!(
            "{{\"after_bytes\":{},\"before_bytes\":{},{},\"kept_chunk_count\":{},\
             \"removed_chunk_count\":{},\"rewritten_pack_count\":{}}}",
            self.after_bytes,
            self.before_bytes,
            self.damages.to_members(),
            self.kept_chunk_count,
            self.removed_chunk_count,
            self.rewritten_pack_count
        )
    }
}

impl Database {
    /// Returns what the files of one tier cost. Versions that NEDB 1.x wrote are not counted.
    ///
    /// Cost: the list of chunks of every version is read.
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub fn compression_stats(&self, tier: Tier) -> Result<CompressionStats> {
        let mut chunks = HashSet::new();
        let (mut logical_bytes, mut reference_count) = (0, 0);
        for (name, version) in self.inner.stored_versions(Seq::MAX)? {
            if version.tier != tier {
                continue;
            }
            let Some(manifest) = self.inner.manifest_of(&name, &version)? else { continue };
            logical_bytes += manifest.size_bytes();
            reference_count += manifest.leaves.len() as u64;
            chunks.extend(manifest.leaves);
        }
        let unique_chunk_count = chunks.len() as u64;
        Ok(CompressionStats {
            tier,
            unique_chunk_count,
            dedup_hit_count: reference_count - unique_chunk_count,
            logical_bytes,
            stored_bytes: self.inner.packs.store()?.stored_bytes(tier)?,
        })
    }

    /// Gives back the room of chunks that no op refers to: what a crash or a put that failed has left.
    ///
    /// Reads and writes go on meanwhile. What is damaged or missing is named, and whatever may belong to it is
    /// kept: of a file whose list of chunks cannot be read that is every chunk that is no longer than the file.
    ///
    /// Cost: the list of chunks of every version is read; packs that hold something to remove are read and
    /// written; after opening from a checkpoint a pass over the log. Errors: `ReadOnly`, `DatabaseClosed`,
    /// `StorageError`; `IntegrityError` when the log is damaged, and nothing is removed then.
    pub fn compact_blobs(&self) -> Result<CompactReport> {
        self.inner.engine.check_open()?;
        if self.inner.options.read_only {
            return Err(check::opened_read_only());
        }
        self.inner.engine.check_process()?;
        self.inner.engine.check_writable()?;
        let (mut versions, mut lacks_a_list) = (Vec::new(), false);
        let done = self.inner.packs.store()?.compact(|| {
            versions = self.inner.versions_in_log(Seq::MAX)?;
            let live = self.inner.live_of(&versions)?;
            lacks_a_list = live.unlisted_bytes.is_some();
            Ok(live)
        })?;
        let reasons = &done.uncopied.reasons;
        let damages = match lacks_a_list || !reasons.is_empty() {
            true => self.inner.named_damages(&versions, reasons)?,
            false => FileDamages::default(),
        };
        Ok(CompactReport {
            kept_chunk_count: done.kept_chunk_count,
            removed_chunk_count: done.removed_chunk_count,
            rewritten_pack_count: done.rewritten_pack_count,
            before_bytes: done.before_bytes,
            after_bytes: done.after_bytes,
            damages,
        })
    }
}

impl Inner {
    /// Returns the leaves of all chunks that versions have, lists of chunks included.
    ///
    /// Errors: `DatabaseClosed`.
    pub(in crate::db) fn live_of(&self, versions: &[(String, FileVersion)]) -> Result<Live> {
        let (mut leaves, mut unlisted_bytes) = (HashSet::new(), None);
        for (name, version) in versions {
            self.engine.check_open()?;
            let Some(content) = version.content else { continue };
            // Versions with the same bytes have one list.
            if !leaves.insert(content.manifest) {
                continue;
            }
            let named = Named { name: name.clone(), number: version.number };
            match self.bare_leaves_of(&named, version) {
                Ok(Leaves::Packs(manifest)) => leaves.extend(manifest.leaves),
                Ok(Leaves::Legacy(..)) => {}
                Err(_) => unlisted_bytes = unlisted_bytes.max(Some(content.size_bytes)),
            }
        }
        Ok(Live { leaves: leaves.into_iter().collect(), unlisted_bytes })
    }

    /// Tells whether an op up to a seq put a file whose bytes NEDB 1.x keeps.
    pub(in crate::db) fn has_legacy_files(&self, seq_max: Seq) -> Result<bool> {
        let state = self.engine.read()?;
        let mut versions = state.views.files.all();
        Ok(versions.any(|(_, version)| version.content.is_none() && version.seq <= seq_max))
    }

    /// Returns every version of every file up to a seq whose bytes are in packs.
    fn stored_versions(&self, seq_max: Seq) -> Result<Vec<(String, FileVersion)>> {
        let state = self.engine.read()?;
        let versions = state.views.files.all();
        let is_stored = |version: &FileVersion| version.content.is_some() && version.seq <= seq_max;
        Ok(versions
            .filter(|(_, version)| is_stored(version))
            .map(|(name, version)| (name.to_owned(), *version))
            .collect())
    }
}
