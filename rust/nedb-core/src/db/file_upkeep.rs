//! What files cost, and what can be given back.
//!
//! Invariants:
//! * What is removed is what no op of the log refers to, and no put under way.

use super::{Database, Inner, check};
use crate::blob::CompactReport;
use crate::error::Result;
use crate::hash::Hash;
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
    /// Reads and writes go on meanwhile.
    ///
    /// Cost: packs that hold something to remove are read and written. Errors: `ReadOnly`,
    /// `DatabaseClosed`, `StorageError`; `IntegrityError` when a chunk that is referred to is missing or
    /// damaged, and nothing is removed then.
    pub fn compact_blobs(&self) -> Result<CompactReport> {
        self.inner.check_open()?;
        if self.inner.options.read_only {
            return Err(check::opened_read_only());
        }
        self.inner.check_takes_writes(&self.inner.writer.lock())?;
        self.inner.packs.store()?.compact(|| self.inner.referred_leaves(Seq::MAX))
    }
}

impl Inner {
    /// Returns the leaves of all chunks that ops up to a seq refer to, lists of chunks included.
    ///
    /// Errors: `StorageError`, `IntegrityError`.
    pub(super) fn referred_leaves(&self, seq_max: Seq) -> Result<Vec<Hash>> {
        let mut leaves = HashSet::new();
        for (name, version) in self.stored_versions(seq_max)? {
            let Some(content) = version.content else { continue };
            // Versions with the same bytes have one list.
            if leaves.insert(content.manifest)
                && let Some(manifest) = self.manifest_of(&name, &version)?
            {
                leaves.extend(manifest.leaves);
            }
        }
        Ok(leaves.into_iter().collect())
    }

    /// Tells whether an op up to a seq put a file whose bytes NEDB 1.x keeps.
    pub(super) fn has_legacy_files(&self, seq_max: Seq) -> Result<bool> {
        let state = self.read_state()?;
        let mut versions = state.views.files.all();
        Ok(versions.any(|(_, version)| version.content.is_none() && version.seq <= seq_max))
    }

    /// Returns every version of every file up to a seq whose bytes are in packs.
    fn stored_versions(&self, seq_max: Seq) -> Result<Vec<(String, FileVersion)>> {
        let state = self.read_state()?;
        let versions = state.views.files.all();
        let is_stored = |version: &FileVersion| version.content.is_some() && version.seq <= seq_max;
        Ok(versions
            .filter(|(_, version)| is_stored(version))
            .map(|(name, version)| (name.to_owned(), *version))
            .collect())
    }
}
