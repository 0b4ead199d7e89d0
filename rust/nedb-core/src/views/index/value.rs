//! Eq and ordered indexes: which lives have a value at a field.
//!
//! In: changes. Out: lives with a value, or with values in a range, in the order of the values.
//!
//! Invariants:
//! * A document without the field is indexed under null, so that the index knows every document.
//! * Values that are equal have one key: 1 and 1.0 are found together.

mod saved;

use super::postings::{Ended, EndedPosting, Live, Posting, compare_part, lives_at};
use super::{At, Change};
use crate::json::{Path, encode_text};
use crate::views::LifeId;
use crate::views::pieces::Cursor;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// What a visitor is handed: a life; it may stop the walk.
pub(crate) type Visitor<'a> = &'a mut dyn FnMut(LifeId) -> ControlFlow<()>;

/// The same with the key of the value.
pub(crate) type KeyVisitor<'a> = &'a mut dyn FnMut(&Arc<[u8]>, LifeId) -> ControlFlow<()>;

/// Bounds on keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range<'a> {
    pub low: Bound<&'a [u8]>,
    pub high: Bound<&'a [u8]>,
    pub is_descending: bool,
}

#[derive(Debug)]
struct Slot {
    key: Arc<[u8]>,
    live: Live<()>,
    ended: Ended<()>,
}

/// An index over the values of one field.
#[derive(Debug)]
pub(crate) struct ValueIndex {
    path: Path,
    slots: Vec<Slot>,
    by_key: HashTable<u32>,
    /// The slot of each life's current value, plus one; 0 for none.
    current: Vec<u32>,
    order: Option<Order>,
    key_buffer: Vec<u8>,
}

/// The keys in order: those that somebody has, and those that somebody had.
#[derive(Debug, Default)]
struct Order {
    live: BTreeMap<Arc<[u8]>, u32>,
    ended: BTreeMap<Arc<[u8]>, u32>,
}

impl ValueIndex {
    /// Makes an empty index, which keeps its keys in order if asked.
    pub fn new(path: Path, is_ordered: bool) -> Self {
        ValueIndex {
            path,
            slots: Vec::new(),
            by_key: HashTable::new(),
            current: Vec::new(),
            order: is_ordered.then(Order::default),
            key_buffer: Vec::new(),
        }
    }

    /// Returns the field.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a change in.
    pub fn apply(&mut self, change: &Change<'_>) {
        let new = change.text.map(|text| {
            let mut key = std::mem::take(&mut self.key_buffer);
            key.clear();
            encode_text(self.path.pick(text).unwrap_or("null"), &mut key);
            let slot = self.find_or_add(&key);
            self.key_buffer = key;
            slot
        });
        let at = change.life as usize;
        if self.current.len() <= at {
            self.current.resize(at + 1, 0);
        }
        let place = self.current.get_mut(at);
        let old = place.map_or(0, |place| std::mem::replace(place, new.map_or(0, |slot| slot + 1)));
        let old = old.checked_sub(1);
        if old == new {
            return;
        }
        if let Some(slot) = old {
            self.end_posting(slot, change);
        }
        if let Some(slot) = new {
            self.begin_posting(slot, change);
        }
    }

    /// Visits the lives that have a value, in order of creation, from one on.
    pub fn visit_equal(
        &self,
        key: &[u8],
        at: At,
        first: LifeId,
        visit: Visitor<'_>,
    ) -> ControlFlow<()> {
        match self.slot_of(key) {
            Some(slot) => slot.visit(at, first, visit),
            None => ControlFlow::Continue(()),
        }
    }

    /// Visits every life that ever had a value up to a seq, in order of creation, each once, from one on.
    pub fn visit_ever_equal(
        &self,
        key: &[u8],
        at: At,
        first: LifeId,
        visit: Visitor<'_>,
    ) -> ControlFlow<()> {
        let Some(slot) = self.slot_of(key) else { return ControlFlow::Continue(()) };
        let live = slot.live.iter_from(first).filter(|(_, posting)| posting.first_seq <= at.seq);
        let is_one = |it: &&EndedPosting<()>| it.first_seq <= at.seq && it.life >= first;
        let ended = slot.ended.as_slice().iter().filter(is_one);
        let mut lives: Vec<LifeId> =
            live.map(|(life, _)| life).chain(ended.map(|posting| posting.life)).collect();
        lives.sort_unstable();
        lives.dedup();
        lives.into_iter().try_for_each(visit)
    }

    /// Returns at most how many lives `visit_equal` would visit.
    pub fn count_equal_max(&self, key: &[u8], at: At) -> usize {
        self.slot_of(key)
            .map_or(0, |slot| slot.live.count() + if at.is_head { 0 } else { slot.ended.count() })
    }

    /// Visits the lives whose value is in a range, in the order of the values, equal ones in order of
    /// creation; of one value from a life on. Nothing is visited when the index keeps no order.
    pub fn visit_range(
        &self,
        range: &Range<'_>,
        resumed: Option<(&[u8], LifeId)>,
        at: At,
        visit: KeyVisitor<'_>,
    ) -> ControlFlow<()> {
        let Some(order) = &self.order else { return ControlFlow::Continue(()) };
        if is_empty(range) {
            return ControlFlow::Continue(());
        }
        let live = slots_in(&order.live, range);
        if at.is_head {
            return live
                .map(|(_, slot)| slot)
                .try_for_each(|slot| self.visit_slot(slot, resumed, at, visit));
        }
        let merged = Merged {
            left: live.peekable(),
            right: slots_in(&order.ended, range).peekable(),
            is_descending: range.is_descending,
        };
        let mut merged = merged;
        merged.try_for_each(|slot| self.visit_slot(slot, resumed, at, visit))
    }

    /// Returns how many values anybody has, or ever had.
    pub fn key_count(&self) -> usize {
        self.slots.len()
    }

    /// Compares the postings of a value with those in another index, which may have come upon values in another
    /// order, as `compare_part` does.
    pub fn compare(&self, other: &ValueIndex, number: usize, cursor: &mut Cursor) -> Option<usize> {
        let mine = self.slots.get(number)?;
        let theirs = other.slots.get(other.find(&mine.key)? as usize)?;
        compare_part((&mine.live, &mine.ended), (&theirs.live, &theirs.ended), cursor)
    }

    fn visit_slot(
        &self,
        slot: u32,
        resumed: Option<(&[u8], LifeId)>,
        at: At,
        visit: KeyVisitor<'_>,
    ) -> ControlFlow<()> {
        let Some(slot) = self.slots.get(slot as usize) else { return ControlFlow::Continue(()) };
        let first = match resumed {
            Some((key, first)) if *slot.key == *key => first,
            _ => 0,
        };
        slot.visit(at, first, &mut |life| visit(&slot.key, life))
    }

    fn slot_of(&self, key: &[u8]) -> Option<&Slot> {
        self.slots.get(self.find(key)? as usize)
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let is_key =
            |slot: &u32| self.slots.get(*slot as usize).is_some_and(|slot| *slot.key == *key);
        self.by_key.find(hash(key), is_key).copied()
    }

    fn find_or_add(&mut self, key: &[u8]) -> u32 {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let number = self.slots.len() as u32;
        self.slots.push(Slot { key: key.into(), live: Live::None, ended: Ended::default() });
        let slots = &self.slots;
        self.by_key.insert_unique(hash(key), number, |slot| {
            slots.get(*slot as usize).map_or(0, |slot| hash(&slot.key))
        });
        number
    }

    fn begin_posting(&mut self, number: u32, change: &Change<'_>) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        let is_first = slot.live.count() == 0;
        slot.live.insert(change.life, Posting { first_seq: change.seq, payload: () });
        if let Some(order) = self.order.as_mut().filter(|_| is_first) {
            order.live.insert(Arc::clone(&slot.key), number);
        }
    }

    fn end_posting(&mut self, number: u32, change: &Change<'_>) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        let Some(posting) = slot.live.remove(change.life) else { return };
        let is_first = slot.ended.count() == 0;
        slot.ended.push(EndedPosting {
            life: change.life,
            first_seq: posting.first_seq,
            last_seq: change.seq - 1,
            payload: (),
        });
        if let Some(order) = &mut self.order {
            if is_first {
                order.ended.insert(Arc::clone(&slot.key), number);
            }
            if slot.live.count() == 0 {
                order.live.remove(&slot.key);
            }
        }
    }
}

impl Slot {
    fn visit(&self, at: At, first: LifeId, visit: Visitor<'_>) -> ControlFlow<()> {
        if at.is_head {
            return self.live.iter_from(first).map(|(life, _)| life).try_for_each(visit);
        }
        if self.ended.count() == 0 {
            // Nothing ended: the lives come in order as they are, and the walk may stop early.
            let begun =
                self.live.iter_from(first).filter(|(_, posting)| posting.first_seq <= at.seq);
            return begun.map(|(life, _)| life).try_for_each(visit);
        }
        lives_at(&self.live, &self.ended, at.seq)
            .into_iter()
            .map(|(life, ())| life)
            .filter(|life| *life >= first)
            .try_for_each(visit)
    }
}

type Slots<'a> = Box<dyn Iterator<Item = (&'a Arc<[u8]>, u32)> + 'a>;

fn slots_in<'a>(keys: &'a BTreeMap<Arc<[u8]>, u32>, range: &Range<'a>) -> Slots<'a> {
    let found = keys.range::<[u8], _>((range.low, range.high)).map(|(key, slot)| (key, *slot));
    if range.is_descending { Box::new(found.rev()) } else { Box::new(found) }
}

/// Tells whether a range holds nothing; a map refuses some of those with a panic.
fn is_empty(range: &Range<'_>) -> bool {
    match (range.low, range.high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
        _ => false,
    }
}

/// Two walks over keys in one order as one, a key that both have once.
struct Merged<'a> {
    left: std::iter::Peekable<Slots<'a>>,
    right: std::iter::Peekable<Slots<'a>>,
    is_descending: bool,
}

impl Iterator for Merged<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let order = match (self.left.peek(), self.right.peek()) {
            (Some((left, _)), Some((right, _))) if self.is_descending => right.cmp(left),
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        if order.is_eq() {
            self.right.next();
        }
        let from = if order.is_gt() { &mut self.right } else { &mut self.left };
        from.next().map(|(_, slot)| slot)
    }
}

fn hash(key: &[u8]) -> u64 {
    FxBuildHasher.hash_one(key)
}
