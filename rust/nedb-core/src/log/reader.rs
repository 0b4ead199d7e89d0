//! Where each line stands, and its text.
//!
//! In: lines that are in the log, in order. Out: a line, or a document's text, by seq.
//!
//! Invariants:
//! * Line n stands between offset n and offset n + 1; nothing stands between lines.
//! * Every text read from a disk is checked: the line's hash, and that the text is of the collection,
//!   id and seq that were asked for.

use super::cache::Cache;
use super::decode::{Fault, Fields, normalize};
use super::sealed::open_line;
use crate::crypto::{LineOpener, Protection};
use crate::error::{Error, Result};
use crate::op::{OpKind, Seq, TextPlace};
use crate::store::{LogBytes, MemoryText};
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

/// A document's text: borrowed from memory, or shared with the cache.
#[derive(Debug)]
pub(crate) enum TextRef<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for TextRef<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            TextRef::Borrowed(text) => text,
            TextRef::Shared(text) => text,
        }
    }
}

/// The readable side of a log.
pub(crate) struct LogReader {
    source: Source,
    /// The offset of each line, by seq.
    offsets: Vec<u64>,
    end: u64,
}

enum Source {
    Memory(MemoryText),
    Disk { bytes: Arc<dyn LogBytes>, cache: Cache, protection: Arc<Protection> },
}

impl LogReader {
    /// Makes the reader of an empty log in memory.
    pub fn memory() -> Self {
        LogReader { source: Source::Memory(MemoryText::default()), offsets: Vec::new(), end: 0 }
    }

    /// Makes the reader of a log on a disk, of which no line is known yet.
    ///
    /// The cache holds texts as they are read, not as they are sealed.
    pub fn disk(bytes: Arc<dyn LogBytes>, cache_bytes: usize, protection: Arc<Protection>) -> Self {
        let source = Source::Disk { bytes, cache: Cache::new(cache_bytes), protection };
        LogReader { source, offsets: Vec::new(), end: 0 }
    }

    /// Takes in the next line, newline included: kept in memory, or known to be on the disk.
    pub fn push_line(&mut self, line: &str) {
        if let Source::Memory(text) = &mut self.source {
            text.append(line);
        }
        self.push_line_bytes(line.len() as u64);
    }

    /// Takes in the length of the next line of a log on a disk.
    pub fn push_line_bytes(&mut self, line_bytes: u64) {
        self.offsets.push(self.end);
        self.end += line_bytes;
    }

    /// Takes in the lines of a log on a disk that are known from elsewhere: where each starts, and where
    /// the last one ends.
    pub fn restore_lines(&mut self, starts: Vec<u64>, end: u64) {
        (self.offsets, self.end) = (starts, end);
    }

    /// Returns where each known line starts, by seq.
    pub fn line_starts(&self) -> &[u64] {
        &self.offsets
    }

    /// Keeps a text that was just written where reads will look first.
    pub fn remember(&self, seq: Seq, item: u32, text: &str) {
        if let Source::Disk { cache, .. } = &self.source {
            cache.insert(seq, item, Arc::from(text));
        }
    }

    /// Returns how many texts were found in the cache, and how many were not; in memory there is none.
    pub fn cache_counts(&self) -> (u64, u64) {
        match &self.source {
            Source::Memory(_) => (0, 0),
            Source::Disk { cache, .. } => cache.counts(),
        }
    }

    /// Returns how many lines are known.
    pub fn op_count(&self) -> usize {
        self.offsets.len()
    }

    /// Returns the length of all known lines.
    pub fn len_bytes(&self) -> u64 {
        self.end
    }

    /// Returns the bytes of a log on a disk, and None for one in memory.
    pub fn disk_bytes(&self) -> Option<&Arc<dyn LogBytes>> {
        match &self.source {
            Source::Memory(_) => None,
            Source::Disk { bytes, .. } => Some(bytes),
        }
    }

    /// Returns how the lines are sealed; in memory they are not.
    pub fn protection(&self) -> Arc<Protection> {
        match &self.source {
            Source::Memory(_) => Arc::new(Protection::Plain),
            Source::Disk { protection, .. } => Arc::clone(protection),
        }
    }

    /// Appends up to `bytes_max` bytes of the log from an offset on, as they are now; fewer only at the end.
    ///
    /// Errors: `StorageError`.
    pub fn read_bytes(&self, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> Result<()> {
        match &self.source {
            Source::Memory(text) => text.copy_from(offset, bytes_max, out),
            Source::Disk { bytes, .. } => {
                let held = out.len();
                out.resize(held + bytes_max, 0);
                let count =
                    bytes.read_at(offset, out.get_mut(held..).unwrap_or_default()).map_err(
                        |error| Error::storage(format!("read the log at byte {offset}"), error),
                    )?;
                out.truncate(held + count);
            }
        }
        Ok(())
    }

    /// Returns a line without its newline, sealed as it stands in the log.
    ///
    /// Errors: `StorageError`, `IntegrityError` when the file no longer holds it; `InvalidArgument`
    /// for a seq that is not in the log.
    pub fn line(&self, seq: Seq) -> Result<Cow<'_, [u8]>> {
        let (offset, len) = self
            .bounds(seq)
            .ok_or_else(|| Error::invalid(format!("there is no op with seq {seq}")))?;
        match &self.source {
            Source::Memory(text) => text
                .slice(offset, len)
                .map(|line| Cow::Borrowed(line.trim_end_matches('\n').as_bytes()))
                .ok_or_else(|| gone(seq)),
            Source::Disk { bytes, .. } => {
                let mut line = vec![0; len];
                let count = bytes
                    .read_at(offset, &mut line)
                    .map_err(|error| Error::storage(format!("read op {seq} of the log"), error))?;
                // Beside a writer, and after a crash, the last line may lack its newline.
                let may_lack_newline = offset + len as u64 == self.end && count + 1 == len;
                if line.pop() != Some(b'\n') && !may_lack_newline || count + 1 < len {
                    return Err(gone(seq));
                }
                Ok(Cow::Owned(line))
            }
        }
    }

    /// Returns a document's text.
    ///
    /// Cost: a slice in memory; on a disk a look into the cache, else one read and one hash.
    /// Errors: `StorageError`, `IntegrityError`.
    pub fn text(&self, wanted: &WantedText<'_>) -> Result<TextRef<'_>> {
        match &self.source {
            Source::Memory(text) if wanted.place != TextPlace::LEGACY => self
                .bounds(wanted.seq)
                .and_then(|(offset, _)| {
                    text.slice(offset + u64::from(wanted.place.start), wanted.place.bytes as usize)
                })
                .map(TextRef::Borrowed)
                .ok_or_else(|| gone(wanted.seq)),
            Source::Memory(_) => self.text_of_line(wanted).map(TextRef::Shared),
            Source::Disk { cache, .. } => {
                if let Some(text) = cache.get(wanted.seq, wanted.item) {
                    return Ok(TextRef::Shared(text));
                }
                let text = self.text_of_line(wanted)?;
                cache.insert(wanted.seq, wanted.item, Arc::clone(&text));
                Ok(TextRef::Shared(text))
            }
        }
    }

    /// Hands an op's members to `look`, once its hash and its seq are found to be right.
    ///
    /// Cost: one read and one hash; in memory, where nothing else writes, no hash.
    /// Errors: `StorageError`, `IntegrityError`; `InvalidArgument` for a seq that is not in the log.
    pub fn with_fields<T>(
        &self,
        seq: Seq,
        look: impl FnOnce(&Fields<'_>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let line = self.line(seq)?;
        let damaged = |fault: Fault| {
            let reason = fault.reason();
            Error::integrity(format!(
                "op {seq} of the log is damaged: {reason}; run verify_report()"
            ))
        };
        let line = self.opened(seq, line).map_err(damaged)?;
        let normalized = normalize(&line).map_err(damaged)?;
        let fields = Fields::split(&normalized).map_err(damaged)?;
        if fields.seq != seq {
            return Err(damaged(Fault::WrongLink(format!("it says that it is op {}", fields.seq))));
        }
        if self.disk_bytes().is_some() && !fields.has_right_hash() {
            return Err(damaged(Fault::WrongHash));
        }
        look(&fields).map_err(damaged)
    }

    fn opened<'l>(
        &self,
        seq: Seq,
        line: Cow<'l, [u8]>,
    ) -> std::result::Result<Cow<'l, [u8]>, Fault> {
        let Source::Disk { protection, .. } = &self.source else { return Ok(line) };
        let Some(sealed) = protection.as_sealed() else { return Ok(line) };
        let mut plain = Vec::with_capacity(line.len());
        open_line(&mut LineOpener::new(sealed), seq, &line, &mut plain)?;
        Ok(Cow::Owned(plain))
    }

    fn text_of_line(&self, wanted: &WantedText<'_>) -> Result<Arc<str>> {
        let WantedText { collection, id, .. } = wanted;
        self.with_fields(wanted.seq, |fields| {
            let op = fields.to_op()?;
            match op.items.as_slice().get(wanted.item as usize).map(|item| &item.kind) {
                Some(OpKind::Put(put)) if put.collection == *collection && put.id == *id => {
                    Ok(Arc::from(&*put.text))
                }
                _ => Err(Fault::Unreadable(format!("it does not write {collection}:{id}"))),
            }
        })
    }

    fn bounds(&self, seq: Seq) -> Option<(u64, usize)> {
        let at = usize::try_from(seq).ok()?;
        let start = *self.offsets.get(at)?;
        let end = self.offsets.get(at + 1).copied().unwrap_or(self.end);
        Some((start, usize::try_from(end - start).ok()?))
    }
}

/// A document's text that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedText<'a> {
    pub seq: Seq,
    pub item: u32,
    pub place: TextPlace,
    pub collection: &'a str,
    pub id: &'a str,
}

fn gone(seq: Seq) -> Error {
    Error::integrity(format!("op {seq} is no longer in the log where it was; run verify_report()"))
}
