//! The bytes of one file: those on the disk, those in the cache, and what lies between.
//!
//! Invariants:
//! * The cache is the disk's bytes with every change since.
//! * What a crash may leave begins with two variants: nothing since the last sync, and everything.

use super::random::Random;
use std::collections::BTreeSet;
use std::ops::Range;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// A write of so many bytes or fewer is torn at every byte, a longer one at a sample of them.
const TORN_EVERYWHERE_BYTES: usize = 16;
/// So many pieces or fewer are kept and lost in every combination, more in a sample of them.
const SUBSETS_OF_PIECES_MAX: usize = 4;
const SAMPLE_COUNT: usize = 5;
/// So many of the last changes are torn: those before them are most likely on the disk.
const TORN_CHANGES_COUNT: usize = 2;

/// A change that is not synced.
#[derive(Clone, Debug)]
struct Change {
    what: What,
    /// A sync failed since: its bytes are called clean, and are on the disk or not.
    is_dropped: bool,
}

#[derive(Clone, Debug)]
enum What {
    Write { at: usize, bytes: Vec<u8> },
    Cut { len_bytes: usize },
}

/// The bytes of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    durable: Vec<u8>,
    /// Places in `durable` whose bytes were called clean after a failed sync, and may be zeros.
    doubtful: BTreeSet<usize>,
    changes: Vec<Change>,
    cached: Vec<u8>,
}

impl Content {
    /// Makes a file that is on the disk whole.
    pub fn durable(bytes: Vec<u8>) -> Self {
        Content { cached: bytes.clone(), durable: bytes, ..Content::default() }
    }

    /// Returns the bytes that a process reads.
    pub fn cached(&self) -> &[u8] {
        &self.cached
    }

    /// Writes bytes at a place.
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.change(What::Write { at, bytes: bytes.to_vec() });
    }

    /// Cuts the file to a length, or stretches it with zeros.
    pub fn cut(&mut self, len_bytes: usize) {
        self.change(What::Cut { len_bytes });
    }

    fn change(&mut self, what: What) {
        apply(&mut self.cached, &what);
        self.changes.push(Change { what, is_dropped: false });
    }

    /// Puts everything on the disk, but for what a failed sync before has called clean.
    pub fn sync(&mut self) {
        for Change { what, is_dropped } in std::mem::take(&mut self.changes) {
            match &what {
                What::Write { at, bytes } if is_dropped => {
                    self.doubtful.extend(*at..at + bytes.len());
                }
                What::Write { at, bytes } => {
                    let rewritten = *at..at + bytes.len();
                    self.doubtful.retain(|place| !rewritten.contains(place));
                }
                What::Cut { len_bytes } => self.doubtful.retain(|place| place < len_bytes),
            }
            apply(&mut self.durable, &what);
        }
    }

    /// Fails to put what was written on the disk: it may be there, and counts as clean.
    pub fn fail_to_sync(&mut self) {
        self.changes.iter_mut().for_each(|change| change.is_dropped = true);
    }

    /// Returns what a crash may leave, the first one nothing and the second one everything since the last
    /// sync.
    pub fn after_a_crash(&self, random: &mut Random) -> Vec<Vec<u8>> {
        if self.changes.is_empty() && self.doubtful.is_empty() {
            return vec![self.durable.clone()];
        }
        let mut rest = vec![self.durable.clone()];
        self.push_prefixes(&mut rest, random);
        self.push_subsets(&mut rest, random);
        let worse: Vec<_> = rest.iter().map(|bytes| self.without_doubtful(bytes.clone())).collect();
        let mut left = vec![self.without_doubtful(self.durable.clone()), self.cached.clone()];
        let distinct: BTreeSet<Vec<u8>> = rest.into_iter().chain(worse).collect();
        left.extend(distinct.into_iter().filter(|bytes| !left.contains(bytes)).collect::<Vec<_>>());
        left
    }

    /// Changes up to one, that one torn.
    fn push_prefixes(&self, left: &mut Vec<Vec<u8>>, random: &mut Random) {
        let mut bytes = self.durable.clone();
        let count = self.changes.len();
        for (number, change) in self.changes.iter().enumerate() {
            if let What::Write { at, bytes: written } = &change.what
                && number + TORN_CHANGES_COUNT >= count
            {
                for end in torn_at(*at, written.len(), random) {
                    let mut torn = bytes.clone();
                    write_at(&mut torn, *at, &written[..end]);
                    left.push(torn);
                }
            }
            apply(&mut bytes, &change.what);
            if number < TORN_CHANGES_COUNT || number + 2 * TORN_CHANGES_COUNT >= count {
                left.push(bytes.clone());
            }
        }
    }

    /// Late changes, and late sectors, without early ones.
    fn push_subsets(&self, left: &mut Vec<Vec<u8>>, random: &mut Random) {
        let pieces: Vec<What> =
            self.changes.iter().flat_map(|change| pieces_of(&change.what)).collect();
        let mut keep = |is_kept: &mut dyn FnMut(usize) -> bool| {
            let mut bytes = self.durable.clone();
            let mut cut_off = bytes.clone();
            for (number, piece) in pieces.iter().enumerate() {
                if is_kept(number) {
                    apply(&mut bytes, piece);
                }
                apply(&mut cut_off, piece);
            }
            left.push(bytes.clone());
            // The length may be on the disk without the bytes.
            if bytes.len() < cut_off.len() {
                bytes.resize(cut_off.len(), 0);
                left.push(bytes);
            }
        };
        if pieces.len() <= SUBSETS_OF_PIECES_MAX {
            (0..1_usize << pieces.len())
                .for_each(|kept| keep(&mut |number| kept >> number & 1 == 1));
            return;
        }
        keep(&mut |_| false);
        keep(&mut |number| number != 0);
        keep(&mut |number| number + 2 != pieces.len());
        for _ in 0..SAMPLE_COUNT {
            let lost = random.below(pieces.len());
            keep(&mut |number| number != lost);
            keep(&mut |_| random.flip());
        }
    }

    fn without_doubtful(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for place in self.doubtful.range(..bytes.len()) {
            // What was written since then is not in doubt, where a variant has it.
            if self.durable.get(*place) == bytes.get(*place) && !self.is_rewritten(*place) {
                bytes[*place] = 0;
            }
        }
        bytes
    }

    fn is_rewritten(&self, place: usize) -> bool {
        self.changes.iter().any(|change| match &change.what {
            What::Write { at, bytes } => (*at..at + bytes.len()).contains(&place),
            What::Cut { .. } => false,
        })
    }
}

fn apply(bytes: &mut Vec<u8>, what: &What) {
    match what {
        What::Write { at, bytes: written } => write_at(bytes, *at, written),
        What::Cut { len_bytes } => bytes.resize(*len_bytes, 0),
    }
}

fn write_at(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    bytes.resize(bytes.len().max(at + written.len()), 0);
    bytes[at..at + written.len()].copy_from_slice(written);
}

/// Returns the pieces of a change that are kept or lost by themselves.
fn pieces_of(what: &What) -> Vec<What> {
    let What::Write { at, bytes } = what else { return vec![what.clone()] };
    let mut pieces = Vec::new();
    let Range { mut start, end } = *at..at + bytes.len();
    while start < end {
        let sector_end = ((start / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
        pieces.push(What::Write { at: start, bytes: bytes[start - at..sector_end - at].to_vec() });
        start = sector_end;
    }
    pieces
}

/// Returns how much of a write may be there, where not all of it is.
fn torn_at(at: usize, len_bytes: usize, random: &mut Random) -> BTreeSet<usize> {
    if len_bytes <= TORN_EVERYWHERE_BYTES {
        return (1..len_bytes).collect();
    }
    let mut ends: BTreeSet<usize> = [1, len_bytes - 2, len_bytes - 1].into();
    let sectors = at / SECTOR_BYTES + 1..(at + len_bytes) / SECTOR_BYTES + 1;
    ends.extend(sectors.map(|sector| sector * SECTOR_BYTES - at));
    ends.extend((0..SAMPLE_COUNT).map(|_| 1 + random.below(len_bytes - 1)));
    ends.retain(|end| *end < len_bytes);
    ends
}
