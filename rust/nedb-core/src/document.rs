//! A document's text: what of it is stored, and what is handed out.
//!
//! In: the host's JSON text, an id, the provenance. Out: the stored text (canonical, with `_id` and
//! the provenance members, without `_seq`), or the text handed out (with `_seq`, in its sorted place).
//!
//! Invariants:
//! * The stored text's `_id` is the document's id.
//! * The members that only arguments may set are dropped from what the host gives.

use crate::error::{Error, Result};
use crate::json::{canonicalize, members, string_text, write_double, write_string};
use crate::op::Seq;

/// What a write says about itself, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Provenance<'a> {
    pub caused_by: &'a [Seq],
    pub confidence: Option<f64>,
    pub evidence: Option<&'a str>,
    pub expires_at: Option<f64>,
    pub valid_from: Option<&'a str>,
    pub valid_to: Option<&'a str>,
}

/// The members that the engine sets, in canonical order. `_seq` and `_score` are never stored.
const RESERVED: [&str; 9] = [
    "_caused_by",
    "_confidence",
    "_evidence",
    "_expires_at",
    "_id",
    "_score",
    "_seq",
    "_valid_from",
    "_valid_to",
];

/// Appends the stored text of a document to `out`.
///
/// Errors: `InvalidArgument` when the text is no JSON object or its `_id` is not `id`.
pub(crate) fn write_stored(
    text: &str,
    id: &str,
    provenance: &Provenance<'_>,
    out: &mut String,
) -> Result<()> {
    let canonical = canonicalize(text)?;
    if !canonical.starts_with('{') {
        return Err(Error::invalid("a document must be a JSON object"));
    }
    let mut writer = MemberWriter::new(out);
    let mut pending = RESERVED.iter().copied().peekable();
    for (key, value) in members(&canonical) {
        while let Some(reserved) = pending.next_if(|reserved| is_key_below(reserved, key)) {
            write_reserved(reserved, id, provenance, &mut writer);
        }
        if pending.peek().is_none() {
            // Whatever follows is the user's: all keys from here on come after the reserved ones.
            writer.raw_tail(canonical.get(offset_in(&canonical, key) - 1..).unwrap_or("}"));
            return Ok(());
        }
        if !RESERVED.contains(&key) {
            writer.raw_member(key, value);
        } else if key == "_id" && string_text(value).as_deref() != Some(id) {
            return Err(Error::invalid(format!(
                "the document's _id is {value}, but it is written as \"{id}\"; drop _id or make them equal"
            )));
        }
    }
    for reserved in pending {
        write_reserved(reserved, id, provenance, &mut writer);
    }
    writer.finish();
    Ok(())
}

/// Appends the text handed out for a stored text: the same with `_seq` in its sorted place.
///
/// Cost: one pass over the top-level keys up to `_seq`, one copy.
pub(crate) fn write_with_seq(stored: &str, seq: Seq, out: &mut String) {
    write_with_member(stored, "_seq", |out| write_integer(seq, out), out);
}

/// Appends a canonical object with one more member in its sorted place; a member of that name gives
/// way to it.
///
/// Cost: one pass over the top-level keys up to the new one, one copy.
pub(crate) fn write_with_member(
    object: &str,
    name: &str,
    write_value: impl FnOnce(&mut String),
    out: &mut String,
) {
    let mut end_of_head = 1;
    let mut start_of_tail = None;
    for (key, value) in members(object) {
        let key_start = offset_in(object, key) - 1;
        if key == name {
            // NEDB 1.x could store a `_seq`: ours takes its place.
            start_of_tail = Some(offset_in(object, value) + value.len());
            break;
        }
        if !is_key_below(key, name) {
            start_of_tail = Some(key_start);
            break;
        }
        end_of_head = offset_in(object, value) + value.len();
    }
    let head = object.get(..end_of_head).unwrap_or("{");
    let tail = start_of_tail.and_then(|start| object.get(start..)).unwrap_or("}");
    out.reserve(object.len() + name.len() + 28);
    out.push_str(head);
    if head.len() > 1 {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    write_value(out);
    if !tail.starts_with(['}', ',']) {
        out.push(',');
    }
    out.push_str(tail);
}

/// Makes the stored text of a document that NEDB 1.x wrote: the same with the id that it has by its key.
pub(crate) fn legacy_stored(canonical: &str, id: &str) -> String {
    let mut out = String::with_capacity(canonical.len() + id.len() + 10);
    let mut writer = MemberWriter::new(&mut out);
    let mut has_id = false;
    for (key, value) in members(canonical) {
        if !has_id && !is_key_below(key, "_id") {
            writer.text_member("_id", Some(id));
            has_id = true;
        }
        if key != "_id" {
            writer.raw_member(key, value);
        }
    }
    if !has_id {
        writer.text_member("_id", Some(id));
    }
    writer.finish();
    out
}

/// Appends an integer in decimal.
pub(crate) fn write_integer(value: i64, out: &mut String) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push('-');
    }
    let text = digits.get(at..).and_then(|digits| std::str::from_utf8(digits).ok());
    out.push_str(text.unwrap_or("0"));
}

/// Appends a list of seqs as a JSON array.
pub(crate) fn write_seqs(seqs: &[Seq], out: &mut String) {
    out.push('[');
    for (place, seq) in seqs.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_integer(*seq, out);
    }
    out.push(']');
}

fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// Compares keys as they stand in canonical text by what they spell.
fn is_key_below(left: &str, right: &str) -> bool {
    if let (Some(first_left), Some(first_right)) =
        (left.as_bytes().first(), right.as_bytes().first())
        && first_left != first_right
        && ![*first_left, *first_right].contains(&b'\\')
    {
        // Nearly always the first byte decides; only a backslash spells another character.
        return first_left < first_right;
    }
    if !left.contains('\\') && !right.contains('\\') {
        return left < right;
    }
    let spelt = |key: &str| string_text(&format!("\"{key}\"")).map(|text| text.into_owned());
    spelt(left) < spelt(right)
}

fn write_reserved(key: &str, id: &str, provenance: &Provenance<'_>, writer: &mut MemberWriter<'_>) {
    match key {
        "_caused_by" if !provenance.caused_by.is_empty() => {
            writer.member(key, |out| write_seqs(provenance.caused_by, out));
        }
        "_confidence" => {
            if let Some(confidence) = provenance.confidence {
                writer.member(key, |out| write_double(confidence, out));
            }
        }
        "_evidence" => writer.text_member(key, provenance.evidence),
        "_expires_at" => {
            if let Some(expires_at) = provenance.expires_at {
                writer.member(key, |out| write_double(expires_at, out));
            }
        }
        "_id" => writer.text_member(key, Some(id)),
        "_valid_from" => writer.text_member(key, provenance.valid_from),
        "_valid_to" => writer.text_member(key, provenance.valid_to),
        _ => {}
    }
}

/// Writes the members of one object, with commas between them.
struct MemberWriter<'a> {
    out: &'a mut String,
    is_first: bool,
}

impl<'a> MemberWriter<'a> {
    fn new(out: &'a mut String) -> Self {
        out.push('{');
        MemberWriter { out, is_first: true }
    }

    fn key(&mut self, key: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    fn raw_member(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push_str(value);
    }

    /// Writes the last members as they stand in another object, its closing brace included.
    fn raw_tail(self, members: &str) {
        if !self.is_first {
            self.out.push(',');
        }
        self.out.push_str(members);
    }

    fn member(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        self.key(key);
        write(self.out);
    }

    fn text_member(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.member(key, |out| write_string(text, out));
        }
    }

    fn finish(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn stored(text: &str, id: &str, provenance: &Provenance<'_>) -> Result<String> {
        let mut out = String::new();
        write_stored(text, id, provenance, &mut out).map(|()| out)
    }

    fn with_seq(stored: &str, seq: Seq) -> String {
        let mut out = String::new();
        write_with_seq(stored, seq, &mut out);
        out
    }

    #[test]
    fn the_id_and_the_provenance_stand_in_canonical_order() {
        let provenance = Provenance {
            caused_by: &[3, 1],
            confidence: Some(1.0),
            evidence: Some("e"),
            valid_to: Some("2024-01-01"),
            ..Provenance::default()
        };
        assert_eq!(
            stored(r#"{"a":1,"Z":2,"_zz":3,"_a":0}"#, "x", &provenance).unwrap(),
            r#"{"Z":2,"_a":0,"_caused_by":[3,1],"_confidence":1.0,"_evidence":"e","_id":"x","_valid_to":"2024-01-01","_zz":3,"a":1}"#
        );
    }

    #[test]
    fn members_that_only_arguments_set_are_dropped() {
        let text =
            r#"{"_seq":9,"_score":1,"_caused_by":[1],"_valid_from":"x","_expires_at":1,"n":1}"#;
        let out = stored(text, "x", &Provenance::default()).unwrap();
        assert_eq!(out, r#"{"_id":"x","n":1}"#);
    }

    #[test]
    fn a_differing_id_and_a_text_that_is_no_object_are_refused() {
        for text in [r#"{"_id":"y"}"#, r#"{"_id":1}"#, "[]", "1", "\"x\"", "null"] {
            let error = stored(text, "x", &Provenance::default()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn an_escaped_key_keeps_its_sorted_place() {
        let out = stored("{\"\\u007f\":1,\"^\":2}", "x", &Provenance::default()).unwrap();
        assert_eq!(out, "{\"^\":2,\"_id\":\"x\",\"\\u007f\":1}");
        assert_eq!(with_seq(&out, 5), "{\"^\":2,\"_id\":\"x\",\"_seq\":5,\"\\u007f\":1}");
    }

    #[test]
    fn the_seq_stands_in_its_sorted_place() {
        assert_eq!(with_seq("{}", 0), r#"{"_seq":0}"#);
        assert_eq!(with_seq(r#"{"_id":"a"}"#, 7), r#"{"_id":"a","_seq":7}"#);
        assert_eq!(with_seq(r#"{"_id":"a","n":1}"#, 7), r#"{"_id":"a","_seq":7,"n":1}"#);
        assert_eq!(with_seq(r#"{"a":1}"#, 7), r#"{"_seq":7,"a":1}"#);
        assert_eq!(with_seq(r#"{"_id":"a","_seq":99,"n":1}"#, 7), r#"{"_id":"a","_seq":7,"n":1}"#);
        assert_eq!(with_seq(r#"{"_id":"a","_seq":99}"#, 7), r#"{"_id":"a","_seq":7}"#);
    }

    #[test]
    fn a_document_of_nedb_1_has_the_id_of_its_key() {
        assert_eq!(legacy_stored("{}", "x"), r#"{"_id":"x"}"#);
        assert_eq!(legacy_stored(r#"{"A":1,"_id":"y","n":1}"#, "x"), r#"{"A":1,"_id":"x","n":1}"#);
        assert_eq!(legacy_stored(r#"{"A":1}"#, "x"), r#"{"A":1,"_id":"x"}"#);
    }

    #[test]
    fn integers_are_written_in_decimal() {
        for value in [0, 1, -1, 10, i64::MAX, i64::MIN] {
            let mut out = String::new();
            write_integer(value, &mut out);
            assert_eq!(out, value.to_string());
        }
    }
}
