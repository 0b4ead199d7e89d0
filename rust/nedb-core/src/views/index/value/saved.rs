//! An eq or ordered index as bytes: its keys in the order in which they were first seen, each with its
//! postings.
//!
//! Which value a life has now, and the order of the keys, follow from the postings.

use super::{Order, Slot, ValueIndex, hash};
use crate::json::Path;
use crate::op::Seq;
use crate::views::codec::{Malformed, Reader, Writer};
use crate::views::ids::{Life, NO_END};
use crate::views::index::postings::{Ended, Live};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

/// What a saved slot is at least: a key's length, and two counts.
const SLOT_BYTES_MIN: usize = 3;

impl ValueIndex {
    /// Appends the keys and the postings.
    pub fn encode(&self, lives: &[Life], out: &mut Writer) {
        out.count(self.slots.len());
        for slot in &self.slots {
            out.raw(&slot.key);
            slot.live.encode(lives, out);
            slot.ended.encode(lives, out);
        }
    }

    /// Reads what `encode` wrote, of an index on a field of a collection with these lives.
    pub fn decode(
        input: &mut Reader<'_>,
        path: Path,
        is_ordered: bool,
        lives: &[Life],
        last_seq: Seq,
    ) -> Result<ValueIndex, Malformed> {
        let count = input.count(SLOT_BYTES_MIN)?;
        let mut loaded = ValueIndex::new(path, false);
        loaded.slots.reserve_exact(count);
        loaded.current = vec![0; lives.len()];
        for number in 0..count {
            let slot = Slot {
                key: input.raw()?.into(),
                live: Live::decode(input, lives, last_seq)?,
                ended: Ended::decode(input, lives, last_seq)?,
            };
            loaded.note_current(&slot, number as u32 + 1)?;
            loaded.slots.push(slot);
        }
        loaded.check_that_all_are_there(lives)?;
        loaded.fill_table()?;
        loaded.order = is_ordered.then(|| Order::of(&loaded.slots));
        Ok(loaded)
    }

    fn note_current(&mut self, slot: &Slot, mark: u32) -> Result<(), Malformed> {
        for (life, _) in slot.live.iter() {
            let place = self.current.get_mut(life as usize).filter(|place| **place == 0);
            *place.ok_or(Malformed("a document has two values in one field"))? = mark;
        }
        Ok(())
    }

    /// A document without the field has a value too, null; one without a value would never be found.
    fn check_that_all_are_there(&self, lives: &[Life]) -> Result<(), Malformed> {
        let is_missing = |(life, mark): (&Life, &u32)| life.end_seq == NO_END && *mark == 0;
        if lives.iter().zip(&self.current).any(is_missing) {
            return Err(Malformed("an index lacks a document"));
        }
        Ok(())
    }

    fn fill_table(&mut self) -> Result<(), Malformed> {
        let ValueIndex { slots, by_key, .. } = self;
        *by_key = HashTable::with_capacity(slots.len());
        let key_of = |slot: u32| slots.get(slot as usize).map_or(&[][..], |slot| &slot.key);
        for (number, slot) in slots.iter().enumerate() {
            let is_same = |other: &u32| *key_of(*other) == *slot.key;
            match by_key.entry(hash(&slot.key), is_same, |other| hash(key_of(*other))) {
                Entry::Vacant(vacant) => vacant.insert(number as u32),
                Entry::Occupied(_) => return Err(Malformed("an index has a key twice")),
            };
        }
        Ok(())
    }
}

impl Order {
    fn of(slots: &[Slot]) -> Order {
        let with = |has: fn(&Slot) -> bool| {
            let found = slots.iter().enumerate().filter(move |(_, slot)| has(slot));
            found.map(|(number, slot)| (Arc::clone(&slot.key), number as u32)).collect()
        };
        Order {
            live: with(|slot| slot.live.count() > 0),
            ended: with(|slot| slot.ended.count() > 0),
        }
    }
}
