//! Lines as they stand in an encrypted log, opened.
//!
//! In: lines, and the seq that the first of them has by its place. Out: the ops' lines, or why one is none.
//!
//! Invariants:
//! * In an encrypted log a line that is not encrypted is a fault, whatever it says.
//! * A line is opened as the one that stands at its place: a moved, repeated or dropped one makes a fault
//!   at the first place that is wrong.

use super::fault::Fault;
use crate::crypto::{EnvelopeFault, LineOpener, Sealed, is_envelope};
use crate::json::canonicalize_legacy;
use crate::op::Seq;
use memchr::memchr;
use std::ops::Range;

/// Opens one line and appends what it holds to `plain`, which is as it was when there is a fault.
///
/// Errors: `Fault::NotWellFormed`, `Fault::NotAuthentic`, `Fault::Plain`.
pub(super) fn open_line(
    opener: &mut LineOpener<'_>,
    seq: Seq,
    line: &[u8],
    plain: &mut Vec<u8>,
) -> Result<(), Fault> {
    opener.open(seq, line, plain).map_err(|fault| match fault {
        EnvelopeFault::NotAuthentic => Fault::NotAuthentic(seq),
        EnvelopeFault::NotWellFormed if is_plain(line) => Fault::Plain,
        EnvelopeFault::NotWellFormed => Fault::NotWellFormed("it is no whole envelope".to_owned()),
    })
}

/// A line's length without its newline, and where the op's line stands among those that were opened.
pub(super) type OpenedLine = (usize, Result<Range<usize>, Fault>);

/// Opens the lines of a piece into `plain`, one after another, up to the first that is none.
pub(super) fn open_lines(
    sealed: &Sealed,
    first_seq: Seq,
    piece: &[u8],
    plain: &mut Vec<u8>,
) -> Vec<OpenedLine> {
    let mut opener = LineOpener::new(sealed);
    let mut lines = Vec::new();
    let mut rest = piece;
    plain.clear();
    while !rest.is_empty() {
        let bytes = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(bytes);
        let start = plain.len();
        let seq = first_seq.saturating_add(lines.len() as Seq);
        let opened = open_line(&mut opener, seq, line, plain).map(|()| start..plain.len());
        let is_good = opened.is_ok();
        lines.push((bytes, opened));
        if !is_good {
            break;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    lines
}

/// Tells whether a line is a whole object in plain text: a crash leaves parts of an envelope, and no part of
/// one is that.
fn is_plain(line: &[u8]) -> bool {
    if is_envelope(line) {
        return false;
    }
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.starts_with('{') && canonicalize_legacy(text, &mut String::new()).is_ok()
}
