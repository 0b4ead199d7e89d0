//! One line of text as one op.
//!
//! In: a line without its newline, ours or one of NEDB 1.x. Out: its members, its hash checked, its op.
//!
//! Invariants:
//! * A line of ours is canonical text to the last byte, so that hashing slices of it is hashing what
//!   anybody else would serialise.
//! * A line of NEDB 1.x begins with `{"seq": ` and is serialised anew, numbers kept verbatim.
//! * Nothing here panics, whatever the bytes are.

use super::fault::{Fault, member, seqs};
use super::payload::{Payload, PutParts, op_kind};
use crate::crypto::is_envelope;
use crate::hash::{ChainHasher, is_hash};
use crate::json::{
    OutlinedMember, canonicalize_legacy, elements, legacy_document, members, outline, string_text,
};
use crate::limits::LINE_BYTES_MAX;
use crate::op::{Item, Items, Nonce, Op, OpKind, Seq, kind};
use std::borrow::Cow;

/// Members that a put has, those of its payload included: room for them is made at once.
const MEMBERS_COUNT: usize = 20;

/// A line as text that is to be canonical, and whether NEDB 1.x wrote it.
#[derive(Debug)]
pub(crate) struct Normalized<'a> {
    pub text: Cow<'a, str>,
    pub is_legacy: bool,
}

/// Makes canonical text of a line of NEDB 1.x; one of ours is borrowed, and `Fields` checks it.
///
/// Errors: `Fault::NotWellFormed`, `Fault::Encrypted`.
pub(crate) fn normalize(line: &[u8]) -> Result<Normalized<'_>, Fault> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Fault::form(format!("it is longer than {LINE_BYTES_MAX} bytes")));
    }
    let text = std::str::from_utf8(line).map_err(|_| Fault::form("it is not UTF-8"))?;
    if text.starts_with("{\"seq\": ") {
        let mut hashed = String::with_capacity(text.len());
        canonicalize_legacy(text, &mut hashed)
            .map_err(|error| Fault::form(error.message().to_owned()))?;
        return Ok(Normalized { text: Cow::Owned(hashed), is_legacy: true });
    }
    if is_envelope(line) {
        return Err(Fault::Encrypted);
    }
    if !text.starts_with('{') {
        return Err(not_canonical());
    }
    Ok(Normalized { text: Cow::Borrowed(text), is_legacy: false })
}

/// The members of a line, as they stand in it.
#[derive(Debug)]
pub(crate) struct Fields<'t> {
    text: &'t str,
    is_legacy: bool,
    pub seq: Seq,
    pub prev_hash: &'t str,
    pub hash: &'t str,
    client: &'t str,
    nonce: &'t str,
    op: &'t str,
    payload: &'t str,
    idem: &'t str,
    caused_by: Option<&'t str>,
    /// What a put needs of the payload, if it was seen on the way.
    put_parts: Option<PutParts<'t>>,
    /// The members that the hash covers.
    pieces: Pieces<'t>,
    /// The first member that no hash covers.
    pub uncovered: Option<&'t str>,
}

impl<'t> Fields<'t> {
    /// Finds the members of a line, and checks that it is canonical.
    ///
    /// Errors: `Fault::NotWellFormed`, also when a required member is missing or of another type.
    pub fn split(normalized: &'t Normalized<'_>) -> Result<Fields<'t>, Fault> {
        Fields::split_with(normalized, &mut Vec::with_capacity(MEMBERS_COUNT))
    }

    /// Finds the members as `split` does; `outlined` is working space that is overwritten.
    ///
    /// Errors: as `split`.
    pub fn split_with(
        normalized: &'t Normalized<'_>,
        outlined: &mut Vec<OutlinedMember<'t>>,
    ) -> Result<Fields<'t>, Fault> {
        outline_line(normalized, outlined)?;
        let mut raw = RawMembers::default();
        let mut pieces = Pieces::new(&normalized.text);
        let mut inner_start = 0;
        let mut put_parts = None;
        for (place, OutlinedMember { key, value, is_inner }) in outlined.iter().enumerate() {
            if *is_inner {
                continue;
            }
            raw.set(key, value);
            if is_hashed(key, value) {
                pieces.include(key, value);
            }
            if *key == "payload" && place > inner_start {
                let inner = outlined.get(inner_start..place).unwrap_or_default();
                put_parts = Some(PutParts::of(inner.iter().map(|it| (it.key, it.value))));
            }
            inner_start = place + 1;
        }
        let seq = required(raw.seq, "seq")?;
        Ok(Fields {
            text: &normalized.text,
            is_legacy: normalized.is_legacy,
            pieces,
            seq: seq.parse().map_err(|_| Fault::form("seq is no integer"))?,
            prev_hash: hash_text(raw.prev_hash, "prev_hash")?,
            hash: hash_text(raw.hash, "hash")?,
            client: required(raw.client, "client")?,
            nonce: required(raw.nonce, "nonce")?,
            op: required(raw.op, "op")?,
            payload: required(raw.payload, "payload")?,
            idem: required(raw.idem, "idem")
                .and_then(|idem| required(raw.ts, "ts").map(|_| idem))?,
            caused_by: raw.caused_by,
            put_parts,
            uncovered: raw.uncovered,
        })
    }

    /// Computes the hash that the line should have.
    ///
    /// Cost: one BLAKE2b over the line, with as few pieces as the members left out allow.
    pub fn computed_hash(&self) -> String {
        let mut hasher = ChainHasher::new(self.prev_hash);
        hasher.update_canonical("{");
        for (place, piece) in self.pieces.pieces.iter().enumerate() {
            if place > 0 {
                hasher.update_canonical(",");
            }
            hasher.update_canonical(piece);
        }
        hasher.update_canonical("}");
        hasher.finish()
    }

    /// Tells whether the line's hash is that of its members.
    pub fn has_right_hash(&self) -> bool {
        self.computed_hash() == self.hash
    }

    /// Returns the name of the op's kind.
    pub fn kind(&self) -> Cow<'t, str> {
        text_of(self.op)
    }

    /// Returns the idempotency key.
    pub fn idem(&self) -> Option<Cow<'t, str>> {
        string_text(self.idem)
    }

    /// Returns what the op itself says caused it.
    pub fn caused_by(&self) -> Vec<Seq> {
        self.caused_by.map(seqs).unwrap_or_default()
    }

    /// Returns the whole op as canonical text.
    ///
    /// Errors: `Fault::Unreadable` for what NEDB 1.x wrote and we cannot spell.
    pub fn to_canonical(&self) -> Result<String, Fault> {
        if !self.is_legacy {
            return Ok(self.text.to_owned());
        }
        legacy_document(self.text).map_err(|error| Fault::unreadable(error.message()))
    }

    /// Builds the op.
    ///
    /// Errors: `Fault::Unreadable` when the payload of a known kind has not the shape that it should have.
    pub fn to_op(&self) -> Result<Op<'t>, Fault> {
        let kind = self.kind();
        let items = if kind == kind::TRANSACTION {
            Items::Many(self.transaction_items()?)
        } else {
            let kind = op_kind(&kind, self.payload_of(self.payload), self.put_parts)?;
            let caused_by = Cow::Owned(self.caused_by_or_of(&kind));
            Items::One(Item { kind, caused_by })
        };
        Ok(Op {
            seq: self.seq,
            client: text_of(self.client),
            nonce: Nonce::parse(self.nonce),
            idem: self.idem(),
            items,
        })
    }

    fn payload_of(&self, text: &'t str) -> Payload<'t> {
        Payload { line: self.text, text, is_legacy: self.is_legacy }
    }

    /// NEDB 1.x re-put a document to let it expire, and kept its causes in the document alone.
    fn caused_by_or_of(&self, kind: &OpKind<'_>) -> Vec<Seq> {
        match kind {
            OpKind::Put(put) if self.is_legacy && self.caused_by.is_none() => {
                member(&put.text, "_caused_by").map(seqs).unwrap_or_default()
            }
            _ => self.caused_by(),
        }
    }

    fn transaction_items(&self) -> Result<Vec<Item<'t>>, Fault> {
        let wrong = |what: &str| Fault::unreadable(format!("tx {what}"));
        let list = member(self.payload, "items").ok_or_else(|| wrong("without items"))?;
        if !list.starts_with('[') {
            return Err(wrong("whose items are no list"));
        }
        let items = elements(list).enumerate();
        items.map(|(place, item)| self.transaction_item(place, item)).collect()
    }

    fn transaction_item(&self, place: usize, item: &'t str) -> Result<Item<'t>, Fault> {
        let wrong = |what: &str| Fault::unreadable(format!("item {place} of the tx: {what}"));
        let kind = member(item, "op").and_then(string_text).ok_or_else(|| wrong("without op"))?;
        let payload = member(item, "payload").ok_or_else(|| wrong("without payload"))?;
        if kind == kind::TRANSACTION {
            return Err(wrong("a tx, which holds no other"));
        }
        let kind = op_kind(&kind, self.payload_of(payload), None).map_err(|fault| match fault {
            Fault::Unreadable(reason) => wrong(&reason),
            other => other,
        })?;
        let caused_by = Cow::Owned(member(item, "caused_by").map(seqs).unwrap_or_default());
        Ok(Item { kind, caused_by })
    }
}

/// Finds the members of a line; of one of ours also those of its payload, in the walk that checks it.
fn outline_line<'t>(
    normalized: &'t Normalized<'_>,
    outlined: &mut Vec<OutlinedMember<'t>>,
) -> Result<(), Fault> {
    if !normalized.is_legacy {
        return if outline(&normalized.text, outlined) { Ok(()) } else { Err(not_canonical()) };
    }
    outlined.clear();
    let outer = |(key, value)| OutlinedMember { key, value, is_inner: false };
    outlined.extend(members(&normalized.text).map(outer));
    Ok(())
}

fn not_canonical() -> Fault {
    Fault::form("it is no canonical JSON object")
}

#[derive(Default)]
struct RawMembers<'t> {
    seq: Option<&'t str>,
    client: Option<&'t str>,
    nonce: Option<&'t str>,
    op: Option<&'t str>,
    payload: Option<&'t str>,
    ts: Option<&'t str>,
    idem: Option<&'t str>,
    prev_hash: Option<&'t str>,
    hash: Option<&'t str>,
    caused_by: Option<&'t str>,
    uncovered: Option<&'t str>,
}

impl<'t> RawMembers<'t> {
    fn set(&mut self, key: &'t str, value: &'t str) {
        let place = match key {
            "seq" => &mut self.seq,
            "client" => &mut self.client,
            "nonce" => &mut self.nonce,
            "op" => &mut self.op,
            "payload" => &mut self.payload,
            "ts" => &mut self.ts,
            "idem" => &mut self.idem,
            "prev_hash" => &mut self.prev_hash,
            "hash" => &mut self.hash,
            "caused_by" => &mut self.caused_by,
            "confidence" | "evidence" | "valid_from" | "valid_to" => return,
            _ => {
                self.uncovered.get_or_insert(key);
                return;
            }
        };
        *place = Some(value);
    }
}

/// Tells whether the hash covers a member of a line.
pub(super) fn is_hashed(key: &str, value: &str) -> bool {
    match key {
        "seq" | "client" | "nonce" | "op" | "payload" | "ts" | "idem" => true,
        "caused_by" | "confidence" | "evidence" | "valid_from" | "valid_to" => value != "null",
        _ => false,
    }
}

/// Neighbouring members of a text, joined into as few slices as there are gaps.
#[derive(Debug)]
struct Pieces<'t> {
    text: &'t str,
    pieces: Vec<&'t str>,
    start: usize,
    end: usize,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t str) -> Self {
        // The hash and the hash before stand in between.
        Pieces { text, pieces: Vec::with_capacity(3), start: 0, end: 0 }
    }

    fn include(&mut self, key: &str, value: &str) {
        let base = self.text.as_ptr() as usize;
        // One quote stands before the key; a comma stands before all but the first member.
        let start = (key.as_ptr() as usize - base).saturating_sub(1);
        let end = value.as_ptr() as usize - base + value.len();
        if self.pieces.is_empty() || start != self.end + 1 {
            self.start = start;
            self.pieces.push("");
        }
        self.end = end;
        if let (Some(last), Some(piece)) = (self.pieces.last_mut(), self.text.get(self.start..end))
        {
            *last = piece;
        }
    }
}

fn required<'t>(value: Option<&'t str>, key: &str) -> Result<&'t str, Fault> {
    value.ok_or_else(|| Fault::form(format!("it has no {key}")))
}

fn hash_text<'t>(value: Option<&'t str>, key: &str) -> Result<&'t str, Fault> {
    let raw = required(value, key)?;
    raw.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|hash| is_hash(hash))
        .ok_or_else(|| Fault::form(format!("{key} is no hash")))
}

/// Returns the text of a string, or the token itself: NEDB 1.x checked no types.
fn text_of(raw: &str) -> Cow<'_, str> {
    string_text(raw).unwrap_or(Cow::Borrowed(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op_of(payload: &str) -> Result<String, Fault> {
        let hash = crate::hash::ZERO_HASH;
        let line = format!(
            "{{\"seq\": 0, \"client\": \"c\", \"nonce\": 1, \"op\": \"put\", \"payload\": {payload}, \
             \"ts\": 1.0, \"idem\": null, \"prev_hash\": \"{hash}\", \"hash\": \"{hash}\"}}"
        );
        let normalized = normalize(line.as_bytes())?;
        let fields = Fields::split(&normalized)?;
        let op = fields.to_op()?;
        match &op.items.as_slice().first().map(|item| &item.kind) {
            Some(OpKind::Put(put)) => Ok(format!("{} {} {}", put.collection, put.id, put.text)),
            other => Ok(format!("{other:?}")),
        }
    }

    #[test]
    fn a_name_of_nedb_1_that_is_no_text_is_read_as_it_is_spelt() {
        let put = op_of(r#"{"key": "7:5", "coll": 7, "id": 5, "doc": {"_id": 5}}"#).unwrap();
        assert_eq!(put, r#"7 5 {"_id":"5"}"#);
    }

    #[test]
    fn an_op_that_cannot_be_understood_is_not_mistaken_for_what_a_crash_leaves() {
        let fault = op_of(r#"{"coll": "u", "id": "a", "sealed": "x"}"#).unwrap_err();
        assert_eq!(fault, Fault::Unreadable("put without doc".to_owned()));
    }
}
