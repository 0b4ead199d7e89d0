//! A log in pieces of whole lines, read one after the other.
//!
//! In: the bytes of a log. Out: pieces, numbered from 0, that together are all of it.
//!
//! Invariants:
//! * Every piece but the last ends with a newline, and no line is in two pieces.

use crate::error::{Error, Result};
use crate::limits::ENVELOPE_BYTES_MAX;
use crate::store::LogBytes;
use memchr::{memchr_iter, memrchr};

/// How much is read at once: what is decoded of it stays in a core's cache until it is folded.
const READ_BYTES: usize = 256 << 10;

/// What is left of a log.
pub(super) struct Pieces<'a> {
    bytes: &'a dyn LogBytes,
    offset_bytes: u64,
    end_bytes: u64,
    /// The start of a line whose end was not read yet.
    carried: Vec<u8>,
    next_number: u64,
    next_line: u64,
    counts_lines: bool,
    is_over: bool,
}

/// A piece that was read into a buffer.
pub(super) struct Piece {
    pub number: u64,
    /// How many lines stand before it; 0 where nobody counts them.
    pub first_line: u64,
    /// Whether it is the last, which may be empty; or why there is none.
    pub read: Result<bool>,
}

impl<'a> Pieces<'a> {
    /// Makes the pieces of a log from one offset up to another.
    pub fn new(bytes: &'a dyn LogBytes, offset_bytes: u64, end_bytes: u64) -> Self {
        Pieces {
            bytes,
            offset_bytes,
            end_bytes,
            carried: Vec::new(),
            next_number: 0,
            next_line: 0,
            counts_lines: false,
            is_over: false,
        }
    }

    /// Counts lines too: for who must know the place of one before it can be read.
    pub fn counting_lines(self, counts_lines: bool) -> Self {
        Pieces { counts_lines, ..self }
    }

    /// Reads the next piece into `buffer`; None when there is none.
    ///
    /// A line longer than `ENVELOPE_BYTES_MAX` ends the last piece: nothing after it is read.
    /// Errors, in place of the piece: `StorageError`.
    pub fn take(&mut self, buffer: &mut Vec<u8>) -> Option<Piece> {
        if self.is_over {
            return None;
        }
        let (number, first_line) = (self.next_number, self.next_line);
        self.next_number += 1;
        buffer.clear();
        buffer.append(&mut self.carried);
        let read = self.fill(buffer);
        self.is_over = !matches!(read, Ok(false));
        if self.counts_lines {
            self.next_line += memchr_iter(b'\n', buffer).count() as u64;
        }
        Some(Piece { number, first_line, read })
    }

    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<bool> {
        loop {
            let held = buffer.len();
            let left_bytes = self.end_bytes.saturating_sub(self.offset_bytes);
            let wanted = left_bytes.min(READ_BYTES as u64) as usize;
            buffer.resize(held + wanted, 0);
            let fresh = buffer.get_mut(held..).unwrap_or_default();
            let count = self.bytes.read_at(self.offset_bytes, fresh).map_err(|error| {
                Error::storage(format!("read the log at byte {}", self.offset_bytes), error)
            })?;
            buffer.truncate(held + count);
            self.offset_bytes += count as u64;
            if count < wanted || self.offset_bytes >= self.end_bytes {
                return Ok(true);
            }
            // What was carried has no newline.
            if let Some(last) = memrchr(b'\n', buffer.get(held..).unwrap_or_default()) {
                self.carried.extend_from_slice(buffer.get(held + last + 1..).unwrap_or_default());
                buffer.truncate(held + last + 1);
                return Ok(false);
            }
            if buffer.len() > ENVELOPE_BYTES_MAX {
                return Ok(true);
            }
        }
    }
}
