//! Where each line stands, and its text.
//!
//! In: lines that are in the log, in order. Out: a line, or a document's text, by seq.
//!
//! Invariants:
//! * Line n stands between offset n and offset n + 1; nothing stands between lines.
//! * Every text read from a disk is checked: the line's hash, and that the text is of the collection,
//!   id and seq that were asked for.
//! * The first line that does not hold is remembered, so that nothing is written after it.

use super::cache::{Cache, CheckedText, CheckedTexts};
use super::decode::{Fields, normalize};
use super::fault::Fault;
use super::sealed::open_line;
use super::verify::Damage;
use crate::crypto::{LineOpener, Protection};
use crate::error::{Error, Result};
use crate::op::{Item, Items, OpKind, Seq, TextPlace};
use crate::store::{LogBytes, MemoryText};
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A document's text: borrowed from memory, or shared with the cache.
#[derive(Debug)]
pub(crate) enum TextRef<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl TextRef<'_> {
    /// Returns the text as one that needs no log; a borrowed one is copied.
    pub fn into_shared(self) -> Arc<str> {
        match self {
            TextRef::Borrowed(text) => Arc::from(text),
            TextRef::Shared(text) => text,
        }
    }
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

/// Appends up to `bytes_max` bytes of a log on a disk from an offset on; fewer only at its end.
///
/// Errors: `StorageError`.
pub(crate) fn read_log_bytes(
    bytes: &dyn LogBytes,
    offset: u64,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let held = out.len();
    out.resize(held + bytes_max, 0);
    let count = bytes
        .read_at(offset, out.get_mut(held..).unwrap_or_default())
        .map_err(|error| Error::storage(format!("read the log at byte {offset}"), error))?;
    out.truncate(held + count);
    Ok(())
}

/// Length of a line from which on reading and checking it takes too long to keep others out meanwhile.
const LONG_LINE_BYTES: usize = 64 << 10;

/// The readable side of a log.
pub(crate) struct LogReader {
    source: Source,
    /// The seq of the first line that is known.
    first_seq: Seq,
    /// The offset of each line, by seq.
    offsets: Vec<u64>,
    end: u64,
    /// The first line that was found not to hold.
    damage: Arc<OnceLock<Damage>>,
}

enum Source {
    Memory(MemoryText),
    Disk {
        bytes: Arc<dyn LogBytes>,
        cache: Arc<Cache>,
        protection: Arc<Protection>,
    },
    /// The database was closed: where lines stood is known, and no line any more.
    Closed,
}

impl LogReader {
    /// Makes the reader of an empty log in memory.
    pub fn memory() -> Self {
        LogReader::of(Source::Memory(MemoryText::default()))
    }

    /// Makes the reader of a log on a disk, of which no line is known yet.
    ///
    /// The cache holds texts as they are read, not as they are sealed.
    pub fn disk(bytes: Arc<dyn LogBytes>, cache_bytes: usize, protection: Arc<Protection>) -> Self {
        LogReader::of(Source::Disk { bytes, cache: Arc::new(Cache::new(cache_bytes)), protection })
    }

    fn of(source: Source) -> Self {
        LogReader { source, first_seq: 0, offsets: Vec::new(), end: 0, damage: Arc::default() }
    }

    /// Returns a reader of one line alone, for whoever lets go of this one before it reads a long line; None for a
    /// line that is short.
    ///
    /// Cost: in memory a copy of the line.
    pub fn detached(&self, seq: Seq) -> Option<LogReader> {
        let (start, len_bytes) = self.bounds(seq).filter(|(_, len)| *len > LONG_LINE_BYTES)?;
        let (source, start) = match &self.source {
            Source::Closed => return None,
            Source::Memory(text) => {
                let mut copy = MemoryText::default();
                copy.append(text.slice(start, len_bytes)?);
                (Source::Memory(copy), 0)
            }
            Source::Disk { bytes, cache, protection } => {
                let (bytes, cache) = (Arc::clone(bytes), Arc::clone(cache));
                (Source::Disk { bytes, cache, protection: Arc::clone(protection) }, start)
            }
        };
        let (end, damage) = (start + len_bytes as u64, Arc::clone(&self.damage));
        Some(LogReader { source, first_seq: seq, offsets: vec![start], end, damage })
    }

    /// Tells whether the texts of a line are read from a disk, or its cache, and the line is long.
    pub fn is_long_on_disk(&self, seq: Seq) -> bool {
        matches!(self.source, Source::Disk { .. })
            && self.bounds(seq).is_some_and(|(_, len)| len > LONG_LINE_BYTES)
    }

    /// Returns the first line that was found not to hold since the log was opened, if one was.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.get()
    }

    /// Remembers a line that does not hold, unless another one is known.
    pub fn note_damage(&self, damage: &Damage) {
        self.damage.get_or_init(|| damage.clone());
    }

    /// Forgets the line that does not hold: it is no longer one of the log.
    pub fn forget_damage(&mut self) {
        self.damage = Arc::default();
    }

    /// Lets go of the file, or of the lines in memory, and of the texts in the cache: nothing is read from
    /// here on.
    pub fn close(&mut self) {
        self.source = Source::Closed;
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

    /// Returns how many bytes the texts take that the cache holds; in memory it holds none.
    pub fn cache_held_bytes(&self) -> usize {
        match &self.source {
            Source::Memory(_) | Source::Closed => 0,
            Source::Disk { cache, .. } => cache.held_bytes(),
        }
    }

    /// Returns how many texts were found in the cache, and how many were not; in memory there is none.
    pub fn cache_counts(&self) -> (u64, u64) {
        match &self.source {
            Source::Memory(_) | Source::Closed => (0, 0),
            Source::Disk { cache, .. } => cache.counts(),
        }
    }

    /// Reads from another file from now on, which begins with the lines that are known.
    pub fn read_from(&mut self, file: Arc<dyn LogBytes>) {
        if let Source::Disk { bytes, .. } = &mut self.source {
            *bytes = file;
        }
    }

    /// Tells whether another file holds the last known line, with its hash, where it stands in this one, and
    /// so begins with the same ops.
    ///
    /// Cost: one read and one hash. Errors: `StorageError`.
    pub fn is_begun_by(&self, file: &dyn LogBytes, head: &str) -> Result<bool> {
        let Some(last) = self.offsets.len().checked_sub(1) else { return Ok(true) };
        let seq = last as Seq;
        let Some(line) = self.read_line(file, seq)? else { return Ok(false) };
        let Ok(line) = self.opened(seq, Cow::Owned(line)) else { return Ok(false) };
        let Ok(normalized) = normalize(&line) else { return Ok(false) };
        let fields = Fields::split(&normalized);
        Ok(fields.is_ok_and(|it| it.seq == seq && it.hash == head && it.has_right_hash()))
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
            Source::Memory(_) | Source::Closed => None,
            Source::Disk { bytes, .. } => Some(bytes),
        }
    }

    /// Returns how the lines are sealed; in memory they are not.
    pub fn protection(&self) -> Arc<Protection> {
        match &self.source {
            Source::Memory(_) | Source::Closed => Arc::new(Protection::Plain),
            Source::Disk { protection, .. } => Arc::clone(protection),
        }
    }

    /// Appends up to `bytes_max` bytes of the log from an offset on, as they are now; fewer only at the end.
    ///
    /// Errors: `StorageError`, `DatabaseClosed`.
    pub fn read_bytes(&self, offset: u64, bytes_max: usize, out: &mut Vec<u8>) -> Result<()> {
        match &self.source {
            Source::Closed => return Err(Error::closed()),
            Source::Memory(text) => text.copy_from(offset, bytes_max, out),
            Source::Disk { bytes, .. } => read_log_bytes(&**bytes, offset, bytes_max, out)?,
        }
        Ok(())
    }

    /// Returns a line without its newline, sealed as it stands in the log.
    ///
    /// Errors: `StorageError`, `IntegrityError` when the file no longer holds it; `InvalidArgument`
    /// for a seq that is not in the log; `DatabaseClosed`.
    pub fn line(&self, seq: Seq) -> Result<Cow<'_, [u8]>> {
        let (offset, len) = self
            .bounds(seq)
            .ok_or_else(|| Error::invalid(format!("there is no op with seq {seq}")))?;
        match &self.source {
            Source::Closed => Err(Error::closed()),
            Source::Memory(text) => text
                .slice(offset, len)
                .map(|line| Cow::Borrowed(line.trim_end_matches('\n').as_bytes()))
                .ok_or_else(|| self.gone(seq)),
            Source::Disk { bytes, .. } => {
                self.read_line(&**bytes, seq)?.map(Cow::Owned).ok_or_else(|| self.gone(seq))
            }
        }
    }

    /// Reads a line without its newline from a file; None where the file does not hold it.
    fn read_line(&self, bytes: &dyn LogBytes, seq: Seq) -> Result<Option<Vec<u8>>> {
        let Some((offset, len)) = self.bounds(seq) else { return Ok(None) };
        let mut line = vec![0; len];
        let count = bytes
            .read_at(offset, &mut line)
            .map_err(|error| Error::storage(format!("read op {seq} of the log"), error))?;
        // Beside a writer, and after a crash, the last line may lack its newline.
        let may_lack_newline = offset + len as u64 == self.end && count + 1 == len;
        let is_whole = (line.pop() == Some(b'\n') || may_lack_newline) && count + 1 >= len;
        Ok(is_whole.then_some(line))
    }

    /// Returns a document's text.
    ///
    /// Cost: a slice in memory; on a disk a look into the cache, else one read and one hash of its line. The
    /// texts of a transaction are checked together, and so read one after another in one pass over its line.
    /// Errors: `StorageError`, `IntegrityError`, `DatabaseClosed`.
    pub fn text(&self, wanted: &WantedText<'_>) -> Result<TextRef<'_>> {
        match &self.source {
            Source::Closed => Err(Error::closed()),
            Source::Memory(_) if wanted.place != TextPlace::LEGACY => {
                self.held_text(wanted).ok_or_else(|| self.gone(wanted.seq))
            }
            Source::Memory(_) => self.text_of_line(wanted).map(TextRef::Shared),
            Source::Disk { cache, .. } => {
                if let Some(text) = cache.get(wanted.seq, wanted.item) {
                    return Ok(TextRef::Shared(text));
                }
                let text = match cache.transaction(wanted.seq) {
                    Some(texts) => text_among(&texts, wanted)
                        .map_err(|fault| self.damaged(wanted.seq, &fault))?,
                    None => self.text_of_line(wanted)?,
                };
                cache.insert(wanted.seq, wanted.item, Arc::clone(&text));
                Ok(TextRef::Shared(text))
            }
        }
    }

    /// Returns a document's text where it is in memory.
    ///
    /// Cost: a slice, or a look into the cache.
    pub fn held_text(&self, wanted: &WantedText<'_>) -> Option<TextRef<'_>> {
        let WantedText { seq, item, place, .. } = *wanted;
        match &self.source {
            Source::Memory(text) if place != TextPlace::LEGACY => {
                let (offset, _) = self.bounds(seq)?;
                text.slice(offset + u64::from(place.start), place.bytes as usize)
                    .map(TextRef::Borrowed)
            }
            Source::Disk { cache, .. } => cache.get_if_held(seq, item).map(TextRef::Shared),
            Source::Memory(_) | Source::Closed => None,
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
        let damaged = |fault: Fault| self.damaged(seq, &fault);
        let line = self.opened(seq, line).map_err(damaged)?;
        let normalized = normalize(&line).map_err(damaged)?;
        let fields = Fields::split(&normalized).map_err(damaged)?;
        if fields.seq != seq {
            return Err(damaged(Fault::WrongLink(format!("it says that it is op {}", fields.seq))));
        }
        if self.disk_bytes().is_some() && !fields.has_right_hash() {
            return Err(damaged(Fault::WrongHash));
        }
        // What `look` cannot do with an op says nothing of the line.
        look(&fields).map_err(|fault| damaged_op(seq, &fault.reason()))
    }

    /// Remembers that a line does not hold, and makes the error that says so.
    fn damaged(&self, seq: Seq, fault: &Fault) -> Error {
        let reason = fault.reason();
        let error = damaged_op(seq, &reason);
        self.note_damage(&Damage { seq, offset_bytes: self.start_of(seq), reason });
        error
    }

    fn gone(&self, seq: Seq) -> Error {
        let reason = "it is no longer in the log where it was".to_owned();
        self.note_damage(&Damage { seq, offset_bytes: self.start_of(seq), reason });
        Error::integrity(format!(
            "op {seq} is no longer in the log where it was; run verify_report()"
        ))
    }

    fn start_of(&self, seq: Seq) -> u64 {
        self.bounds(seq).map_or(self.end, |(start, _)| start)
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
        let found = self.with_fields(wanted.seq, |fields| Ok(self.text_in(fields, wanted)))?;
        found.map_err(|fault| self.damaged(wanted.seq, &fault))
    }

    /// Returns the text that an op wrote of a document; holds those of a transaction together.
    fn text_in(
        &self,
        fields: &Fields<'_>,
        wanted: &WantedText<'_>,
    ) -> std::result::Result<Arc<str>, Fault> {
        let op = fields.to_op()?;
        if let (Items::Many(items), Source::Disk { cache, .. }) = (&op.items, &self.source) {
            let texts = Arc::new(CheckedTexts::new(items.iter().map(checked_text).collect()));
            let found = text_among(&texts, wanted);
            cache.insert_transaction(wanted.seq, texts);
            return found;
        }
        match op.items.as_slice().get(wanted.item as usize).map(|item| &item.kind) {
            Some(OpKind::Put(put)) if wanted.is_of(&put.collection, &put.id) => {
                Ok(Arc::from(&*put.text))
            }
            _ => Err(wanted.is_not_written()),
        }
    }

    fn bounds(&self, seq: Seq) -> Option<(u64, usize)> {
        let at = usize::try_from(seq.checked_sub(self.first_seq)?).ok()?;
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

impl WantedText<'_> {
    fn is_of(&self, collection: &str, id: &str) -> bool {
        self.collection == collection && self.id == id
    }

    fn is_not_written(&self) -> Fault {
        Fault::Unreadable(format!("it does not write {}:{}", self.collection, self.id))
    }
}

fn checked_text(item: &Item<'_>) -> Option<CheckedText> {
    let OpKind::Put(put) = &item.kind else { return None };
    let (collection, id) = (Box::from(&*put.collection), Box::from(&*put.id));
    Some(CheckedText { collection, id, text: Arc::from(&*put.text) })
}

fn text_among(
    texts: &CheckedTexts,
    wanted: &WantedText<'_>,
) -> std::result::Result<Arc<str>, Fault> {
    let found = texts.item(wanted.item).filter(|it| wanted.is_of(&it.collection, &it.id));
    found.map(|it| Arc::clone(&it.text)).ok_or_else(|| wanted.is_not_written())
}

fn damaged_op(seq: Seq, reason: &str) -> Error {
    Error::integrity(format!("op {seq} of the log is damaged: {reason}; run verify_report()"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;
    use crate::hash::ZERO_HASH;
    use crate::log::{Header, encode_line};
    use crate::op::{Item, Items, Put};
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A log that counts what is read of it.
    struct Counting {
        log: String,
        read_bytes: AtomicUsize,
    }

    impl LogBytes for Counting {
        fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.log.as_bytes().get(offset_bytes as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.read_bytes.fetch_add(count, Ordering::Relaxed);
            Ok(count)
        }

        fn len_bytes(&self) -> io::Result<u64> {
            Ok(self.log.len() as u64)
        }
    }

    /// Makes a log of transactions of so many documents each, and its reader.
    fn transactions(count: Seq, item_count: u32, cache_bytes: usize) -> (Arc<Counting>, LogReader) {
        let (mut log, mut hash, mut lengths) = (String::new(), ZERO_HASH.to_owned(), Vec::new());
        for seq in 0..count {
            let item = |item: u32| {
                let id = item.to_string();
                let put = Put {
                    collection: "c".into(),
                    text: text_of(seq, item).into(),
                    id: id.into(),
                    place: TextPlace::LEGACY,
                    valid_from: None,
                    valid_to: None,
                    expires_at: None,
                };
                Item { kind: OpKind::Put(put), caused_by: Vec::new().into() }
            };
            let mut items = Items::Many((0..item_count).map(item).collect());
            let client = "local";
            let header = Header { seq, client, nonce: seq + 1, ts: 1.0, ..Header::default() };
            let start = log.len();
            hash = encode_line(&header, &mut items, &hash, &mut String::new(), &mut log).unwrap();
            lengths.push((log.len() - start) as u64);
        }
        let bytes = Arc::new(Counting { log, read_bytes: AtomicUsize::new(0) });
        let plain = Arc::new(Protection::Plain);
        let mut reader = LogReader::disk(bytes.clone() as Arc<dyn LogBytes>, cache_bytes, plain);
        lengths.into_iter().for_each(|length| reader.push_line_bytes(length));
        (bytes, reader)
    }

    fn text_of(seq: Seq, item: u32) -> String {
        format!("{{\"_id\":\"{item}\",\"n\":{seq},\"t\":\"{}\"}}", "x".repeat(500))
    }

    fn read(reader: &LogReader, seq: Seq, item: u32, id: &str) -> Result<String> {
        let wanted = WantedText { seq, item, place: TextPlace::LEGACY, collection: "c", id };
        reader.text(&wanted).map(|text| text.to_string())
    }

    #[test]
    fn the_texts_of_a_transaction_are_read_and_checked_in_one_pass_over_its_line() {
        let (bytes, reader) = transactions(1, 200, 0);
        for item in (0..200).chain(0..200) {
            assert_eq!(read(&reader, 0, item, &item.to_string()).unwrap(), text_of(0, item));
        }
        assert_eq!(bytes.read_bytes.load(Ordering::Relaxed), bytes.log.len());
        assert!(reader.damage().is_none());
    }

    #[test]
    fn texts_of_several_transactions_may_be_read_in_turn() {
        let (bytes, reader) = transactions(3, 100, 1 << 20);
        for item in 0..100 {
            for seq in 0..3 {
                assert_eq!(
                    read(&reader, seq, item, &item.to_string()).unwrap(),
                    text_of(seq, item)
                );
            }
        }
        assert_eq!(bytes.read_bytes.load(Ordering::Relaxed), bytes.log.len());
    }

    #[test]
    fn a_text_that_is_held_with_others_is_checked_to_be_the_one_that_is_wanted() {
        for item in [7, 200] {
            let (_, reader) = transactions(1, 200, 0);
            read(&reader, 0, 0, "0").unwrap();
            let refused = read(&reader, 0, item, "8").unwrap_err();
            assert_eq!(refused.code(), ErrorCode::IntegrityError);
            assert_eq!(reader.damage().map(|damage| damage.seq), Some(0));
        }
    }
}
