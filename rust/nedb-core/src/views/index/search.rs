//! The full-text index of a collection: which lives have a word, how often, in how long a text.
//!
//! In: changes. Out: the lives that have all of some words at a seq, with what a score needs.
//!
//! Invariants:
//! * One index covers all search fields of a collection: a word counts wherever among them it stands.
//! * The number of documents and of words is known for every seq, so that a score at a seq is the
//!   score that was.

mod saved;

use super::postings::{Ended, EndedPosting, Live, Posting, compare_part, lives_at};
use super::{At, Change, for_each_string, tokenize};
use crate::json::Path;
use crate::op::Seq;
use crate::views::LifeId;
use crate::views::names::Names;
use crate::views::pieces::{Cursor, cost};

/// How often a word stands in a text, and how many words the text has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Occurrence {
    count: u32,
    length: u32,
}

#[derive(Debug)]
struct Slot {
    live: Live<Occurrence>,
    ended: Ended<Occurrence>,
}

/// The size of the collection from a seq on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    seq: Seq,
    document_count: u64,
    token_count: u64,
}

/// The full-text index of one collection.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    fields: Vec<Path>,
    terms: Names,
    slots: Vec<Slot>,
    /// The words and the length of each life's current text.
    current: Vec<Option<CurrentText>>,
    sizes: Vec<Size>,
}

#[derive(Debug)]
struct CurrentText {
    terms: Box<[u32]>,
    length: u32,
}

/// A life that has every term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SearchHit {
    pub life: LifeId,
    /// How many words its text has.
    pub length: u32,
}

impl SearchIndex {
    /// Makes an empty index over some fields.
    pub fn new(fields: Vec<Path>) -> Self {
        SearchIndex {
            fields,
            terms: Names::default(),
            slots: Vec::new(),
            current: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// Returns the fields.
    pub fn fields(&self) -> &[Path] {
        &self.fields
    }

    /// Takes a change in.
    pub fn apply(&mut self, change: &Change<'_>) {
        let at = change.life as usize;
        if self.current.len() <= at {
            self.current.resize_with(at + 1, || None);
        }
        let old = self.current.get_mut(at).and_then(Option::take);
        let new = change.text.map(|text| self.count_terms(text));
        let (counts, length) = new.unwrap_or_default();
        for term in old.iter().flat_map(|old| old.terms.iter()) {
            if counts.binary_search_by_key(term, |(term, _)| *term).is_err() {
                self.end_posting(*term, change);
            }
        }
        for (term, count) in &counts {
            self.set_posting(*term, Occurrence { count: *count, length }, change);
        }
        let is_alive = change.text.is_some();
        self.note_size(change.seq, old.as_ref().map(|old| old.length), is_alive.then_some(length));
        if let Some(place) = self.current.get_mut(at).filter(|_| is_alive) {
            let terms = counts.iter().map(|(term, _)| *term).collect();
            *place = Some(CurrentText { terms, length });
        }
    }

    /// Appends the lives that have a term, in order, from one on; where the present is read, about `max` of them.
    /// Returns the life to go on from, or None when that was all.
    pub fn read_term(
        &self,
        term: &str,
        at: At,
        first: LifeId,
        max: usize,
        out: &mut Vec<(LifeId, Occurrence)>,
    ) -> Option<LifeId> {
        let slot = self.terms.find(term).and_then(|term| self.slots.get(term as usize))?;
        if !at.is_head {
            let rest = lives_at(&slot.live, &slot.ended, at.seq).into_iter();
            out.extend(rest.filter(|(life, _)| *life >= first));
            return None;
        }
        let held_count = out.len();
        let found = slot.live.iter_from(first).take(max);
        out.extend(found.map(|(life, posting)| (life, posting.payload)));
        match out.last() {
            Some((last, _)) if out.len() == held_count + max => last.checked_add(1),
            _ => None,
        }
    }

    /// Returns how many documents and words there were at a seq.
    pub fn size_at_seq(&self, seq: Seq) -> (u64, u64) {
        let size = self.size_at(seq);
        (size.document_count, size.token_count)
    }

    /// Returns how many words any text has, or ever had.
    pub fn term_count(&self) -> usize {
        self.slots.len()
    }

    /// Compares the postings of a word with those in another index, which may have come upon words in another
    /// order, as `compare_part` does.
    pub fn compare_term(
        &self,
        other: &SearchIndex,
        number: usize,
        cursor: &mut Cursor,
    ) -> Option<usize> {
        let mine = self.slots.get(number)?;
        let theirs = other.terms.find(self.terms.text(number as u32))?;
        let theirs = other.slots.get(theirs as usize)?;
        compare_part((&mine.live, &mine.ended), (&theirs.live, &theirs.ended), cursor)
    }

    /// Returns how often the size of the collection has changed.
    pub fn size_count(&self) -> usize {
        self.sizes.len()
    }

    /// Compares a size of the collection with that in another index; None where they differ.
    pub fn compare_size(&self, other: &SearchIndex, number: usize) -> Option<usize> {
        cost(self.sizes.get(number) == other.sizes.get(number), 0)
    }

    fn size_at(&self, seq: Seq) -> Size {
        let count = self.sizes.partition_point(|size| size.seq <= seq);
        let size = count.checked_sub(1).and_then(|at| self.sizes.get(at)).copied();
        size.unwrap_or(Size { seq, document_count: 0, token_count: 0 })
    }

    /// Returns each term of a text with its count, in order of term, and how many words there are.
    fn count_terms(&mut self, text: &str) -> (Vec<(u32, u32)>, u32) {
        let SearchIndex { fields, terms, slots, .. } = self;
        let mut found: Vec<u32> = Vec::new();
        for value in fields.iter().filter_map(|field| field.pick(text)) {
            for_each_string(value, &mut |string| {
                tokenize(string, &mut |word| found.push(terms.add(word)));
            });
        }
        slots.resize_with(terms.count() as usize, || Slot {
            live: Live::None,
            ended: Ended::default(),
        });
        let length = found.len() as u32;
        found.sort_unstable();
        let runs = found.chunk_by(|left, right| left == right);
        let counts =
            runs.filter_map(|run| run.first().map(|term| (*term, run.len() as u32))).collect();
        (counts, length)
    }

    fn set_posting(&mut self, term: u32, occurrence: Occurrence, change: &Change<'_>) {
        let Some(slot) = self.slots.get(term as usize) else { return };
        match slot.live.get(change.life) {
            Some(posting) if posting.payload == occurrence => return,
            Some(_) => self.end_posting(term, change),
            None => {}
        }
        if let Some(slot) = self.slots.get_mut(term as usize) {
            let posting = Posting { first_seq: change.seq, payload: occurrence };
            slot.live.insert(change.life, posting);
        }
    }

    fn end_posting(&mut self, term: u32, change: &Change<'_>) {
        let Some(slot) = self.slots.get_mut(term as usize) else { return };
        if let Some(posting) = slot.live.remove(change.life) {
            slot.ended.push(EndedPosting {
                life: change.life,
                first_seq: posting.first_seq,
                last_seq: change.seq - 1,
                payload: posting.payload,
            });
        }
    }

    fn note_size(&mut self, seq: Seq, old_length: Option<u32>, new_length: Option<u32>) {
        let last = self.size_at(Seq::MAX);
        let size = Size {
            seq,
            document_count: last.document_count + u64::from(new_length.is_some())
                - u64::from(old_length.is_some()),
            token_count: last.token_count + u64::from(new_length.unwrap_or(0))
                - u64::from(old_length.unwrap_or(0)),
        };
        match self.sizes.last_mut() {
            Some(last) if last.seq == seq => *last = size,
            Some(last)
                if (last.document_count, last.token_count)
                    == (size.document_count, size.token_count) => {}
            _ => self.sizes.push(size),
        }
    }
}

/// Returns the lives that all lists have, and their counts, one list's after the other's.
pub(crate) fn intersect(lists: &[Vec<(LifeId, Occurrence)>]) -> (Vec<SearchHit>, Vec<u32>) {
    let shortest = lists.iter().min_by_key(|list| list.len()).map_or(&[][..], Vec::as_slice);
    let mut rests: Vec<&[(LifeId, Occurrence)]> = lists.iter().map(Vec::as_slice).collect();
    let mut hits = Vec::with_capacity(shortest.len());
    let mut counts = Vec::with_capacity(shortest.len() * lists.len());
    for (life, occurrence) in shortest {
        let before_count = counts.len();
        let found = rests.iter_mut().map_while(|rest| take(rest, *life));
        counts.extend(found);
        if counts.len() == before_count + lists.len() {
            hits.push(SearchHit { life: *life, length: occurrence.length });
        } else {
            counts.truncate(before_count);
        }
    }
    (hits, counts)
}

/// Goes on to a life in a list, and returns its count if it is there.
fn take(rest: &mut &[(LifeId, Occurrence)], life: LifeId) -> Option<u32> {
    // Of one term, and of the rarest, the next is the one.
    if rest.first().is_some_and(|(first, _)| *first < life) {
        let skipped = rest.partition_point(|(other, _)| *other < life);
        *rest = rest.get(skipped..).unwrap_or_default();
    }
    let (_, occurrence) = rest.first().filter(|(first, _)| *first == life)?;
    *rest = rest.get(1..).unwrap_or_default();
    Some(occurrence.count)
}
