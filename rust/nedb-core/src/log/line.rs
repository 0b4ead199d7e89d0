//! One op as one line of text.
//!
//! In: an op. Out: a line of UTF-8 with its newline, keys sorted, compact, and its hash.
//!
//! Invariants:
//! * The hash is taken over the line less its `hash` and `prev_hash` members, escaped to ASCII.
//! * Whoever writes an op with equal members writes equal bytes.

use super::payload::write_payload;
use crate::document::{Provenance, write_integer, write_seqs};
use crate::error::{Error, Result};
use crate::hash::ChainHasher;
use crate::json::{write_double, write_string};
use crate::limits::LINE_BYTES_MAX;
use crate::op::{Item, Items, OpKind, Seq};

/// What an op says beside what it does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header<'a> {
    pub seq: Seq,
    pub client: &'a str,
    pub nonce: i64,
    pub ts: f64,
    pub idem: Option<&'a str>,
    /// What the op says as a whole; `expires_at` is a document's, and no member of a line.
    pub said: Provenance<'a>,
    /// What each item of a transaction says.
    pub said_of_items: &'a [Provenance<'a>],
}

/// `,"hash":"` and 64 characters and `"`.
const HASH_MEMBER_BYTES: usize = 74;

/// Appends a line with its newline to `out`, notes in each put where its text stands in the line, and returns the
/// line's hash, 64 characters of hex. `scratch` is working space that is overwritten.
///
/// Errors: `LimitExceeded` when the line is longer than `LINE_BYTES_MAX`; `InvalidArgument` for a kind that is not
/// known. `out` is unchanged then.
pub(crate) fn encode_line(
    header: &Header<'_>,
    items: &mut Items<'_>,
    prev_hash: &str,
    scratch: &mut String,
    out: &mut String,
) -> Result<String> {
    let kind = items.kind_name();
    let kind =
        kind.ok_or_else(|| Error::invalid("an op of a kind that is not known is not written"))?;
    scratch.clear();
    write_head(header, scratch);
    let hash_at = scratch.len();
    write_middle(header, kind, scratch);
    write_payload(items, header.said_of_items, scratch);
    let prev_hash_at = scratch.len();
    write_tail(header, scratch);
    if scratch.len() + 2 * HASH_MEMBER_BYTES > LINE_BYTES_MAX {
        return Err(Error::limit(format!(
            "the op is a line of {} bytes; at most {LINE_BYTES_MAX} are written",
            scratch.len()
        )));
    }
    let mut hasher = ChainHasher::new(prev_hash);
    hasher.update_canonical(scratch);
    let hash = hasher.finish();
    let (head, rest) = scratch.split_at(hash_at);
    let (middle, tail) = rest.split_at(prev_hash_at - hash_at);
    out.reserve(scratch.len() + 2 * HASH_MEMBER_BYTES + 8);
    for part in [
        head,
        ",\"hash\":\"",
        &hash,
        "\"",
        middle,
        ",\"prev_hash\":\"",
        prev_hash,
        "\"",
        tail,
        "\n",
    ] {
        out.push_str(part);
    }
    shift_places(items);
    Ok(hash)
}

/// Turns places in what is hashed into places in the line: the hash comes before the payload.
fn shift_places(items: &mut Items<'_>) {
    let shift = |item: &mut Item<'_>| {
        if let OpKind::Put(put) = &mut item.kind {
            put.place.start += HASH_MEMBER_BYTES as u32;
        }
    };
    match items {
        Items::One(item) => shift(item),
        Items::Many(items) => items.iter_mut().for_each(shift),
    }
}

fn write_head(header: &Header<'_>, out: &mut String) {
    let said = &header.said;
    out.push('{');
    if !said.caused_by.is_empty() {
        out.push_str("\"caused_by\":");
        write_seqs(said.caused_by, out);
        out.push(',');
    }
    out.push_str("\"client\":");
    write_string(header.client, out);
    if let Some(confidence) = said.confidence {
        out.push_str(",\"confidence\":");
        write_double(confidence, out);
    }
    if let Some(evidence) = said.evidence {
        out.push_str(",\"evidence\":");
        write_string(evidence, out);
    }
}

fn write_middle(header: &Header<'_>, kind: &str, out: &mut String) {
    out.push_str(",\"idem\":");
    match header.idem {
        Some(idem) => write_string(idem, out),
        None => out.push_str("null"),
    }
    out.push_str(",\"nonce\":");
    write_integer(header.nonce, out);
    out.push_str(",\"op\":\"");
    out.push_str(kind);
    out.push_str("\",\"payload\":");
}

fn write_tail(header: &Header<'_>, out: &mut String) {
    out.push_str(",\"seq\":");
    write_integer(header.seq, out);
    out.push_str(",\"ts\":");
    write_double(header.ts, out);
    let said = &header.said;
    for (key, value) in [("valid_from", said.valid_from), ("valid_to", said.valid_to)] {
        if let Some(value) = value {
            out.push_str(",\"");
            out.push_str(key);
            out.push_str("\":");
            write_string(value, out);
        }
    }
    out.push('}');
}
