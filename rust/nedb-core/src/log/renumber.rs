//! Lines that are chained, hash by hash, and whose seqs do not count up: what NEDB 1.x made of a log with a gap.
//!
//! In: a log from the first such line on. Out: each op that the chain proves; its line, with another seq.
//!
//! Invariants:
//! * An op is visited only when its own hash holds and its line links to the one before.
//! * Of a line that is written anew nothing changes but its seq, its hashes, and the seqs of its causes.

use super::decode::{Fields, is_hashed, normalize};
use super::fault::member;
use super::pieces::Pieces;
use super::recovery::ReplayStart;
use super::sealed::open_line;
use crate::crypto::{LineOpener, Protection};
use crate::error::Result;
use crate::hash::ChainHasher;
use crate::json::{elements, members, string_text};
use crate::op::{Op, Seq, kind};
use crate::store::LogBytes;
use memchr::memchr;
use std::borrow::Cow;

/// Says which seq an op has now; None for one that is not there, or of which there are several.
pub(crate) type NewSeq<'a> = &'a dyn Fn(Seq) -> Option<Seq>;

/// A line that the chain proves, whatever its seq.
pub(crate) struct ChainedLine<'t> {
    pub op: Op<'t>,
    text: &'t str,
    kind: Cow<'t, str>,
    is_legacy: bool,
}

/// What is done with each line.
type VisitLine<'a> = &'a mut dyn FnMut(&ChainedLine<'_>) -> Result<()>;

/// Visits the lines from `start` on, up to the first that does not link to the one before it, whose hash is
/// not its own, or that cannot be understood. Returns where that is.
///
/// Cost: one pass, one hash an op; memory of a piece of the log.
/// Errors: `StorageError`, and what `visit` returns.
pub(crate) fn walk_chain(
    bytes: &dyn LogBytes,
    protection: &Protection,
    start: &ReplayStart,
    end_bytes: u64,
    visit: VisitLine<'_>,
) -> Result<u64> {
    let mut pieces = Pieces::new(bytes, start.offset_bytes, end_bytes);
    let mut walk = Walk {
        opener: protection.as_sealed().map(LineOpener::new),
        place: start.next_seq,
        head: start.head.clone(),
        offset_bytes: start.offset_bytes,
        plain: Vec::new(),
    };
    let mut buffer = Vec::new();
    while let Some(piece) = pieces.take(&mut buffer) {
        piece.read?;
        if !walk.visit_piece(&buffer, visit)? {
            break;
        }
    }
    // The last line may lack its newline.
    Ok(walk.offset_bytes.min(end_bytes))
}

struct Walk<'p> {
    opener: Option<LineOpener<'p>>,
    /// The seq that the next line has by its place.
    place: Seq,
    head: String,
    offset_bytes: u64,
    plain: Vec<u8>,
}

impl Walk<'_> {
    /// Visits the lines of a piece; tells whether all of them are chained.
    fn visit_piece(&mut self, mut rest: &[u8], visit: VisitLine<'_>) -> Result<bool> {
        while !rest.is_empty() {
            let bytes = memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(bytes);
            if !self.visit_line(line, visit)? {
                return Ok(false);
            }
            self.offset_bytes += bytes as u64 + 1;
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(true)
    }

    fn visit_line(&mut self, line: &[u8], visit: VisitLine<'_>) -> Result<bool> {
        let line = match &mut self.opener {
            None => line,
            Some(opener) => {
                self.plain.clear();
                if open_line(opener, self.place, line, &mut self.plain).is_err() {
                    return Ok(false);
                }
                &self.plain
            }
        };
        let Ok(normalized) = normalize(line) else { return Ok(false) };
        let Ok(fields) = Fields::split(&normalized) else { return Ok(false) };
        if fields.prev_hash != self.head || !fields.has_right_hash() {
            return Ok(false);
        }
        let Ok(op) = fields.to_op() else { return Ok(false) };
        visit(&ChainedLine {
            op,
            text: &normalized.text,
            kind: fields.kind(),
            is_legacy: normalized.is_legacy,
        })?;
        self.head.clear();
        self.head.push_str(fields.hash);
        self.place += 1;
        Ok(true)
    }
}

impl ChainedLine<'_> {
    /// Counts the causes that have no seq any more.
    pub fn lost_cause_count(&self, new_seq: NewSeq<'_>) -> u64 {
        let causes = self.op.items.as_slice().iter().flat_map(|item| item.caused_by.iter());
        causes.filter(|cause| new_seq(**cause).is_none()).count() as u64
    }

    /// Appends the op's line, without a newline, with a seq of its own, after another op, and with the causes
    /// that have a seq still. Returns its hash.
    ///
    /// A line of NEDB 1.x stays one: it may hold numbers and strings that no line of ours does.
    pub fn write_as(
        &self,
        seq: Seq,
        prev_hash: &str,
        new_seq: NewSeq<'_>,
        out: &mut String,
    ) -> String {
        let mut body: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for (key, value) in members(self.text).filter(|(key, value)| is_hashed(key, value)) {
            let value = match key {
                "seq" => Some(Cow::Owned(seq.to_string())),
                "caused_by" => causes_as(value, new_seq).map(Cow::Owned),
                "payload" => Some(payload_as(&self.kind, value, new_seq)),
                _ => Some(Cow::Borrowed(value)),
            };
            body.extend(value.map(|value| (key, value)));
        }
        let mut hashed = String::with_capacity(self.text.len());
        write_object(&body, ":", &mut hashed);
        let mut hasher = ChainHasher::new(prev_hash);
        hasher.update_canonical(&hashed);
        let hash = hasher.finish();
        body.push(("hash", Cow::Owned(format!("\"{hash}\""))));
        body.push(("prev_hash", Cow::Owned(format!("\"{prev_hash}\""))));
        // What tells the layouts apart is how a line begins.
        body.sort_by_key(|(key, _)| (!(self.is_legacy && *key == "seq"), *key));
        write_object(&body, if self.is_legacy { ": " } else { ":" }, out);
        hash
    }
}

fn write_object(members: &[(&str, Cow<'_, str>)], colon: &str, out: &mut String) {
    out.push('{');
    for (place, (key, value)) in members.iter().enumerate() {
        out.push_str(if place > 0 { ",\"" } else { "\"" });
        out.push_str(key);
        out.push('"');
        out.push_str(colon);
        out.push_str(value);
    }
    out.push('}');
}

/// Writes a list of causes anew; None when none is left of it.
fn causes_as(list: &str, new_seq: NewSeq<'_>) -> Option<String> {
    if !list.starts_with('[') {
        return Some(list.to_owned());
    }
    let cause = |cause: &str| match cause.parse() {
        Ok(seq) => new_seq(seq).map(|seq| seq.to_string()),
        Err(_) => Some(cause.to_owned()),
    };
    let kept: Vec<String> = elements(list).filter_map(cause).collect();
    (!kept.is_empty() || list == "[]").then(|| format!("[{}]", kept.join(",")))
}

/// Writes a payload anew: a document says its causes too, and so do the items of a transaction.
fn payload_as<'t>(op: &str, payload: &'t str, new_seq: NewSeq<'_>) -> Cow<'t, str> {
    // Most say nothing of causes.
    if !payload.contains("caused_by") {
        return Cow::Borrowed(payload);
    }
    let document =
        |doc: &str| Some(with_member(doc, "_caused_by", &|list: &str| causes_as(list, new_seq)));
    let items = |list: &str| {
        let items: Vec<String> = elements(list).map(|item| item_as(item, new_seq)).collect();
        Some(format!("[{}]", items.join(",")))
    };
    match op {
        kind::PUT => Cow::Owned(with_member(payload, "doc", &document)),
        kind::TRANSACTION => Cow::Owned(with_member(payload, "items", &items)),
        _ => Cow::Borrowed(payload),
    }
}

fn item_as(item: &str, new_seq: NewSeq<'_>) -> String {
    let op = member(item, "op").and_then(string_text).unwrap_or_default();
    let item = with_member(item, "caused_by", &|list: &str| causes_as(list, new_seq));
    let payload = |payload: &str| Some(payload_as(&op, payload, new_seq).into_owned());
    with_member(&item, "payload", &payload)
}

/// Writes an object anew with another value of one member, or without it; what is no object stays.
fn with_member(object: &str, name: &str, change: &dyn Fn(&str) -> Option<String>) -> String {
    if !object.starts_with('{') {
        return object.to_owned();
    }
    let changed: Vec<(&str, Cow<'_, str>)> = members(object)
        .filter_map(|(key, value)| match key == name {
            true => change(value).map(|value| (key, Cow::Owned(value))),
            false => Some((key, Cow::Borrowed(value))),
        })
        .collect();
    let mut out = String::with_capacity(object.len());
    write_object(&changed, ":", &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(seq: Seq) -> Option<Seq> {
        (seq != 3).then_some(seq * 2)
    }

    #[test]
    fn the_causes_of_a_document_are_numbered_anew_and_those_that_are_lost_are_left_out() {
        let put = |causes: &str| format!(r#"{{"coll":"c","doc":{{"_caused_by":{causes},"n":1}}}}"#);
        let written = |causes: &str| payload_as("put", &put(causes), &doubled).into_owned();
        assert_eq!(written("[1,3,2]"), put("[2,4]"));
        assert_eq!(written("[3]"), r#"{"coll":"c","doc":{"n":1}}"#);
        assert_eq!(written("[]"), put("[]"));
        assert_eq!(written("\"3\""), put("\"3\""), "1.x took anything");
        assert_eq!(payload_as("get", &put("[3]"), &doubled), put("[3]"), "nobody knows what it is");
    }

    #[test]
    fn the_causes_in_a_transaction_are_numbered_anew() {
        let items = |causes: &str| {
            format!(
                r#"{{"items":[{{"caused_by":{causes},"op":"put","payload":{{"doc":{{"_caused_by":{causes}}}}}}},{{"op":"delete"}}]}}"#
            )
        };
        assert_eq!(payload_as("tx", &items("[3,5]"), &doubled), items("[10]"));
    }
}
