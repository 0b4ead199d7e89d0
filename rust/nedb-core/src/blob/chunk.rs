//! A stream of bytes as chunks, cut where the content says so.
//!
//! In: bytes, in pieces of any length. Out: chunks, in order.
//!
//! Invariants:
//! * Where a chunk ends depends on the bytes since the last end alone, not on the pieces: an edit changes
//!   the chunks around it and no others.
//! * A chunk has `CHUNK_BYTES_MIN` to `CHUNK_BYTES_MAX` bytes; the last may be shorter.
//! * Who reads a file needs to know nothing of this: its manifest lists the lengths.

use crate::error::Result;
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MEAN, CHUNK_BYTES_MIN};
use fastcdc::v2020::FastCDC;

/// How much is gathered before cuts are looked for.
const BUFFER_BYTES: usize = 8 * CHUNK_BYTES_MAX;

/// Cuts a stream.
#[derive(Debug, Default)]
pub(crate) struct Chunker {
    held: Vec<u8>,
}

impl Chunker {
    /// Takes bytes in and hands the chunks that are complete to `take`, many at a time.
    ///
    /// Errors: what `take` returns.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(&[&[u8]]) -> Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER_BYTES));
            self.held.extend_from_slice(now);
            bytes = later;
            if self.held.len() >= BUFFER_BYTES {
                self.cut(false, take)?;
            }
        }
        Ok(())
    }

    /// Hands what is left to `take`.
    ///
    /// Errors: what `take` returns.
    pub fn finish(&mut self, take: &mut dyn FnMut(&[&[u8]]) -> Result<()>) -> Result<()> {
        self.cut(true, take)
    }

    /// Cuts as long as the end of a chunk does not depend on bytes that are still to come.
    fn cut(&mut self, is_end: bool, take: &mut dyn FnMut(&[&[u8]]) -> Result<()>) -> Result<()> {
        let cutter = FastCDC::new(&self.held, CHUNK_BYTES_MIN, CHUNK_BYTES_MEAN, CHUNK_BYTES_MAX);
        let mut start = 0;
        let mut chunks = Vec::with_capacity(self.held.len() / CHUNK_BYTES_MEAN);
        while let Some(rest) = self.held.get(start..).filter(|rest| !rest.is_empty()) {
            if !is_end && rest.len() < CHUNK_BYTES_MAX {
                break;
            }
            let (_, end) = cutter.cut(start, rest.len());
            chunks.push(self.held.get(start..end).unwrap_or(rest));
            start = end;
        }
        take(&chunks)?;
        self.held.drain(..start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look like nothing, the same on every run.
    fn noise(count: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    fn chunks(bytes: &[u8], piece_bytes: usize) -> Vec<Vec<u8>> {
        let mut chunker = Chunker::default();
        let mut found = Vec::new();
        let mut take = |chunks: &[&[u8]]| {
            found.extend(chunks.iter().map(|chunk| chunk.to_vec()));
            Ok(())
        };
        for piece in bytes.chunks(piece_bytes) {
            chunker.push(piece, &mut take).unwrap();
        }
        chunker.finish(&mut take).unwrap();
        found
    }

    #[test]
    fn chunks_are_the_bytes_in_order_whatever_the_pieces() {
        for (count, piece) in [(0, 1), (1, 1), (4_096, 100), (70_000, 1), (2_000_000, 65_537)] {
            let bytes = noise(count, 7);
            let found = chunks(&bytes, piece);
            assert_eq!(found.concat(), bytes);
            assert_eq!(
                found,
                chunks(&bytes, usize::MAX >> 1),
                "{count} bytes in pieces of {piece}"
            );
            let (last, whole) = found.split_last().map_or((0, &[][..]), |(l, w)| (l.len(), w));
            assert!(last <= CHUNK_BYTES_MAX);
            assert!(whole.iter().all(|it| (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&it.len())));
        }
    }

    #[test]
    fn an_edit_changes_the_chunks_around_it_and_no_others() {
        let before = noise(1 << 20, 3);
        let mut after = before.clone();
        after.splice(500_000..500_000, *b"a few bytes more");
        let (before, after) = (chunks(&before, 4_096), chunks(&after, 4_096));
        let kept = after.iter().filter(|chunk| before.contains(chunk)).count();
        assert!(before.len() > 30, "{} chunks", before.len());
        assert!(kept + 3 >= after.len(), "{kept} of {} chunks were kept", after.len());
    }
}
