//! Live and ended postings of one value.
//!
//! In: a life that begins or stops having the value. Out: the lives that have it at a seq, in order.
//!
//! Invariants:
//! * Live postings are in order of life; ended ones in order of their last seq, as they ended.
//! * A life has a value at most once at any seq.

use crate::limits::COMPARED_AT_ONCE_COUNT;
use crate::op::Seq;
use crate::views::codec::{Malformed, Reader, Writer};
use crate::views::ids::{Life, LifeId, NO_END};
use crate::views::pieces::{Cursor, cost};
use std::collections::BTreeMap;

/// What a saved live posting is at least: a life, its beginning.
const LIVE_BYTES_MIN: usize = 2;
/// What a saved ended posting is at least: a life, its beginning, its end.
const ENDED_BYTES_MIN: usize = 3;

/// Postings that have not ended: nearly always one, or many.
#[derive(Clone, Debug)]
pub(crate) enum Live<P> {
    None,
    One(LifeId, Posting<P>),
    Many(BTreeMap<LifeId, Posting<P>>),
}

impl<P: Copy + PartialEq> PartialEq for Live<P> {
    fn eq(&self, other: &Self) -> bool {
        // One that is left of many is held otherwise than one that was always alone.
        self.iter().eq(other.iter())
    }
}

/// From when on a life has the value, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Posting<P> {
    pub first_seq: Seq,
    pub payload: P,
}

impl<P: Copy> Live<P> {
    /// Adds a posting; the life must have none.
    pub fn insert(&mut self, life: LifeId, posting: Posting<P>) {
        match self {
            Live::None => *self = Live::One(life, posting),
            Live::One(other, first) => {
                *self = Live::Many(BTreeMap::from([(*other, *first), (life, posting)]));
            }
            Live::Many(postings) => {
                postings.insert(life, posting);
            }
        }
    }

    /// Takes a life's posting out.
    pub fn remove(&mut self, life: LifeId) -> Option<Posting<P>> {
        match self {
            Live::One(other, posting) if *other == life => {
                let posting = *posting;
                *self = Live::None;
                Some(posting)
            }
            Live::Many(postings) => {
                let posting = postings.remove(&life);
                if postings.is_empty() {
                    *self = Live::None;
                }
                posting
            }
            _ => None,
        }
    }

    /// Returns a life's posting.
    pub fn get(&self, life: LifeId) -> Option<Posting<P>> {
        match self {
            Live::One(other, posting) => (*other == life).then_some(*posting),
            Live::Many(postings) => postings.get(&life).copied(),
            Live::None => None,
        }
    }

    /// Returns the postings from a life on, in order of life.
    pub fn iter_from(&self, first: LifeId) -> impl Iterator<Item = (LifeId, Posting<P>)> {
        let one = match self {
            Live::One(life, posting) if *life >= first => Some((*life, *posting)),
            _ => None,
        };
        let many = match self {
            Live::Many(postings) => Some(postings.range(first..)),
            _ => None,
        };
        let many = many.into_iter().flatten().map(|(life, posting)| (*life, *posting));
        one.into_iter().chain(many)
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        match self {
            Live::None => 0,
            Live::One(..) => 1,
            Live::Many(postings) => postings.len(),
        }
    }

    /// Returns the postings in order of life.
    pub fn iter(&self) -> impl Iterator<Item = (LifeId, Posting<P>)> {
        let one = match self {
            Live::One(life, posting) => Some((*life, *posting)),
            _ => None,
        };
        let many = match self {
            Live::Many(postings) => Some(postings),
            _ => None,
        };
        let many = many.into_iter().flatten().map(|(life, posting)| (*life, *posting));
        one.into_iter().chain(many)
    }
}

/// One ended posting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EndedPosting<P> {
    pub life: LifeId,
    pub first_seq: Seq,
    pub last_seq: Seq,
    pub payload: P,
}

/// Ended postings, with the smallest first seq of every block of them, of every block of blocks, and
/// so on, so that those that cover a seq are found without a look at the rest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended<P> {
    postings: Vec<EndedPosting<P>>,
    least_first_seqs: Vec<Vec<Seq>>,
}

/// 64 entries a block, at every level.
const BLOCK_BITS: usize = 6;

impl<P> Default for Ended<P> {
    fn default() -> Self {
        Ended { postings: Vec::new(), least_first_seqs: Vec::new() }
    }
}

impl<P: Copy> Ended<P> {
    /// Adds a posting; its last seq must not be below that of any before it.
    pub fn push(&mut self, posting: EndedPosting<P>) {
        let at = self.postings.len();
        self.postings.push(posting);
        if self.needs_another_level() {
            self.add_level();
            return;
        }
        for (level, least) in self.least_first_seqs.iter_mut().enumerate() {
            match least.get_mut(at >> (BLOCK_BITS * (level + 1))) {
                Some(seq) => *seq = posting.first_seq.min(*seq),
                None => least.push(posting.first_seq),
            }
        }
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        self.postings.len()
    }

    /// Returns all, in order of their last seq.
    pub fn as_slice(&self) -> &[EndedPosting<P>] {
        &self.postings
    }

    /// Visits the postings that cover a seq.
    ///
    /// Cost: logarithmic in all, linear in those found.
    pub fn visit_at(&self, seq: Seq, mut visit: impl FnMut(&EndedPosting<P>)) {
        let mut at = self.postings.partition_point(|posting| posting.last_seq < seq);
        while let Some(posting) = self.postings.get(at) {
            if let Some(count) = self.skippable(at, seq) {
                at += count;
                continue;
            }
            if posting.first_seq <= seq {
                visit(posting);
            }
            at += 1;
        }
    }

    fn skippable(&self, at: usize, seq: Seq) -> Option<usize> {
        let levels = self.least_first_seqs.iter().enumerate().rev();
        for (level, least) in levels {
            let bits = BLOCK_BITS * (level + 1);
            let is_start = at & ((1 << bits) - 1) == 0;
            if is_start && least.get(at >> bits).is_some_and(|first_seq| *first_seq > seq) {
                return Some(1 << bits);
            }
        }
        None
    }

    fn needs_another_level(&self) -> bool {
        self.postings.len() >> (BLOCK_BITS * (self.least_first_seqs.len() + 1)) > 0
    }

    fn add_level(&mut self) {
        // The postings may have outgrown the last level by the one that was just added.
        let bits = BLOCK_BITS * (self.least_first_seqs.len() + 1);
        self.least_first_seqs.push(Vec::new());
        for (level, least) in self.least_first_seqs.iter_mut().enumerate() {
            let size = 1_usize << (BLOCK_BITS * (level + 1)).min(bits);
            let block_least =
                |block: &[EndedPosting<P>]| block.iter().map(|posting| posting.first_seq).min();
            *least = self.postings.chunks(size).filter_map(block_least).collect();
        }
    }
}

impl<P: Payload> Live<P> {
    /// Appends the postings, each with how much later than its life it began.
    pub fn encode(&self, lives: &[Life], out: &mut Writer) {
        out.count(self.count());
        let mut before = 0;
        for (life, posting) in self.iter() {
            out.unsigned((life - before).into());
            out.rise(start_of(lives, life), posting.first_seq);
            posting.payload.encode(out);
            before = life;
        }
    }

    /// Reads what `encode` wrote: postings of living lives, in order of life.
    pub fn decode(
        input: &mut Reader<'_>,
        lives: &[Life],
        last_seq: Seq,
    ) -> Result<Live<P>, Malformed> {
        let count = input.count(LIVE_BYTES_MIN)?;
        let mut before = None;
        let mut next = || {
            let rise = input.small()?;
            let life = before.map_or(Some(rise), |before: LifeId| {
                before.checked_add(rise).filter(|life| *life > before)
            });
            before = life;
            let life = life.ok_or(Malformed("postings are not in order of life"))?;
            let span = lives.get(life as usize).filter(|life| life.end_seq == NO_END);
            let span = span.ok_or(Malformed("a live posting is of no living document"))?;
            let first_seq = input.rise(span.start_seq, last_seq)?;
            Ok((life, Posting { first_seq, payload: P::decode(input)? }))
        };
        match count {
            0 => Ok(Live::None),
            1 => next().map(|(life, posting)| Live::One(life, posting)),
            _ => {
                let postings: Result<Vec<_>, Malformed> = (0..count).map(|_| next()).collect();
                Ok(Live::Many(postings?.into_iter().collect()))
            }
        }
    }
}

impl<P: Payload> Ended<P> {
    /// Appends the postings, in the order in which they ended.
    pub fn encode(&self, lives: &[Life], out: &mut Writer) {
        out.count(self.postings.len());
        let mut last_seq = -1;
        for posting in &self.postings {
            out.unsigned(posting.life.into());
            out.rise(start_of(lives, posting.life), posting.first_seq);
            out.rise(last_seq, posting.last_seq);
            posting.payload.encode(out);
            last_seq = posting.last_seq;
        }
    }

    /// Reads what `encode` wrote: postings that lie within their lives, in order of their last seq.
    pub fn decode(
        input: &mut Reader<'_>,
        lives: &[Life],
        last_seq_max: Seq,
    ) -> Result<Ended<P>, Malformed> {
        let count = input.count(ENDED_BYTES_MIN)?;
        let mut postings = Vec::with_capacity(count);
        let mut last_seq = -1;
        for _ in 0..count {
            let life = input.small()?;
            let span = lives.get(life as usize).ok_or(Malformed("a posting is of no document"))?;
            let first_seq = input.rise(span.start_seq, last_seq_max)?;
            last_seq = input.rise(last_seq, last_seq_max)?;
            // A value may come and go within one op.
            if last_seq < first_seq - 1 || last_seq >= span.end_seq {
                return Err(Malformed("a posting does not lie within its document's life"));
            }
            postings.push(EndedPosting { life, first_seq, last_seq, payload: P::decode(input)? });
        }
        let mut ended = Ended { postings, least_first_seqs: Vec::new() };
        while ended.needs_another_level() {
            ended.add_level();
        }
        Ok(ended)
    }
}

fn start_of(lives: &[Life], life: LifeId) -> Seq {
    lives.get(life as usize).map_or(0, |life| life.start_seq)
}

/// Compares a part of the postings of a value with those of another fold of the same ops; None where they differ,
/// else how many it has compared.
pub(super) fn compare_part<P: Copy + PartialEq>(
    (live, ended): (&Live<P>, &Ended<P>),
    (other_live, other_ended): (&Live<P>, &Ended<P>),
    cursor: &mut Cursor,
) -> Option<usize> {
    if live.count() != other_live.count() || ended.count() != other_ended.count() {
        return None;
    }
    let (mut next, mut count) = (cursor.key, 0);
    let theirs = other_live.iter_from(cursor.key);
    for (mine, theirs) in live.iter_from(cursor.key).zip(theirs).take(COMPARED_AT_ONCE_COUNT) {
        (next, count) = (mine.0.saturating_add(1), count + 1);
        cost(mine == theirs, 0)?;
    }
    let rest = |ended: &Ended<P>| -> Vec<EndedPosting<P>> {
        let rest = ended.postings.iter().skip(cursor.number);
        rest.take(COMPARED_AT_ONCE_COUNT - count).copied().collect()
    };
    let mine = rest(ended);
    cost(mine == rest(other_ended), 0)?;
    let number = cursor.number + mine.len();
    let compared = count + mine.len();
    *cursor = Cursor { key: next, number, has_more: compared == COMPARED_AT_ONCE_COUNT };
    Some(compared)
}

/// What goes with a posting, and is saved with it.
pub(crate) trait Payload: Copy {
    fn encode(&self, out: &mut Writer);
    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl Payload for () {
    fn encode(&self, _: &mut Writer) {}

    fn decode(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(())
    }
}

/// Returns the lives that have the value at a seq, in order of creation, with what goes with it.
pub(crate) fn lives_at<P: Copy>(live: &Live<P>, ended: &Ended<P>, seq: Seq) -> Vec<(LifeId, P)> {
    let mut lives: Vec<(LifeId, P)> = live
        .iter()
        .filter(|(_, posting)| posting.first_seq <= seq)
        .map(|(life, posting)| (life, posting.payload))
        .collect();
    let live_count = lives.len();
    ended.visit_at(seq, |posting| lives.push((posting.life, posting.payload)));
    if lives.len() > live_count {
        lives.sort_unstable_by_key(|(life, _)| *life);
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_postings_are_found_at_every_seq_they_cover() {
        let mut ended = Ended::default();
        let mut all = Vec::new();
        for n in 0..5_000_i64 {
            let first_seq = (n * 7_919 % 97 * n / 97).min(n);
            let posting = EndedPosting { life: n as u32, first_seq, last_seq: n, payload: () };
            ended.push(posting);
            all.push(posting);
        }
        for seq in [0, 1, 63, 64, 65, 2_500, 4_095, 4_096, 4_097, 4_999, 5_000] {
            let mut found = Vec::new();
            ended.visit_at(seq, |posting| found.push(posting.life));
            let expected: Vec<LifeId> = all
                .iter()
                .filter(|posting| posting.first_seq <= seq && seq <= posting.last_seq)
                .map(|posting| posting.life)
                .collect();
            assert_eq!(found, expected, "at {seq}");
        }
    }

    #[test]
    fn live_postings_stay_in_order_of_life() {
        let mut live = Live::None;
        for life in [5, 3, 9] {
            live.insert(life, Posting { first_seq: 0, payload: () });
        }
        let lives = |live: &Live<()>| live.iter().map(|(life, _)| life).collect::<Vec<_>>();
        assert_eq!(lives(&live), [3, 5, 9]);
        assert!(live.remove(5).is_some() && live.remove(5).is_none());
        assert_eq!(lives(&live), [3, 9]);
        live.remove(3);
        live.remove(9);
        assert_eq!(live, Live::None);
    }

    #[test]
    fn postings_are_compared_in_parts_and_a_difference_in_any_is_found() {
        let fold = |odd: Option<u32>| {
            let (mut live, mut ended) = (Live::None, Ended::default());
            for life in 0..1_000 {
                let first_seq = i64::from(Some(life) == odd);
                live.insert(life, Posting { first_seq, payload: () });
                let first_seq = i64::from(Some(life + 1_000) == odd);
                ended.push(EndedPosting { life, first_seq, last_seq: 5, payload: () });
            }
            (live, ended)
        };
        let compare = |odd| {
            let (mine, theirs) = (fold(None), fold(odd));
            let (mut cursor, mut compared) = (Cursor::default(), Vec::new());
            loop {
                cursor.has_more = false;
                let (mine, theirs) = ((&mine.0, &mine.1), (&theirs.0, &theirs.1));
                compared.push(compare_part(mine, theirs, &mut cursor)?);
                if !cursor.has_more {
                    return Some(compared);
                }
            }
        };
        let compared = compare(None).expect("they are the same");
        assert_eq!(compared.iter().sum::<usize>(), 2_000);
        assert!(compared.iter().all(|count| *count <= COMPARED_AT_ONCE_COUNT));
        for odd in [0, 255, 256, 999, 1_000, 1_255, 1_999] {
            assert_eq!(compare(Some(odd)), None, "{odd}");
        }
    }
}
