//! Every hash, every link and every payload of a log, on all cores.
//!
//! In: the bytes as they are now, on the disk or in memory. Out: how far the chain holds, and the
//! first line that breaks it, or that is no op.
//!
//! Invariants:
//! * Hashes are checked apart from links: each run of lines is hashed on its own, and the runs are
//!   joined afterwards.
//! * What is reported is the first bad line, wherever the work was done.

use super::decode::{Fields, normalize};
use super::fault::Fault;
use super::recovery::thread_count;
use super::sealed::open_line;
use crate::crypto::{LineOpener, Protection, Sealed};
use crate::error::Result;
use crate::hash::ZERO_HASH;
use crate::limits::ENVELOPE_BYTES_MAX;
use crate::op::Seq;
use memchr::{memchr_iter, memrchr};

/// The first line that breaks the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The seq that the line has or should have.
    pub seq: Seq,
    /// Where the line starts in the log.
    pub offset_bytes: u64,
    /// What is wrong with it, in a sentence.
    pub reason: String,
}

/// How far a chain holds.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    /// How many ops from the start are linked to each other, with right hashes.
    pub op_count: u64,
    /// The hash of the last of them.
    pub head: String,
    pub damage: Option<Damage>,
    /// The first member that no hash covers, and its op.
    pub uncovered: Option<(Seq, String)>,
}

/// Bytes read and hashed at a time, over all cores: few enough that reading them holds nobody up.
const CHUNK_BYTES: usize = 4 << 20;
/// A run shorter than this is not worth a thread.
const RUN_BYTES_MIN: usize = 64 << 10;

/// Appends up to so many bytes from an offset.
type ReadBytes<'a> = &'a mut dyn FnMut(u64, usize, &mut Vec<u8>) -> Result<()>;

/// Checks a log from its first byte to `end_bytes`. `read` appends up to so many bytes from an offset.
///
/// Cost: one hash and a look into each payload, over as many threads as there are cores; memory of one chunk and one line.
/// Errors: what `read` returns. A broken chain is no error but a `damage`.
pub(crate) fn verify(
    end_bytes: u64,
    protection: &Protection,
    read: ReadBytes<'_>,
) -> Result<Verification> {
    let useful_count = usize::try_from(end_bytes).unwrap_or(usize::MAX) / RUN_BYTES_MIN;
    let mut chain = Chain::new(protection.as_sealed(), thread_count(useful_count));
    let mut buffer = Vec::new();
    let mut offset = 0;
    let mut is_end = false;
    while !is_end && chain.verification.damage.is_none() {
        let held = buffer.len();
        let wanted = end_bytes.saturating_sub(offset).min(CHUNK_BYTES as u64) as usize;
        read(offset, wanted, &mut buffer)?;
        let count = buffer.len() - held;
        offset += count as u64;
        is_end = count == 0 || offset >= end_bytes;
        let whole = match memrchr(b'\n', &buffer) {
            _ if is_end => buffer.len(),
            Some(last) => last + 1,
            None if buffer.len() > ENVELOPE_BYTES_MAX => buffer.len(),
            None => continue,
        };
        chain.check(buffer.get(..whole).unwrap_or_default());
        buffer.drain(..whole);
    }
    Ok(chain.verification)
}

/// What is known of the chain so far.
struct Chain<'p> {
    sealed: Option<&'p Sealed>,
    verification: Verification,
    offset_bytes: u64,
    thread_count: usize,
}

impl<'p> Chain<'p> {
    fn new(sealed: Option<&'p Sealed>, thread_count: usize) -> Self {
        Chain {
            sealed,
            verification: Verification {
                op_count: 0,
                head: ZERO_HASH.to_owned(),
                damage: None,
                uncovered: None,
            },
            offset_bytes: 0,
            thread_count,
        }
    }

    /// Checks whole lines that follow what was checked.
    fn check(&mut self, lines: &[u8]) {
        if self.verification.damage.is_some() {
            return;
        }
        let runs = self.runs_of(lines);
        let checked: Vec<Run> = std::thread::scope(|scope| {
            let mut rest = runs.iter();
            let first = rest.next();
            let others: Vec<_> = rest.map(|run| scope.spawn(|| run.check())).collect();
            let mine = first.map(|run| run.check());
            let theirs = others.into_iter().map(|handle| {
                handle.join().unwrap_or_else(|_| Run::broken("checking it failed".to_owned()))
            });
            mine.into_iter().chain(theirs).collect()
        });
        for run in checked {
            self.join(run);
            if self.verification.damage.is_some() {
                return;
            }
        }
    }

    /// Splits lines in as many runs as there are cores, and tells each at which seq it begins.
    fn runs_of<'t>(&self, lines: &'t [u8]) -> Vec<Lines<'t, 'p>> {
        let mut first_seq = self.verification.op_count as Seq;
        let with_place = |text: &'t [u8]| {
            let run = Lines { text, first_seq, sealed: self.sealed };
            // A plain line says its seq itself.
            if self.sealed.is_some() {
                first_seq += memchr_iter(b'\n', text).count() as Seq;
            }
            run
        };
        split_in_runs(lines, self.thread_count).into_iter().map(with_place).collect()
    }

    fn join(&mut self, run: Run) {
        let known = &mut self.verification;
        let next_seq = known.op_count as Seq;
        if let Some((first_seq, prev_hash)) = &run.first {
            let fault = if *first_seq != next_seq {
                Some(Fault::wrong_seq(*first_seq, next_seq))
            } else if *prev_hash != known.head {
                Some(Fault::wrong_prev_hash())
            } else {
                None
            };
            if let Some(fault) = fault {
                known.damage = Some(Damage {
                    seq: next_seq,
                    offset_bytes: self.offset_bytes,
                    reason: fault.reason(),
                });
                return;
            }
        }
        known.op_count += run.op_count;
        if let Some(head) = run.head {
            known.head = head;
        }
        known.uncovered = known.uncovered.take().or(run.uncovered);
        if let Some(fault) = run.fault {
            known.damage = Some(Damage {
                seq: known.op_count as Seq,
                offset_bytes: self.offset_bytes + run.good_bytes,
                reason: fault.reason(),
            });
        }
        self.offset_bytes += run.good_bytes;
    }
}

/// What one thread found in the lines it was given.
struct Run {
    /// The seq and `prev_hash` of the first op.
    first: Option<(Seq, String)>,
    head: Option<String>,
    op_count: u64,
    good_bytes: u64,
    fault: Option<Fault>,
    uncovered: Option<(Seq, String)>,
}

impl Run {
    fn broken(reason: String) -> Run {
        Run { fault: Some(Fault::NotWellFormed(reason)), ..Run::empty() }
    }

    fn empty() -> Run {
        Run { first: None, head: None, op_count: 0, good_bytes: 0, fault: None, uncovered: None }
    }
}

fn split_in_runs(lines: &[u8], count_max: usize) -> Vec<&[u8]> {
    let count = count_max.min(lines.len() / RUN_BYTES_MIN).max(1);
    let mut runs = Vec::with_capacity(count);
    let mut rest = lines;
    for left in (1..=count).rev() {
        let near = rest.len() / left;
        let end = if left == 1 {
            rest.len()
        } else {
            let tail = rest.get(near..).unwrap_or_default();
            memchr::memchr(b'\n', tail).map_or(rest.len(), |at| near + at + 1)
        };
        let (run, tail) = rest.split_at(end.min(rest.len()));
        runs.push(run);
        rest = tail;
    }
    runs
}

/// Lines that one thread checks.
struct Lines<'t, 'p> {
    text: &'t [u8],
    /// The seq of the first by its place.
    first_seq: Seq,
    sealed: Option<&'p Sealed>,
}

impl Lines<'_, '_> {
    fn check(&self) -> Run {
        let mut run = Run::empty();
        let mut start = 0;
        let mut opener = self.sealed.map(LineOpener::new);
        let mut plain = Vec::new();
        let mut ends: Vec<usize> = memchr_iter(b'\n', self.text).collect();
        if ends.last().map_or(0, |last| last + 1) < self.text.len() {
            ends.push(self.text.len());
        }
        for end in ends {
            let line = self.text.get(start..end).unwrap_or_default();
            let seq = self.first_seq.saturating_add_unsigned(run.op_count);
            let checked = match &mut opener {
                None => check_line(line, &run),
                Some(opener) => {
                    plain.clear();
                    open_line(opener, seq, line, &mut plain).and_then(|()| check_line(&plain, &run))
                }
            };
            match checked {
                Ok(checked) => run.take(checked, end - start + 1),
                Err(fault) => {
                    run.fault = Some(fault);
                    return run;
                }
            }
            start = end + 1;
        }
        run
    }
}

struct CheckedLine {
    seq: Seq,
    prev_hash: String,
    hash: String,
    uncovered: Option<String>,
}

impl Run {
    fn take(&mut self, line: CheckedLine, line_bytes: usize) {
        self.first.get_or_insert((line.seq, line.prev_hash));
        self.head = Some(line.hash);
        self.op_count += 1;
        self.good_bytes += line_bytes as u64;
        if let (None, Some(key)) = (&self.uncovered, line.uncovered) {
            self.uncovered = Some((line.seq, key));
        }
    }
}

fn check_line(line: &[u8], run: &Run) -> std::result::Result<CheckedLine, Fault> {
    let normalized = normalize(line)?;
    let fields = Fields::split(&normalized)?;
    if !fields.has_right_hash() {
        return Err(Fault::WrongHash);
    }
    if let (Some((first_seq, _)), Some(head)) = (&run.first, &run.head) {
        let expected = first_seq.saturating_add(run.op_count as Seq);
        if fields.seq != expected {
            return Err(Fault::wrong_seq(fields.seq, expected));
        }
        if fields.prev_hash != head {
            return Err(Fault::wrong_prev_hash());
        }
    }
    // What cannot be understood is damage, however right its hash is.
    fields.to_op()?;
    Ok(CheckedLine {
        seq: fields.seq,
        prev_hash: fields.prev_hash.to_owned(),
        hash: fields.hash.to_owned(),
        uncovered: fields.uncovered.map(str::to_owned),
    })
}
