//! One file's bytes on their way into packs.
//!
//! In: bytes, in pieces. Out: the root of their tree, and the leaf of the manifest, once all is on the disk.
//!
//! Invariants:
//! * Each byte is hashed once.
//! * Memory is that of a frame and of the manifest, whatever the file's length.
//! * Until it is dropped, a compaction keeps what it stored.

use super::chunk::Chunker;
use super::chunks::{ChunkStore, Put};
use super::frame::FrameBuilder;
use super::manifest::Manifest;
use super::tier::{Encoder, frame_bytes};
use crate::error::Result;
use crate::hash::Hash;
use crate::merkle::{Tree, leaf_hash, leaf_hashes, root};
use crate::op::Tier;
use std::sync::Arc;

/// The writer of one file's bytes.
pub(crate) struct BytesWriter {
    chunker: Chunker,
    sink: Sink,
}

/// What chunks go into.
struct Sink {
    put: Put,
    encoder: Encoder,
    frame: FrameBuilder,
    manifest: Manifest,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The root of the tree over the chunks.
    pub root: Hash,
    /// The leaf of the chunk that lists the chunks.
    pub manifest: Hash,
    pub size_bytes: u64,
}

impl BytesWriter {
    /// Begins a file.
    ///
    /// Errors: `StorageError`.
    pub fn new(store: &Arc<ChunkStore>, tier: Tier) -> Result<BytesWriter> {
        let (put, encoder) = (store.begin_put()?, Encoder::new(tier)?);
        let sink =
            Sink { put, encoder, frame: FrameBuilder::default(), manifest: Manifest::default() };
        Ok(BytesWriter { chunker: Chunker::default(), sink })
    }

    /// Returns the tier.
    pub fn tier(&self) -> Tier {
        self.sink.encoder.tier
    }

    /// Takes in the next bytes.
    ///
    /// Errors: `StorageError`, `LimitExceeded`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let BytesWriter { chunker, sink } = self;
        chunker.push(bytes, &mut |chunks| sink.take(chunks))
    }

    /// Stores what is left, and the manifest, and returns once everything is on the disk.
    ///
    /// Errors: `StorageError`, `LimitExceeded`.
    pub fn finish(&mut self) -> Result<Written> {
        let BytesWriter { chunker, sink } = self;
        chunker.finish(&mut |chunks| sink.take(chunks))?;
        let manifest = sink.manifest.encode();
        let leaf = leaf_hash(&manifest);
        // In a frame of its own: damage of a chunk beside it would take the list of all chunks along.
        sink.flush()?;
        sink.store(&leaf, &manifest)?;
        sink.flush()?;
        sink.put.sync()?;
        Ok(Written {
            root: root(Tree::Rfc6962, &sink.manifest.leaves),
            manifest: leaf,
            size_bytes: sink.manifest.size_bytes(),
        })
    }
}

impl Sink {
    fn take(&mut self, chunks: &[&[u8]]) -> Result<()> {
        for (leaf, chunk) in leaf_hashes(chunks).iter().zip(chunks) {
            self.manifest.push(*leaf, chunk.len())?;
            self.store(leaf, chunk)?;
        }
        Ok(())
    }

    /// Puts a chunk into the frame, unless it is stored already.
    fn store(&mut self, leaf: &Hash, chunk: &[u8]) -> Result<()> {
        let address = self.put.store().address(leaf);
        if self.frame.holds(&address) || self.put.finds(leaf)? {
            return Ok(());
        }
        if self.frame.is_full_for(chunk.len(), frame_bytes(self.encoder.tier)) {
            self.flush()?;
        }
        self.frame.push(address, chunk);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.frame.entries.is_empty() {
            return Ok(());
        }
        let frame = self.frame.finish(&mut self.encoder, self.put.store().protection())?;
        self.put.store_frame(&frame)
    }
}
