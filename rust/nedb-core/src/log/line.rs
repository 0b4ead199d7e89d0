//! One op as one line of text.
//!
//! In: the members of an op. Out: a line of UTF-8 with its newline, keys sorted, compact, and its hash.
//!
//! Invariants:
//! * The hash is taken over the line less its `hash` and `prev_hash` members, escaped to ASCII.
//! * Whoever writes an op with equal members writes equal bytes.

use crate::document::{write_integer, write_seqs};
use crate::error::{Error, Result};
use crate::hash::ChainHasher;
use crate::json::{write_double, write_string};
use crate::limits::LINE_BYTES_MAX;
use crate::op::Seq;

/// The members of an op that its hash covers. `payload` is canonical text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body<'a> {
    pub seq: Seq,
    pub client: &'a str,
    pub nonce: i64,
    pub op: &'a str,
    pub payload: &'a str,
    pub ts: f64,
    pub idem: Option<&'a str>,
    pub caused_by: &'a [Seq],
    pub evidence: Option<&'a str>,
    pub confidence: Option<f64>,
    pub valid_from: Option<&'a str>,
    pub valid_to: Option<&'a str>,
}

/// What `encode_line` says of the line it wrote.
#[derive(Debug)]
pub(crate) struct EncodedLine {
    /// The line's hash, 64 characters of hex.
    pub hash: String,
    /// Where the payload starts, counted from the start of the line.
    pub payload_start: usize,
}

/// `,"hash":"` and 64 characters and `"`.
const HASH_MEMBER_BYTES: usize = 74;

/// Appends a line with its newline to `out`; `scratch` is working space that is overwritten.
///
/// Errors: `LimitExceeded` when the line is longer than `LINE_BYTES_MAX`; `out` is unchanged then.
pub(crate) fn encode_line(
    body: &Body<'_>,
    prev_hash: &str,
    scratch: &mut String,
    out: &mut String,
) -> Result<EncodedLine> {
    scratch.clear();
    write_head(body, scratch);
    let hash_at = scratch.len();
    write_middle(body, scratch);
    let payload_start = scratch.len() + HASH_MEMBER_BYTES;
    scratch.push_str(body.payload);
    let prev_hash_at = scratch.len();
    write_tail(body, scratch);
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
    Ok(EncodedLine { hash, payload_start })
}

fn write_head(body: &Body<'_>, out: &mut String) {
    out.push('{');
    if !body.caused_by.is_empty() {
        out.push_str("\"caused_by\":");
        write_seqs(body.caused_by, out);
        out.push(',');
    }
    out.push_str("\"client\":");
    write_string(body.client, out);
    if let Some(confidence) = body.confidence {
        out.push_str(",\"confidence\":");
        write_double(confidence, out);
    }
    if let Some(evidence) = body.evidence {
        out.push_str(",\"evidence\":");
        write_string(evidence, out);
    }
}

fn write_middle(body: &Body<'_>, out: &mut String) {
    out.push_str(",\"idem\":");
    match body.idem {
        Some(idem) => write_string(idem, out),
        None => out.push_str("null"),
    }
    out.push_str(",\"nonce\":");
    write_integer(body.nonce, out);
    out.push_str(",\"op\":\"");
    out.push_str(body.op);
    out.push_str("\",\"payload\":");
}

fn write_tail(body: &Body<'_>, out: &mut String) {
    out.push_str(",\"seq\":");
    write_integer(body.seq, out);
    out.push_str(",\"ts\":");
    write_double(body.ts, out);
    for (key, value) in [("valid_from", body.valid_from), ("valid_to", body.valid_to)] {
        if let Some(value) = value {
            out.push_str(",\"");
            out.push_str(key);
            out.push_str("\":");
            write_string(value, out);
        }
    }
    out.push('}');
}
