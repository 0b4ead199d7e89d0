//! Payloads, read: what an op does, by its kind.
//!
//! In: a payload as canonical text, of a line of ours or of NEDB 1.x. Out: what the op does, or which member of it is
//! wrong.
//!
//! Invariants:
//! * An op of a known kind has the shape that docs/format.md gives it, or is damage, so that nobody who reads it later
//!   has to cope with another. Kinds and members that are not known are let be.
//! * Of NEDB 1.x everything is taken that it wrote: it checked no types of names, and always had an object as `doc`.

use super::super::fault::{Fault, member};
use crate::document::legacy_stored;
use crate::hash::{Hash, hash_from_hex, is_hash};
use crate::instant::{self, Bound, Instant};
use crate::json::{elements, legacy_document, members, string_text};
use crate::op::{Carried, FileContent, OpKind, Put, PutFile, Repair, Seq, TextPlace, Tier, kind};
use std::borrow::Cow;

/// A payload, and the line that it stands in.
#[derive(Clone, Copy, Debug)]
pub(in crate::log) struct Payload<'t> {
    pub line: &'t str,
    pub text: &'t str,
    pub is_legacy: bool,
}

/// The members of a put's payload, raw.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::log) struct PutParts<'t> {
    key: Option<&'t str>,
    collection: Option<&'t str>,
    id: Option<&'t str>,
    doc: Option<&'t str>,
}

impl<'t> PutParts<'t> {
    /// One walk: to look for each member by itself would walk over the document each time.
    pub fn of(members: impl Iterator<Item = (&'t str, &'t str)>) -> Self {
        let mut parts = PutParts::default();
        for (key, value) in members {
            match key {
                "key" => parts.key = Some(value),
                "coll" => parts.collection = Some(value),
                "id" => parts.id = Some(value),
                "doc" => parts.doc = Some(value),
                _ => {}
            }
        }
        parts
    }
}

/// Reads what an op of a kind does; `parts` are the members of a put, where they are known.
///
/// Errors: `Fault::Unreadable` naming the member that is missing, or is not what it should be.
pub(in crate::log) fn op_kind<'t>(
    kind: &str,
    payload: Payload<'t>,
    parts: Option<PutParts<'t>>,
) -> Result<OpKind<'t>, Fault> {
    let shape = Shape { kind, payload };
    let kind = match kind {
        kind::PUT => {
            return shape.put(parts.unwrap_or_else(|| PutParts::of(members(payload.text))));
        }
        kind::DELETE => shape.delete()?,
        kind::LINK => {
            let [from, relation, to] = shape.edge()?;
            OpKind::Link { from, relation, to }
        }
        kind::UNLINK => {
            let [from, relation, to] = shape.edge()?;
            OpKind::Unlink { from, relation, to }
        }
        kind::PUT_FILE => OpKind::PutFile(shape.put_file()?),
        kind::CHECKPOINT => shape.checkpoint()?,
        kind::REPAIR => OpKind::Repair(shape.repair()?),
        kind::ENCRYPT => OpKind::Encrypt { plain_op_count: shape.number("plain_op_count")? },
        _ => OpKind::Unknown,
    };
    Ok(kind)
}

/// A payload of a known kind, looked at member by member.
struct Shape<'k, 't> {
    kind: &'k str,
    payload: Payload<'t>,
}

impl<'t> Shape<'_, 't> {
    fn lacks(&self, name: &str) -> Fault {
        match self.payload.text.starts_with('{') {
            true => Fault::unreadable(format!("{} without {name}", self.kind)),
            false => Fault::unreadable(format!("{} whose payload is no object", self.kind)),
        }
    }

    fn wrong(&self, name: &str, expected: &str) -> Fault {
        Fault::unreadable(format!("{} whose {name} is {expected}", self.kind))
    }

    fn raw(&self, name: &str) -> Result<&'t str, Fault> {
        member(self.payload.text, name).ok_or_else(|| self.lacks(name))
    }

    /// Reads the token of a name: a string, or, of NEDB 1.x, whatever is there as it is spelt.
    fn name_of(&self, name: &str, raw: &'t str) -> Result<Cow<'t, str>, Fault> {
        match string_text(raw) {
            Some(text) => Ok(text),
            None if self.payload.is_legacy => Ok(Cow::Borrowed(raw)),
            None => Err(self.wrong(name, "no string")),
        }
    }

    fn name(&self, name: &str) -> Result<Cow<'t, str>, Fault> {
        self.name_of(name, self.raw(name)?)
    }

    fn text(&self, name: &str) -> Result<Cow<'t, str>, Fault> {
        string_text(self.raw(name)?).ok_or_else(|| self.wrong(name, "no string"))
    }

    fn number(&self, name: &str) -> Result<u64, Fault> {
        self.raw(name)?.parse().map_err(|_| self.wrong(name, "no count"))
    }

    fn hash(&self, name: &str) -> Result<Hash, Fault> {
        let text = self.text(name)?;
        hash_from_hex(&text).ok_or_else(|| self.wrong(name, "no hash"))
    }

    /// Checks a member that need not be there.
    fn optional<T>(
        &self,
        name: &str,
        check: impl FnOnce(&Self, &str) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        member(self.payload.text, name).map(|_| check(self, name)).transpose()
    }

    /// Reads which document an op is about: its key says the same once more.
    fn target(&self, parts: &PutParts<'t>) -> Result<(Cow<'t, str>, Cow<'t, str>), Fault> {
        let part = |name: &str, raw: Option<&'t str>| raw.ok_or_else(|| self.lacks(name));
        let raw_collection = part("coll", parts.collection)?;
        let raw_id = part("id", parts.id)?;
        let collection = self.name_of("coll", raw_collection)?;
        let id = self.name_of("id", raw_id)?;
        let key = quoted(part("key", parts.key)?).ok_or_else(|| self.wrong("key", "no string"))?;
        // Of a name that is no string NEDB 1.x wrote in the key what Python makes of it.
        if let (Some(raw_collection), Some(raw_id)) = (quoted(raw_collection), quoted(raw_id)) {
            let rest = key.strip_prefix(raw_collection).and_then(|rest| rest.strip_prefix(':'));
            if rest != Some(raw_id) {
                return Err(self.wrong("key", "not coll:id"));
            }
        }
        Ok((collection, id))
    }

    fn put(&self, parts: PutParts<'t>) -> Result<OpKind<'t>, Fault> {
        let doc = parts.doc.ok_or_else(|| self.lacks("doc"))?;
        if !doc.starts_with('{') {
            return Err(self.wrong("doc", "no object"));
        }
        let (collection, id) = self.target(&parts)?;
        let (text, place) = if self.payload.is_legacy {
            let served =
                legacy_document(doc).map_err(|error| Fault::unreadable(error.message()))?;
            (Cow::Owned(legacy_stored(&served, &id)), TextPlace::LEGACY)
        } else {
            (Cow::Borrowed(doc), self.place_of(doc))
        };
        let set = SetMembers::of(&text);
        // Both are canonical, so that one string has one spelling.
        if !self.payload.is_legacy && set.id != parts.id {
            return Err(self.wrong("doc", "one of another _id, or of none"));
        }
        let SetMembers { valid_from, valid_to, expires_at, .. } = set;
        Ok(OpKind::Put(Put { collection, id, place, valid_from, valid_to, expires_at, text }))
    }

    fn place_of(&self, part: &str) -> TextPlace {
        let start = part.as_ptr() as usize - self.payload.line.as_ptr() as usize;
        // LINE_BYTES_MAX is far below 4 GiB.
        TextPlace { start: start as u32, bytes: part.len() as u32 }
    }

    fn delete(&self) -> Result<OpKind<'t>, Fault> {
        let (collection, id) = self.target(&PutParts::of(members(self.payload.text)))?;
        Ok(OpKind::Delete { collection, id })
    }

    fn edge(&self) -> Result<[Cow<'t, str>; 3], Fault> {
        Ok([self.name("frm")?, self.name("rel")?, self.name("to")?])
    }

    /// Reads a version of a file: one of ours, which says of which tree its root is, or one of NEDB 1.x.
    fn put_file(&self) -> Result<PutFile<'t>, Fault> {
        let content = match member(self.payload.text, "tree") {
            None => None,
            Some("1") => Some(FileContent {
                size_bytes: self.number("size")?,
                manifest: self.hash("manifest")?,
            }),
            Some(_) => return Err(self.wrong("tree", "not 1")),
        };
        let tier = self.text("tier")?;
        Ok(PutFile {
            name: self.name("name")?,
            version: self.number("version")?,
            tier: Tier::parse(&tier).map_err(|_| self.wrong("tier", "neither warm nor cold"))?,
            root: self.hash("root")?,
            content,
        })
    }

    fn checkpoint(&self) -> Result<OpKind<'t>, Fault> {
        let note = self.text("note")?;
        let views = self.optional("views", |shape, name| {
            let views = shape.text(name)?;
            if is_hash(&views) { Ok(views) } else { Err(shape.wrong(name, "no hash")) }
        })?;
        Ok(OpKind::Checkpoint { note, views })
    }

    fn repair(&self) -> Result<Repair<'t>, Fault> {
        let lost_cause_count = self.optional("lost_cause_count", Self::number)?;
        let carried = |shape: &Self, name: &str| {
            Ok(Carried {
                op_count: shape.number(name)?,
                old_seqs: shape.optional("carried_seqs", Self::ranges)?.unwrap_or_default(),
                lost_cause_count: lost_cause_count.unwrap_or_default(),
            })
        };
        Ok(Repair {
            cut_bytes: self.number("cut_bytes")?,
            damaged_file: self.text("damaged_file")?,
            offset_bytes: self.number("offset_bytes")?,
            reason: self.text("reason")?,
            synced_bytes: self.optional("synced_bytes", Self::number)?,
            carried: self.optional("carried_op_count", carried)?,
        })
    }

    /// Reads `[[first, last], ...]`.
    fn ranges(&self, name: &str) -> Result<Vec<(Seq, Seq)>, Fault> {
        let range = |range: &str| {
            let mut ends = elements(range).map(str::parse);
            match (ends.next(), ends.next(), ends.next()) {
                (Some(Ok(first)), Some(Ok(last)), None) if first <= last => Some((first, last)),
                _ => None,
            }
        };
        let list = self.raw(name)?;
        let is_list = |text: &str| text.starts_with('[');
        let ranges =
            || elements(list).map(|text| is_list(text).then(|| range(text)).flatten()).collect();
        is_list(list).then(ranges).flatten().ok_or_else(|| self.wrong(name, "no list of ranges"))
    }
}

/// Returns what stands between the quotes of a string token.
fn quoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// What a document's text says that the engine has set: which document it is, when the version is true, and until
/// when it is kept.
#[derive(Debug, Default)]
struct SetMembers<'t> {
    /// As it is spelt.
    id: Option<&'t str>,
    valid_from: Option<Instant>,
    valid_to: Option<Instant>,
    expires_at: Option<f64>,
}

impl<'t> SetMembers<'t> {
    fn of(text: &'t str) -> SetMembers<'t> {
        let mut set = SetMembers::default();
        for (key, value) in members(text) {
            match key {
                "_id" => set.id = Some(value),
                // What NEDB 1.x took and is of another type counts as absent, as a bound that is no date.
                "_valid_from" => {
                    set.valid_from =
                        string_text(value).and_then(|date| instant::parse(&date, Bound::From));
                }
                "_valid_to" => {
                    set.valid_to =
                        string_text(value).and_then(|date| instant::parse(&date, Bound::To));
                }
                "_expires_at" => set.expires_at = value.parse().ok(),
                _ if key.starts_with(|first: char| first > '_') => break,
                _ => {}
            }
        }
        set
    }
}
