//! A log from some line on: every op in order, and where and why it ends.
//!
//! In: the bytes of a log. Out: each op, with its hash and link checked, to a visitor.
//!
//! Threads take pieces of the log in turn, decode and hash them at the same time, and visit their ops
//! one piece after the other.
//!
//! Invariants:
//! * The visitor sees a prefix of the log, in order, and only ops whose hash and link fit.
//! * Nothing is written here: what to do with the rest is the caller's decision.

use super::decode::{Fields, Normalized, normalize};
use super::fault::Fault;
use super::pieces::{Piece, Pieces};
use super::sealed::{OpenedLine, open_lines};
use crate::crypto::{Protection, Sealed};
use crate::error::{Error, Result};
use crate::json::OutlinedMember;
use crate::op::{Op, Seq};
use crate::store::LogBytes;
use memchr::memchr;
use parking_lot::{Condvar, Mutex, MutexGuard};

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

/// What is done with each op.
pub(crate) type Visit<'a> = &'a mut (dyn FnMut(Replay<'_>) -> Result<()> + Send);

/// Below this a second thread costs more than it saves.
const BYTES_PER_THREAD_MIN: u64 = 256 << 10;

/// Reads ops from `start` up to `end_bytes` and hands each to `visit`.
///
/// Cost: one pass, one hash an op, decoded on all cores; memory of a piece for each, and of the longest
/// line. Errors: `StorageError`, and whatever `visit` returns.
pub(crate) fn replay(
    bytes: &dyn LogBytes,
    protection: &Protection,
    start: ReplayStart,
    end_bytes: u64,
    visit: Visit<'_>,
) -> Result<ReplayEnd> {
    let len_bytes = end_bytes.saturating_sub(start.offset_bytes);
    let useful_count = usize::try_from(len_bytes / BYTES_PER_THREAD_MIN).unwrap_or(usize::MAX);
    let thread_count = thread_count(useful_count);
    let sealed = protection.as_sealed();
    let pieces = Pieces::new(bytes, start.offset_bytes, end_bytes).counting_lines(sealed.is_some());
    let work = Work {
        sealed,
        first_seq: start.next_seq,
        pieces: Mutex::new(pieces),
        turn: Mutex::new(Turn::new(start, visit)),
        turn_passed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 1..thread_count {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    let turn = work.turn.into_inner();
    turn.outcome.map(|()| turn.end)
}

/// Returns how many threads are worth it: not more than there are cores. Counting those costs as much as
/// opening a short log, so where one thread will do nobody asks.
pub(super) fn thread_count(useful_count: usize) -> usize {
    if useful_count <= 1 {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, |count| count.get()).min(useful_count)
}

/// What the threads of one replay share.
struct Work<'a> {
    sealed: Option<&'a Sealed>,
    /// The seq of the first line of the first piece.
    first_seq: Seq,
    pieces: Mutex<Pieces<'a>>,
    turn: Mutex<Turn<'a>>,
    turn_passed: Condvar,
}

impl<'a> Work<'a> {
    /// Takes pieces until there are none, or the replay is over.
    fn run(&self) {
        let (mut buffer, mut plain) = (Vec::new(), Vec::new());
        loop {
            let taken = self.pieces.lock().take(&mut buffer);
            let Some(Piece { number, first_line, read }) = taken else { return };
            let ticket = Ticket { work: self, number };
            let first_seq = self.first_seq.saturating_add_unsigned(first_line);
            let opened =
                self.sealed.map(|sealed| open_lines(sealed, first_seq, &buffer, &mut plain));
            let normalized = match &opened {
                Some(lines) => normalize_opened(&plain, lines),
                None => normalize_lines(&buffer),
            };
            let lines = decode_lines(&normalized);
            let mut turn = ticket.wait();
            if turn.is_over {
                return;
            }
            match read {
                Ok(is_last) => turn.visit_piece(&buffer, is_last, lines),
                Err(error) => turn.stop(Err(error)),
            }
        }
    }
}

/// The right to visit a piece after all pieces before it; dropped, it passes the turn on.
struct Ticket<'w, 'a> {
    work: &'w Work<'a>,
    number: u64,
}

impl<'w, 'a> Ticket<'w, 'a> {
    /// Waits until all pieces before this one were visited, or there is nothing more to visit.
    fn wait(&self) -> MutexGuard<'w, Turn<'a>> {
        let mut turn = self.work.turn.lock();
        while turn.number != self.number && !turn.is_over {
            self.work.turn_passed.wait(&mut turn);
        }
        turn
    }
}

impl Drop for Ticket<'_, '_> {
    fn drop(&mut self) {
        let mut turn = self.work.turn.lock();
        // Nobody may wait for a thread that is gone; the scope hands its panic on.
        turn.is_over |= std::thread::panicking();
        turn.number = turn.number.max(self.number + 1);
        self.work.turn_passed.notify_all();
    }
}

/// Whose piece is visited now, and what was found so far.
struct Turn<'a> {
    number: u64,
    is_over: bool,
    end: ReplayEnd,
    outcome: Result<()>,
    visit: Visit<'a>,
}

/// Why a line is not visited.
enum Stop {
    Fault(Fault),
    Error(Error),
}

impl<'a> Turn<'a> {
    fn new(start: ReplayStart, visit: Visit<'a>) -> Self {
        let end = ReplayEnd {
            offset_bytes: start.offset_bytes,
            next_seq: start.next_seq,
            head: start.head,
            fault: None,
            lacks_newline: false,
            is_last_line: false,
            uncovered: None,
        };
        Turn { number: 0, is_over: false, end, outcome: Ok(()), visit }
    }

    fn stop(&mut self, outcome: Result<()>) {
        self.is_over = true;
        self.outcome = outcome;
    }

    /// Visits the ops of a piece, up to the first line that does not fit.
    fn visit_piece(&mut self, piece: &[u8], is_last: bool, lines: Vec<DecodedLine<'_>>) {
        let mut rest = piece;
        for line in lines {
            let line_bytes = line.bytes;
            match self.visit_line(line) {
                Ok(()) => rest = rest.get(line_bytes + 1..).unwrap_or_default(),
                Err(Stop::Fault(fault)) => {
                    self.end.is_last_line = is_last && memchr(b'\n', rest).is_none();
                    self.end.fault = Some(fault);
                    return self.stop(Ok(()));
                }
                Err(Stop::Error(error)) => return self.stop(Err(error)),
            }
        }
        self.end.lacks_newline = piece.last().is_some_and(|last| *last != b'\n');
    }

    fn visit_line(&mut self, line: DecodedLine<'_>) -> std::result::Result<(), Stop> {
        let checked = line.checked.map_err(Stop::Fault)?;
        if let Some(fault) = link_fault(&checked, &self.end) {
            return Err(Stop::Fault(fault));
        }
        let op = checked.op.map_err(Stop::Fault)?;
        let line_bytes = line.bytes as u64 + 1;
        (self.visit)(Replay { op, line_bytes }).map_err(Stop::Error)?;
        let end = &mut self.end;
        if let (None, Some(key)) = (&end.uncovered, checked.uncovered) {
            end.uncovered = Some((checked.seq, key.to_owned()));
        }
        end.head.clear();
        end.head.push_str(checked.hash);
        end.next_seq += 1;
        end.offset_bytes += line_bytes;
        Ok(())
    }
}

/// A line that one thread decoded, without what it follows.
struct DecodedLine<'t> {
    /// Its length without its newline.
    bytes: usize,
    checked: std::result::Result<CheckedLine<'t>, Fault>,
}

/// A line whose hash is that of its members.
struct CheckedLine<'t> {
    seq: Seq,
    prev_hash: &'t str,
    hash: &'t str,
    uncovered: Option<&'t str>,
    op: std::result::Result<Op<'t>, Fault>,
}

type NormalizedLine<'t> = (usize, std::result::Result<Normalized<'t>, Fault>);

/// Makes canonical text of each line, up to the first of which there is none.
fn normalize_lines(piece: &[u8]) -> Vec<NormalizedLine<'_>> {
    let mut lines = Vec::new();
    let mut rest = piece;
    while !rest.is_empty() {
        let bytes = memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(bytes);
        let normalized = normalize(line);
        let is_good = normalized.is_ok();
        lines.push((bytes, normalized));
        if !is_good {
            break;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    lines
}

/// Makes canonical text of each line that was opened, up to the first of which there is none.
fn normalize_opened<'t>(plain: &'t [u8], lines: &[OpenedLine]) -> Vec<NormalizedLine<'t>> {
    let mut normalized = Vec::with_capacity(lines.len());
    for (bytes, opened) in lines {
        let line = match opened {
            Ok(place) => normalize(plain.get(place.clone()).unwrap_or_default()),
            Err(fault) => Err(fault.clone()),
        };
        let is_good = line.is_ok();
        normalized.push((*bytes, line));
        if !is_good {
            break;
        }
    }
    normalized
}

fn decode_lines<'t>(lines: &'t [NormalizedLine<'_>]) -> Vec<DecodedLine<'t>> {
    let mut outlined = Vec::new();
    let decode = |(bytes, normalized): &'t NormalizedLine<'_>| DecodedLine {
        bytes: *bytes,
        checked: match normalized {
            Ok(normalized) => check_line(normalized, &mut outlined),
            Err(fault) => Err(fault.clone()),
        },
    };
    lines.iter().map(decode).collect()
}

fn check_line<'t>(
    normalized: &'t Normalized<'_>,
    outlined: &mut Vec<OutlinedMember<'t>>,
) -> std::result::Result<CheckedLine<'t>, Fault> {
    let fields = Fields::split_with(normalized, outlined)?;
    if !fields.has_right_hash() {
        return Err(Fault::WrongHash);
    }
    Ok(CheckedLine {
        seq: fields.seq,
        prev_hash: fields.prev_hash,
        hash: fields.hash,
        uncovered: fields.uncovered,
        op: fields.to_op(),
    })
}

/// Tells why a whole line is not the next op of the chain.
fn link_fault(line: &CheckedLine<'_>, end: &ReplayEnd) -> Option<Fault> {
    if line.seq != end.next_seq {
        return Some(Fault::wrong_seq(line.seq, end.next_seq));
    }
    (line.prev_hash != end.head).then(Fault::wrong_prev_hash)
}
