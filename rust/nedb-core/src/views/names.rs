//! Strings as small numbers, in order of first appearance.

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// A set of strings, each with its number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    texts: Vec<Box<str>>,
    table: HashTable<u32>,
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
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
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        let texts = &self.texts;
        self.table.insert_unique(hash(text), number, |number| {
            hash(texts.get(*number as usize).map_or("", |text| text))
        });
        number
    }

    /// Returns the string of a number.
    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// Returns how many strings there are.
    pub fn count(&self) -> u32 {
        self.texts.len() as u32
    }
}

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}
