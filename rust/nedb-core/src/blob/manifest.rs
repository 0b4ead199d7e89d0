//! The list of a file's chunks.
//!
//! In: the chunks' leaves and lengths, in order. Out: bytes, themselves stored as a chunk, and back.
//!
//! Invariants:
//! * The root of the leaves is the root that the op says: a manifest that is not the file's is found out
//!   by computing it.
//! * It lists leaves, not addresses, so that it is the same whether the database is encrypted or not.

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::limits::{FILE_BYTES_MAX, MANIFEST_BYTES_MAX};

const MAGIC: &[u8; 8] = b"NEDBman1";
const ENTRY_BYTES: usize = 36;

/// The chunks of one version of a file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// What each chunk hashes to as a leaf.
    pub leaves: Vec<Hash>,
    /// Where each chunk ends in the file.
    ends: Vec<u64>,
}

impl Manifest {
    /// Adds a chunk at the end.
    ///
    /// Errors: `LimitExceeded`.
    pub fn push(&mut self, leaf: Hash, chunk_bytes: usize) -> Result<()> {
        let end = self.size_bytes() + chunk_bytes as u64;
        if end > FILE_BYTES_MAX {
            return Err(Error::limit(format!("a file has at most {FILE_BYTES_MAX} bytes")));
        }
        if (self.leaves.len() + 1) * ENTRY_BYTES + MAGIC.len() > MANIFEST_BYTES_MAX {
            return Err(Error::limit("the file falls into too many chunks"));
        }
        self.leaves.push(leaf);
        self.ends.push(end);
        Ok(())
    }

    /// Returns the length of the file.
    pub fn size_bytes(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Returns where a chunk starts and how long it is.
    pub fn range(&self, chunk: usize) -> Option<(u64, usize)> {
        let end = *self.ends.get(chunk)?;
        let start = chunk.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        let start = start.unwrap_or(0);
        Some((start, usize::try_from(end - start).ok()?))
    }

    /// Returns the chunk that holds a byte; the number of chunks for one beyond the end.
    pub fn chunk_at(&self, offset_bytes: u64) -> usize {
        self.ends.partition_point(|end| *end <= offset_bytes)
    }

    /// Writes the list.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAGIC.len() + self.leaves.len() * ENTRY_BYTES);
        out.extend_from_slice(MAGIC);
        for (at, leaf) in self.leaves.iter().enumerate() {
            let chunk_bytes = self.range(at).map_or(0, |(_, bytes)| bytes);
            out.extend_from_slice(leaf);
            // Chunks are far below 4 GiB.
            out.extend_from_slice(&(chunk_bytes as u32).to_le_bytes());
        }
        out
    }

    /// Reads a list.
    ///
    /// Errors: `IntegrityError`.
    pub fn decode(bytes: &[u8]) -> Result<Manifest> {
        let none = || Error::integrity("the list of the file's chunks is none");
        let mut entries = bytes.strip_prefix(MAGIC).ok_or_else(none)?;
        let mut manifest = Manifest::default();
        while let Some((entry, rest)) = entries.split_first_chunk::<ENTRY_BYTES>() {
            let (leaf, length) = entry.split_first_chunk::<32>().ok_or_else(none)?;
            let chunk_bytes = u32::from_le_bytes(length.try_into().map_err(|_| none())?);
            manifest.push(*leaf, chunk_bytes as usize).map_err(|_| none())?;
            entries = rest;
        }
        if entries.is_empty() { Ok(manifest) } else { Err(none()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was_and_knows_where_each_chunk_is() {
        let mut manifest = Manifest::default();
        for (n, bytes) in [4_096, 65_536, 1].into_iter().enumerate() {
            manifest.push([n as u8; 32], bytes).unwrap();
        }
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        assert_eq!(manifest.size_bytes(), 69_633);
        assert_eq!(manifest.range(1), Some((4_096, 65_536)));
        assert_eq!(
            [0, 4_095, 4_096, 69_632, 69_633].map(|at| manifest.chunk_at(at)),
            [0, 0, 1, 2, 3]
        );
        for end in 0..bytes.len() {
            let is_whole = end >= 8 && (end - 8) % ENTRY_BYTES == 0;
            assert_eq!(Manifest::decode(&bytes[..end]).is_ok(), is_whole, "cut at {end}");
        }
        assert_eq!(Manifest::decode(MAGIC).unwrap(), Manifest::default());
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let mut manifest = Manifest::default();
        manifest.push([0; 32], usize::try_from(FILE_BYTES_MAX).unwrap()).unwrap();
        let error = manifest.push([1; 32], 1).unwrap_err();
        assert_eq!(error.code(), crate::error::ErrorCode::LimitExceeded);
    }
}
