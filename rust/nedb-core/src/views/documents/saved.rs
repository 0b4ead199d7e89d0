//! Documents as bytes: the names of the collections, then each collection's ids and its versions in the
//! order in which they were written.
//!
//! Lives are not saved: reading the versions in order makes them anew, as writing them did. So there is
//! nothing that could contradict the versions.

use super::{Collection, Documents, Extra, NO_EXTRA, TOMBSTONE, Version, Versions};
use crate::instant::Instant;
use crate::op::{Seq, TextPlace};
use crate::views::codec::{Malformed, Reader, SavedLog, Writer};
use crate::views::ids::{DocumentId, Life, LifeId, NO_END};
use crate::views::live_list::LiveList;
use crate::views::names::Names;

/// The first version of the next document, not one more of a document that is numbered.
const IS_FIRST: u8 = 1;
const IS_TOMBSTONE: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
/// An item number follows; without it is 0.
const HAS_ITEM: u8 = 1 << 3;
const ALL_FLAGS: u8 = IS_FIRST | IS_TOMBSTONE | HAS_EXTRA | HAS_ITEM;

const HAS_FROM: u8 = 1;
const HAS_TO: u8 = 1 << 1;
const HAS_END: u8 = 1 << 2;

const NANOSECONDS_MAX: u32 = 999_999_999;
/// What a version and a document are at least: flags, rise of the seq, place; a length in the names.
const VERSION_BYTES_MIN: usize = 2;

/// What the version before was: numbers are saved by how far they are from it.
#[derive(Clone, Copy)]
struct Before {
    seq: Seq,
    item: u32,
    start: u32,
}

const NOTHING_BEFORE: Before = Before { seq: -1, item: 0, start: 0 };

impl Documents {
    /// Appends all collections.
    pub fn encode(&self, out: &mut Writer) {
        self.names.encode(out);
        for collection in &self.collections {
            collection.encode(out);
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(input: &mut Reader<'_>, log: SavedLog<'_>) -> Result<Documents, Malformed> {
        let names = Names::decode(input)?;
        let mut collections = Vec::with_capacity(names.count() as usize);
        for _ in 0..names.count() {
            collections.push(Collection::decode(input, log)?);
        }
        Ok(Documents { names, collections })
    }
}

impl Collection {
    fn encode(&self, out: &mut Writer) {
        self.ids.encode(out);
        let mut order: Vec<(Seq, u32, DocumentId, u32)> = Vec::with_capacity(self.versions.len());
        for (document, versions) in self.versions.iter().enumerate() {
            for (at, version) in versions.as_slice().iter().enumerate() {
                order.push((version.seq, version.item, document as DocumentId, at as u32));
            }
        }
        order.sort_unstable();
        out.count(order.len());
        let mut before = NOTHING_BEFORE;
        for (_, _, document, at) in order {
            let versions = self.versions.get(document as usize).map(Versions::as_slice);
            if let Some(version) = versions.and_then(|versions| versions.get(at as usize)) {
                self.encode_version(version, document, at == 0, &mut before, out);
            }
        }
    }

    fn encode_version(
        &self,
        version: &Version,
        document: DocumentId,
        is_first: bool,
        before: &mut Before,
        out: &mut Writer,
    ) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.byte(
            flag(is_first, IS_FIRST)
                | flag(version.is_tombstone(), IS_TOMBSTONE)
                | flag(version.extra != NO_EXTRA, HAS_EXTRA)
                | flag(version.item != 0, HAS_ITEM),
        );
        out.rise(before.seq, version.seq);
        if version.item != 0 {
            out.unsigned(version.item.into());
        }
        if !is_first {
            out.unsigned(document.into());
        }
        *before = Before { seq: version.seq, item: version.item, start: before.start };
        if version.is_tombstone() {
            return;
        }
        out.signed(i64::from(version.place.start) - i64::from(before.start));
        out.unsigned(version.place.bytes.into());
        before.start = version.place.start;
        if let Some(extra) = self.extras.get(version.extra as usize) {
            extra.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>, log: SavedLog<'_>) -> Result<Collection, Malformed> {
        let ids = Names::decode(input)?;
        let document_count = ids.count() as usize;
        let version_count = input.count(VERSION_BYTES_MIN)?;
        if version_count < document_count {
            return Err(Malformed("an id has no version"));
        }
        let mut loaded = Collection {
            ids,
            versions: Vec::with_capacity(document_count),
            lives: Vec::with_capacity(document_count),
            ..Collection::default()
        };
        let mut rows = Rows { input, log, before: NOTHING_BEFORE };
        for _ in 0..version_count {
            loaded.take(rows.next()?)?;
        }
        if loaded.versions.len() != document_count {
            return Err(Malformed("there are more ids than documents, or fewer"));
        }
        loaded.finish();
        Ok(loaded)
    }

    /// Takes the next version in, as a put or a delete does.
    #[inline]
    fn take(&mut self, row: Row) -> Result<(), Malformed> {
        let document = row.document.unwrap_or(self.versions.len() as DocumentId);
        let current = match row.document {
            None => None,
            Some(_) => {
                let versions = self.versions.get(document as usize);
                let versions = versions.ok_or(Malformed("a version is of no document"))?;
                versions.as_slice().last().filter(|last| !last.is_tombstone()).map(|last| last.life)
            }
        };
        let (life, extra) = match (row.kind, current) {
            (RowKind::Delete, None) => return Err(Malformed("what is absent was deleted")),
            (RowKind::Delete, Some(life)) => {
                if let Some(life) = self.lives.get_mut(life as usize) {
                    life.end_seq = row.seq;
                }
                (TOMBSTONE, None)
            }
            (RowKind::Put(extra), Some(life)) => (life, extra),
            (RowKind::Put(extra), None) => {
                let life = Life { document, start_seq: row.seq, end_seq: NO_END };
                self.lives.push(life);
                (self.lives.len() as LifeId - 1, extra)
            }
        };
        let extra = extra.map_or(NO_EXTRA, |extra| self.push_extra(extra));
        let version = Version { seq: row.seq, place: row.place, item: row.item, life, extra };
        match self.versions.get_mut(document as usize) {
            Some(versions) => versions.push(version),
            None => self.versions.push(Versions::One(version)),
        }
        Ok(())
    }

    /// Makes what follows from the lives, and gives back what growing took too much.
    fn finish(&mut self) {
        let is_living = |(_, life): &(usize, &Life)| life.end_seq == NO_END;
        let living = self.lives.iter().enumerate().filter(is_living);
        let mut entries = Vec::with_capacity(self.lives.len());
        entries.extend(living.map(|(number, _)| number as LifeId));
        self.live = LiveList::of_living(entries);
        for versions in &mut self.versions {
            if let Versions::Many(versions) = versions {
                versions.shrink_to_fit();
            }
        }
    }
}

/// One saved version.
struct Row {
    /// None for the first version of the next document.
    document: Option<DocumentId>,
    seq: Seq,
    item: u32,
    place: TextPlace,
    kind: RowKind,
}

enum RowKind {
    Put(Option<Extra>),
    Delete,
}

/// The versions of a collection, one after another.
struct Rows<'i, 'b, 'l> {
    input: &'i mut Reader<'b>,
    log: SavedLog<'l>,
    before: Before,
}

impl Rows<'_, '_, '_> {
    #[inline]
    fn next(&mut self) -> Result<Row, Malformed> {
        let flags = self.input.byte()?;
        let has = |flag: u8| flags & flag != 0;
        if flags & !ALL_FLAGS != 0 {
            return Err(Malformed("a version has unknown flags"));
        }
        let seq = self.input.rise(self.before.seq, self.log.last_seq())?;
        let item = if has(HAS_ITEM) { self.input.small()? } else { 0 };
        if (seq, item) <= (self.before.seq, self.before.item) {
            return Err(Malformed("versions are not in the order of the log"));
        }
        (self.before.seq, self.before.item) = (seq, item);
        let document = if has(IS_FIRST) { None } else { Some(self.input.small()?) };
        let (kind, place) = if has(IS_TOMBSTONE) {
            (RowKind::Delete, TextPlace::LEGACY)
        } else {
            let place = self.place(seq)?;
            let extra = if has(HAS_EXTRA) { Some(Extra::decode(self.input)?) } else { None };
            (RowKind::Put(extra), place)
        };
        Ok(Row { document, seq, item, place, kind })
    }

    fn place(&mut self, seq: Seq) -> Result<TextPlace, Malformed> {
        let start = i64::from(self.before.start).checked_add(self.input.signed()?);
        let start = start.and_then(|start| u32::try_from(start).ok());
        let (start, bytes) =
            (start.ok_or(Malformed("a text starts nowhere"))?, self.input.small()?);
        if u64::from(start) + u64::from(bytes) > self.log.line_bytes(seq) {
            return Err(Malformed("a text is longer than its line"));
        }
        self.before.start = start;
        Ok(TextPlace { start, bytes })
    }
}

impl Extra {
    fn encode(&self, out: &mut Writer) {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.byte(
            flag(self.valid_from.is_some(), HAS_FROM)
                | flag(self.valid_to.is_some(), HAS_TO)
                | flag(self.expires_at.is_some(), HAS_END),
        );
        for instant in [self.valid_from, self.valid_to].into_iter().flatten() {
            out.signed(instant.seconds);
            out.unsigned(instant.nanoseconds.into());
        }
        if let Some(expires_at) = self.expires_at {
            out.fixed(expires_at.to_bits());
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Extra, Malformed> {
        let flags = input.byte()?;
        if flags == 0 || flags & !(HAS_FROM | HAS_TO | HAS_END) != 0 {
            return Err(Malformed("a version has unknown flags"));
        }
        let mut instant = |flag: u8| match flags & flag {
            0 => Ok(None),
            _ => decode_instant(input).map(Some),
        };
        let (valid_from, valid_to) = (instant(HAS_FROM)?, instant(HAS_TO)?);
        let expires_at = match flags & HAS_END {
            0 => None,
            _ => Some(f64::from_bits(input.fixed()?)),
        };
        if expires_at.is_some_and(f64::is_nan) {
            return Err(Malformed("an end is no number"));
        }
        Ok(Extra { valid_from, valid_to, expires_at })
    }
}

fn decode_instant(input: &mut Reader<'_>) -> Result<Instant, Malformed> {
    let instant = Instant { seconds: input.signed()?, nanoseconds: input.small()? };
    match instant.nanoseconds {
        0..=NANOSECONDS_MAX => Ok(instant),
        _ => Err(Malformed("an instant has too many nanoseconds")),
    }
}
