//! Strings as small numbers, in order of first appearance.
//!
//! Invariants:
//! * All texts stand in one string, one after another: a text costs its bytes, four for its end, and
//!   its place in the table.
//! * No text is there twice.

use super::codec::{Malformed, Reader, Writer};
use super::pieces::{Comparison, cost, numbered};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;
use std::ops::Range;

/// Ends are counted from the start of a block of this many texts: as long as no text is longer than a
/// line of the log, they fit 32 bits.
const BLOCK_COUNT: usize = 32;

/// A set of strings, each with its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    text: String,
    /// Where each block of texts starts.
    starts: Vec<usize>,
    /// Where each text ends, counted from the start of its block.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.ends == other.ends
    }
}

impl Names {
    /// Returns a string's number, or None when it is not in the set.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.table.find(hash(text), |number| self.text(*number) == text).copied()
    }

    /// Returns a string's number, and adds it if need be.
    pub fn add(&mut self, text: &str) -> u32 {
        if let Some(number) = self.find(text) {
            return number;
        }
        let number = self.count();
        self.push(text);
        let Names { text: all, starts, ends, table } = self;
        table.insert_unique(hash(text), number, |number| hash(slice(all, starts, ends, *number)));
        number
    }

    /// Returns the string of a number.
    pub fn text(&self, number: u32) -> &str {
        slice(&self.text, &self.starts, &self.ends, number)
    }

    /// Returns how many strings there are.
    pub fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Compares with other strings by number.
    pub fn comparison() -> Comparison<Names> {
        numbered(
            |it: &Names| it.ends.len(),
            |mine, theirs, at| cost(mine.text(at as u32) == theirs.text(at as u32), 0),
        )
    }

    /// Appends all strings: their lengths, then their bytes.
    pub fn encode(&self, out: &mut Writer) {
        out.count(self.ends.len());
        for number in 0..self.count() {
            out.count(self.text(number).len());
        }
        out.text(&self.text);
    }

    /// Reads what `encode` wrote.
    ///
    /// Cost: one copy of the bytes, and one place in the table for each string.
    pub fn decode(input: &mut Reader<'_>) -> Result<Names, Malformed> {
        let count = input.count(1)?;
        let mut names = Names {
            text: String::new(),
            starts: Vec::with_capacity(count.div_ceil(BLOCK_COUNT)),
            ends: Vec::with_capacity(count),
            table: HashTable::with_capacity(count),
        };
        let mut end = 0_usize;
        for _ in 0..count {
            end = end.checked_add(input.size()?).ok_or(Malformed("a text is too long"))?;
            names.push_end(end)?;
        }
        names.text = input.text()?.to_owned();
        if names.text.len() != end {
            return Err(Malformed("texts do not have the length they should have"));
        }
        names.fill_table()?;
        Ok(names)
    }

    /// Notes where the next text ends in the string of all.
    fn push_end(&mut self, end: usize) -> Result<(), Malformed> {
        let count = self.ends.len();
        if count.is_multiple_of(BLOCK_COUNT) {
            let last = self.ends.last().copied().unwrap_or(0) as usize;
            self.starts.push(self.starts.last().map_or(0, |start| start + last));
        }
        let start = self.starts.last().copied().unwrap_or(0);
        let end = u32::try_from(end - start).map_err(|_| Malformed("a text is too long"))?;
        self.ends.push(end);
        Ok(())
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        let is_noted = self.push_end(self.text.len()).is_ok();
        debug_assert!(is_noted, "no text is longer than a line of the log");
    }

    fn fill_table(&mut self) -> Result<(), Malformed> {
        let Names { text: all, starts, ends, table } = self;
        let of = |number: u32| slice(all, starts, ends, number);
        for number in 0..ends.len() as u32 {
            let range = bounds(starts, ends, number).unwrap_or_default();
            let text = all.get(range).ok_or(Malformed("a text is cut within a character"))?;
            match table.entry(hash(text), |other| of(*other) == text, |other| hash(of(*other))) {
                Entry::Vacant(vacant) => vacant.insert(number),
                Entry::Occupied(_) => return Err(Malformed("a text is there twice")),
            };
        }
        Ok(())
    }
}

fn slice<'a>(all: &'a str, starts: &[usize], ends: &[u32], number: u32) -> &'a str {
    bounds(starts, ends, number).and_then(|range| all.get(range)).unwrap_or("")
}

fn bounds(starts: &[usize], ends: &[u32], number: u32) -> Option<Range<usize>> {
    let at = number as usize;
    let block = *starts.get(at / BLOCK_COUNT)?;
    let end = *ends.get(at)? as usize;
    let start = if at.is_multiple_of(BLOCK_COUNT) { 0 } else { *ends.get(at - 1)? as usize };
    Some(block + start..block + end)
}

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many() -> (Names, Vec<String>) {
        let texts: Vec<String> = (0..200).map(|n| "é".repeat(n % 7) + &n.to_string()).collect();
        let mut names = Names::default();
        for (number, text) in texts.iter().enumerate() {
            assert_eq!((names.add(text), names.add(text)), (number as u32, number as u32));
        }
        (names, texts)
    }

    #[test]
    fn every_text_is_found_by_its_number_and_its_number_by_the_text() {
        let (names, texts) = many();
        assert_eq!(names.count(), 200);
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(
                (names.text(number as u32), names.find(text)),
                (&**text, Some(number as u32))
            );
        }
        assert_eq!((names.text(200), names.find("é"), names.find("")), ("", None, None));
    }

    #[test]
    fn names_are_the_same_after_they_were_saved() {
        let (names, texts) = many();
        let mut out = Writer::default();
        names.encode(&mut out);
        let bytes = out.into_bytes();
        let mut loaded = Names::decode(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(loaded, names);
        assert!(texts.iter().all(|text| loaded.find(text) == names.find(text)));
        assert_eq!((loaded.add("new"), loaded.text(200)), (200, "new"));
    }

    #[test]
    fn texts_that_are_there_twice_or_cut_within_a_character_are_refused() {
        for (lengths, text) in [([1, 1], "aa"), ([1, 1], "é"), ([1, 1], "abc"), ([0, 0], "")] {
            let mut out = Writer::default();
            out.count(2);
            lengths.iter().for_each(|length| out.count(*length));
            out.text(text);
            let bytes = out.into_bytes();
            assert!(Names::decode(&mut Reader::new(&bytes)).is_err(), "{lengths:?} {text:?}");
        }
    }
}
