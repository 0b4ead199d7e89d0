//! The repair of a log whose chain holds and whose seqs do not count up: its ops are carried over.
//!
//! In: a damaged log. Out: a log with the same ops, those from the damage on with new seqs, and one more op
//! that says what they were.
//!
//! Invariants:
//! * Only what the chain proves is carried over: each op links to the one before it, from the first on.
//! * A crash leaves the damaged log or the whole new one: it is written aside, checked, synced and renamed.

use super::report::RepairReport;
use crate::crypto::Sealed;
use crate::db::database::{Database, Inner};
use crate::db::open_report::OpenReport;
use crate::db::restore::{REPAIR_CLIENT, check_copy, remove_saved_from};
use crate::engine::{Barrier, Log, Next};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::REPAIR_RANGES_COUNT_MAX;
use crate::log::{ChainedLine, Damage, Header, NewSeq, ReplayStart, encode_line, walk_chain};
use crate::op::{Carried, Items, Nonce, OpKind, Repair, Seq};
use crate::store::{Directory, DirectoryLock, LogFile, LogStore, StoredFile};
use std::borrow::Cow;
use std::path::Path;

/// How much is read and written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The ops from the damage on that the chain proves.
struct Chained {
    /// The seq that the first of them gets.
    first_seq: Seq,
    /// The seqs that they had, in order of the ops.
    old_seqs: Vec<Seq>,
    /// The same, sorted, each with the seq that its op gets.
    new_seqs: Vec<(Seq, Seq)>,
    /// Where the first line stands that is not proven.
    end_bytes: u64,
}

impl Chained {
    fn new(first_seq: Seq, old_seqs: Vec<Seq>, end_bytes: u64) -> Chained {
        let mut new_seqs: Vec<(Seq, Seq)> = old_seqs.iter().copied().zip(first_seq..).collect();
        new_seqs.sort_unstable();
        Chained { first_seq, old_seqs, new_seqs, end_bytes }
    }

    /// Returns which seq the op has that had this one; None where there is none, or more than one.
    fn new_seq(&self, old: Seq) -> Option<Seq> {
        let at = self.new_seqs.partition_point(|(seq, _)| *seq < old);
        let mut had_it = self.new_seqs.iter().skip(at).take_while(|(seq, _)| *seq == old);
        let is_before = (0..self.first_seq).contains(&old);
        match (had_it.next(), had_it.next()) {
            (None, _) => is_before.then_some(old),
            (Some((_, new)), None) if !is_before => Some(*new),
            _ => None,
        }
    }

    /// Returns the seqs that they had as ranges from a first to a last, as many as an op may name.
    fn ranges(&self) -> Vec<(Seq, Seq)> {
        let mut ranges: Vec<(Seq, Seq)> = Vec::new();
        for seq in &self.old_seqs {
            let last = ranges.last_mut().filter(|(_, last)| last.checked_add(1) == Some(*seq));
            if let Some((_, last)) = last {
                *last = *seq;
            } else if ranges.len() < REPAIR_RANGES_COUNT_MAX {
                ranges.push((*seq, *seq));
            } else {
                break;
            }
        }
        ranges
    }
}

impl Database {
    /// Repairs a log whose chain goes on behind the damage, so that nothing of what it proves is lost.
    /// Returns None, and does nothing, where it does not go on.
    ///
    /// Cost: three passes over what is carried over, a copy of the log, one pass over all of the new one.
    /// Errors: `DatabaseLocked`, `StorageError`, and the log is the damaged one then; `CommitUnknown` when it may be
    /// the new one, and the handle takes no more writes and repairs nothing.
    pub(in crate::db) fn carry_over(
        &self,
        directory: &Directory,
        damage: &Damage,
    ) -> Result<Option<RepairReport>> {
        let mut barrier = self.inner.engine.barrier();
        let log = directory.open_log(false)?;
        let len_bytes = log.len_bytes().map_err(reading)?;
        let head = self.inner.engine.read()?.head.clone();
        let (next_seq, offset_bytes) = (damage.seq, damage.offset_bytes);
        let start = ReplayStart { offset_bytes, next_seq, head };
        let chained = self.inner.survey(&*log, &start, len_bytes)?;
        if chained.old_seqs.is_empty() {
            return Ok(None);
        }
        let mut lock = directory.lock()?;
        let (damaged_file, _) = directory.keep_damaged_log(damage.seq)?;
        let cut_bytes = len_bytes.saturating_sub(chained.end_bytes);
        let carried_op_count = chained.old_seqs.len() as u64;
        let report = RepairReport {
            damage: Some(damage.clone()),
            cut_bytes,
            carried_op_count,
            damaged_file: Some(damaged_file.clone()),
            removed_checkpoints: Vec::new(),
        };
        let written = self
            .write_repaired(directory, &*log, start, &chained, &report)
            .and_then(|()| announce(&mut lock, damage));
        if let Err(error) = written {
            // The disk may be full, and the damaged log is where it was.
            directory.drop_repaired_log(&damaged_file);
            return Err(error);
        }
        if let Err(error) = self.take_repaired(directory, lock, &mut barrier, &report) {
            let log = Some(Log::Refusing(unknown()));
            barrier.install(Next { state: None, log, is_durable: false });
            return Err(unknown().with_source(error));
        }
        drop(barrier);
        self.inner.engine.tell_position();
        Ok(Some(report))
    }

    /// Writes the new log aside, synced, and checks it.
    fn write_repaired(
        &self,
        directory: &Directory,
        log: &dyn StoredFile,
        start: ReplayStart,
        chained: &Chained,
        report: &RepairReport,
    ) -> Result<()> {
        let aside = directory.create_repaired_log()?;
        let mut work = Rewrite::new(&*aside, &self.inner, start, chained);
        work.copy_good(log)?;
        work.copy_chained(log)?;
        work.append_note(report)?;
        work.write()?;
        let (head, op_count) = (work.next.head, work.next.next_seq as u64);
        aside.sync().map_err(writing)?;
        check_copy(&*aside, &self.inner.protection, &head, op_count)
    }

    /// Puts the log that was written aside in the damaged one's place, and writes on after it. After an error it may
    /// be there or not.
    fn take_repaired(
        &self,
        directory: &Directory,
        lock: DirectoryLock,
        barrier: &mut Barrier<'_>,
        report: &RepairReport,
    ) -> Result<()> {
        let Some(damage) = &report.damage else { return Ok(()) };
        directory.take_repaired_log()?;
        remove_saved_from(directory, damage.seq);
        let log = directory.open_log(true)?;
        let len_bytes = log.len_bytes().map_err(reading)?;
        let (state, _) = self.fold_anew(directory, len_bytes)?;
        let mut store = LogFile::new(directory, log, lock, len_bytes);
        store.sync().map_err(writing)?;
        let opened = OpenReport {
            op_count: state.log.op_count() as u64,
            cut_bytes: report.cut_bytes,
            cut_file: report.damaged_file.clone(),
            warnings: vec![format!(
                "op {} was damaged and the log was repaired; the seqs of {} ops may be others than before",
                damage.seq, report.carried_op_count
            )],
            ..OpenReport::default()
        };
        let log = Some(Log::Disk(Box::new(store)));
        let next = Next { state: Some(state), log, is_durable: true };
        self.inner.install(barrier, next, opened);
        Ok(())
    }
}

impl Inner {
    /// Looks for what the chain proves behind a damage.
    fn survey(&self, log: &dyn StoredFile, start: &ReplayStart, end_bytes: u64) -> Result<Chained> {
        let mut old_seqs = Vec::new();
        let end_bytes = walk_chain(log, &self.protection, start, end_bytes, &mut |line| {
            old_seqs.push(line.op.seq);
            Ok(())
        })?;
        Ok(Chained::new(start.next_seq, old_seqs, end_bytes))
    }
}

/// A log that is written anew.
struct Rewrite<'a> {
    file: &'a dyn StoredFile,
    inner: &'a Inner,
    sealed: Option<&'a Sealed>,
    chained: &'a Chained,
    /// Where the damage is in the old log.
    start: ReplayStart,
    /// What the next line is: its seq, and the hash that it follows.
    next: ReplayStart,
    /// Lines that are not written yet.
    lines: String,
    scratch: Vec<u8>,
    lost_cause_count: u64,
}

impl<'a> Rewrite<'a> {
    fn new(
        file: &'a dyn StoredFile,
        inner: &'a Inner,
        start: ReplayStart,
        chained: &'a Chained,
    ) -> Self {
        Rewrite {
            file,
            inner,
            sealed: inner.protection.as_sealed(),
            chained,
            next: start.clone(),
            start,
            lines: String::new(),
            scratch: Vec::new(),
            lost_cause_count: 0,
        }
    }

    /// Copies the bytes before the damage.
    fn copy_good(&self, log: &dyn StoredFile) -> Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset_bytes = 0;
        while offset_bytes < self.start.offset_bytes {
            let left_bytes = self.start.offset_bytes - offset_bytes;
            let wanted = usize::try_from(left_bytes).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let fresh = buffer.get_mut(..wanted).unwrap_or_default();
            let count = log.read_at(offset_bytes, fresh).map_err(reading)?;
            if count == 0 {
                return Err(changed());
            }
            self.file.append(fresh.get(..count).unwrap_or_default()).map_err(writing)?;
            offset_bytes += count as u64;
        }
        Ok(())
    }

    /// Writes the ops from the damage on, each with the seq that it gets.
    fn copy_chained(&mut self, log: &dyn StoredFile) -> Result<()> {
        let (start, end_bytes) = (self.start.clone(), self.chained.end_bytes);
        let protection = &self.inner.protection;
        walk_chain(log, protection, &start, end_bytes, &mut |line| self.append_line(line))?;
        let count = self.next.next_seq - self.start.next_seq;
        if count == self.chained.old_seqs.len() as Seq { Ok(()) } else { Err(changed()) }
    }

    fn append_line(&mut self, line: &ChainedLine<'_>) -> Result<()> {
        let chained = self.chained;
        let new_seq: NewSeq<'_> = &|old| chained.new_seq(old);
        self.lost_cause_count += line.lost_cause_count(new_seq);
        let mut text = String::new();
        let hash = line.write_as(self.next.next_seq, &self.next.head, new_seq, &mut text);
        self.append(&text, hash)
    }

    /// Appends an op that says what was done.
    fn append_note(&mut self, report: &RepairReport) -> Result<()> {
        let mut items = Items::of(OpKind::Repair(self.note(report)));
        let state = self.inner.engine.read()?;
        let last = state.views.clients.last_nonce(REPAIR_CLIENT).unwrap_or(Nonce::Integer(0));
        let header = Header {
            seq: self.next.next_seq,
            client: REPAIR_CLIENT,
            nonce: i64::try_from(last.next()).unwrap_or(i64::MAX),
            ts: self.inner.options.clock.now_seconds(),
            ..Header::default()
        };
        let mut line = String::new();
        let hash =
            encode_line(&header, &mut items, &self.next.head, &mut String::new(), &mut line)?;
        self.append(line.trim_end_matches('\n'), hash)
    }

    /// Says what was done.
    fn note<'r>(&self, report: &'r RepairReport) -> Repair<'r> {
        let path = report.damaged_file.as_deref().and_then(Path::file_name).unwrap_or_default();
        let reason = report.damage.as_ref().map_or("", |damage| &damage.reason);
        Repair {
            cut_bytes: report.cut_bytes,
            damaged_file: path.to_string_lossy(),
            offset_bytes: self.start.offset_bytes,
            reason: Cow::Borrowed(reason),
            synced_bytes: None,
            carried: Some(Carried {
                op_count: report.carried_op_count,
                old_seqs: self.chained.ranges(),
                lost_cause_count: self.lost_cause_count,
            }),
        }
    }

    fn append(&mut self, line: &str, hash: String) -> Result<()> {
        match self.sealed {
            None => self.lines.push_str(line),
            Some(sealed) => {
                let seq = self.next.next_seq;
                sealed.seal_line(seq, line.as_bytes(), &mut self.scratch, &mut self.lines)?;
            }
        }
        self.lines.push('\n');
        self.next.next_seq += 1;
        self.next.head = hash;
        if self.lines.len() >= CHUNK_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        self.file.append(self.lines.as_bytes()).map_err(writing)?;
        self.lines.clear();
        Ok(())
    }
}

/// Lets `LOCK` say no more than holds of either log: it may say more than the new one is long. What is wrong with the
/// damaged one is no end of a crash, whatever `LOCK` says.
fn announce(lock: &mut DirectoryLock, damage: &Damage) -> Result<()> {
    lock.write_durable_bytes(damage.offset_bytes)
        .and_then(|()| lock.sync())
        .map_err(|error| Error::storage("write LOCK", error))
}

fn unknown() -> Error {
    Error::new(
        ErrorCode::CommitUnknown,
        "the disk failed while the repaired log took the damaged one's place, and either may be there; reopen \
         the database, and repair() it where it is still damaged",
    )
}

fn changed() -> Error {
    Error::integrity("the log changed while it was repaired")
}

fn reading(error: std::io::Error) -> Error {
    Error::storage("read the damaged log", error)
}

fn writing(error: std::io::Error) -> Error {
    Error::storage("write the repaired log", error)
}
