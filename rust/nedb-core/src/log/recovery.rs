//! A log from some line on: every op in order, and where and why it ends.
//!
//! In: the bytes of a log. Out: each op, with its hash and link checked, to a visitor.
//!
//! Invariants:
//! * The visitor sees a prefix of the log, and only ops whose hash and link fit.
//! * Nothing is written here: what to do with the rest is the caller's decision.

use super::decode::{Fault, Fields, normalize};
use crate::error::{Error, Result};
use crate::limits::LINE_BYTES_MAX;
use crate::op::{Op, Seq};
use crate::store::LogBytes;
use memchr::memchr;

/// Where a replay begins.
#[derive(Clone, Debug)]
pub(crate) struct ReplayStart {
    pub offset_bytes: u64,
    pub next_seq: Seq,
    pub head: String,
}

/// Where a replay ended.
#[derive(Clone, Debug)]
pub(crate) struct ReplayEnd {
    /// The first byte after the last op.
    pub offset_bytes: u64,
    pub next_seq: Seq,
    pub head: String,
    /// Why it ended before the end of the bytes.
    pub fault: Option<Fault>,
    /// The last op's line had no newline.
    pub lacks_newline: bool,
    /// The faulty line is the last one and has no newline.
    pub is_last_line: bool,
    /// The first member found that no hash covers, and the seq of its op.
    pub uncovered: Option<(Seq, String)>,
}

/// One op of a replay.
pub(crate) struct Replay<'a> {
    pub op: Op<'a>,
    /// The line's length with its newline, whether or not the newline is there.
    pub line_bytes: u64,
}

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// Reads ops from `start` up to `end_bytes` and hands each to `visit`.
///
/// Cost: one pass, one hash an op; memory of the longest line and `READ_BYTES`.
/// Errors: `StorageError`, and whatever `visit` returns.
pub(crate) fn replay(
    bytes: &dyn LogBytes,
    start: ReplayStart,
    end_bytes: u64,
    visit: &mut dyn FnMut(Replay<'_>) -> Result<()>,
) -> Result<ReplayEnd> {
    let mut end = ReplayEnd {
        offset_bytes: start.offset_bytes,
        next_seq: start.next_seq,
        head: start.head,
        fault: None,
        lacks_newline: false,
        is_last_line: false,
        uncovered: None,
    };
    let mut buffer = Vec::with_capacity(2 * READ_BYTES);
    loop {
        let read_from = end.offset_bytes + buffer.len() as u64;
        let is_whole = fill(bytes, read_from, end_bytes, &mut buffer)?;
        let consumed = take_lines(&buffer, &mut end, visit)?;
        if end.fault.is_some() {
            end.is_last_line =
                is_whole && memchr(b'\n', buffer.get(consumed..).unwrap_or_default()).is_none();
            return Ok(end);
        }
        buffer.drain(..consumed);
        if is_whole || buffer.len() > LINE_BYTES_MAX {
            take_unended_line(&buffer, &mut end, visit)?;
            return Ok(end);
        }
    }
}

/// Reads on; returns whether everything up to `end_bytes` is in the buffer.
fn fill(bytes: &dyn LogBytes, from: u64, end_bytes: u64, buffer: &mut Vec<u8>) -> Result<bool> {
    let wanted = end_bytes.saturating_sub(from).min(READ_BYTES as u64) as usize;
    let held = buffer.len();
    buffer.resize(held + wanted, 0);
    let count = bytes
        .read_at(from, buffer.get_mut(held..).unwrap_or_default())
        .map_err(|error| Error::storage(format!("read the log at byte {from}"), error))?;
    buffer.truncate(held + count);
    Ok(count < READ_BYTES)
}

/// Visits every line that has its newline; returns how many bytes those were.
fn take_lines(
    buffer: &[u8],
    end: &mut ReplayEnd,
    visit: &mut dyn FnMut(Replay<'_>) -> Result<()>,
) -> Result<usize> {
    let mut consumed = 0;
    while let Some(rest) = buffer.get(consumed..) {
        let Some(line) = memchr(b'\n', rest).and_then(|at| rest.get(..at)) else { break };
        take_line(line, end, visit)?;
        if end.fault.is_some() {
            break;
        }
        consumed += line.len() + 1;
    }
    Ok(consumed)
}

/// A last line without its newline is an op when its hash and link fit.
fn take_unended_line(
    line: &[u8],
    end: &mut ReplayEnd,
    visit: &mut dyn FnMut(Replay<'_>) -> Result<()>,
) -> Result<()> {
    if !line.is_empty() {
        take_line(line, end, visit)?;
        end.lacks_newline = end.fault.is_none();
        end.is_last_line = end.fault.is_some();
    }
    Ok(())
}

fn take_line(
    line: &[u8],
    end: &mut ReplayEnd,
    visit: &mut dyn FnMut(Replay<'_>) -> Result<()>,
) -> Result<()> {
    let normalized = match normalize(line) {
        Ok(normalized) => normalized,
        Err(fault) => return note(end, fault),
    };
    let fields = match Fields::split(&normalized) {
        Ok(fields) => fields,
        Err(fault) => return note(end, fault),
    };
    if let Some(fault) = chain_fault(&fields, end) {
        return note(end, fault);
    }
    let line_bytes = line.len() as u64 + 1;
    match fields.to_op() {
        Ok(op) => visit(Replay { op, line_bytes })?,
        Err(fault) => return note(end, fault),
    }
    if let (None, Some(key)) = (&end.uncovered, fields.uncovered) {
        end.uncovered = Some((fields.seq, key.to_owned()));
    }
    end.head = fields.hash.to_owned();
    end.next_seq += 1;
    end.offset_bytes += line_bytes;
    Ok(())
}

fn note(end: &mut ReplayEnd, fault: Fault) -> Result<()> {
    end.fault = Some(fault);
    Ok(())
}

/// Tells why a whole line is not the next op of the chain.
fn chain_fault(fields: &Fields<'_>, end: &ReplayEnd) -> Option<Fault> {
    if !fields.has_right_hash() {
        return Some(Fault::WrongHash);
    }
    if fields.seq != end.next_seq {
        return Some(Fault::WrongLink(format!(
            "it is op {}, and op {} was expected",
            fields.seq, end.next_seq
        )));
    }
    (fields.prev_hash != end.head)
        .then(|| Fault::WrongLink("its prev_hash is not the hash of the op before".to_owned()))
}
