//! Is a text canonical? The hot path of every put, so one pass that allocates nothing.
//!
//! In: any text. Out: yes or no, and, where that is wanted, where the members stand. What is wrong with
//! a text is told by `parse`, which is asked when the answer is no.
//!
//! Invariants:
//! * Recursion goes as deep as the caller allows, which is `LEGACY_NESTING_DEPTH_MAX` at the most
//!   and costs a fraction of a small stack.

use super::lex::{number_token, plain_run};
use super::number::is_canonical_number;
use super::string::compare_raw;

/// Tells whether a text is canonical and nested no deeper than `depth_max`.
pub(super) fn is_canonical_within(text: &str, depth_max: usize) -> bool {
    let mut checker = Checker { text, at: 0, depth_max, notes: () };
    checker.value(depth_max) && checker.at == text.len()
}

/// Tells whether a text is canonical as `is_canonical_within` does, and puts into `members` those of
/// its object, each after those of the object that is its value.
pub(super) fn outline_within<'t>(
    text: &'t str,
    depth_max: usize,
    members: &mut Vec<OutlinedMember<'t>>,
) -> bool {
    members.clear();
    let mut checker = Checker { text, at: 0, depth_max, notes: members };
    checker.value(depth_max) && checker.at == text.len()
}

/// A member of an object, or of an object that is the value of one of its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutlinedMember<'t> {
    /// The raw key, without its quotes.
    pub key: &'t str,
    /// The raw value.
    pub value: &'t str,
    /// Whether it is a member of a value.
    pub is_inner: bool,
}

/// What is done with the members that were passed over.
trait Notes<'t> {
    /// How deep the objects are whose members are noted; 0: none.
    const DEPTH: usize;
    fn note(&mut self, member: OutlinedMember<'t>);
}

impl<'t> Notes<'t> for () {
    const DEPTH: usize = 0;
    fn note(&mut self, _member: OutlinedMember<'t>) {}
}

impl<'t> Notes<'t> for &mut Vec<OutlinedMember<'t>> {
    const DEPTH: usize = 2;
    fn note(&mut self, member: OutlinedMember<'t>) {
        self.push(member);
    }
}

/// A place in a text, up to which it is canonical.
struct Checker<'t, N> {
    text: &'t str,
    at: usize,
    depth_max: usize,
    notes: N,
}

impl<'t, N: Notes<'t>> Checker<'t, N> {
    /// Passes over a value.
    fn value(&mut self, depth_left: usize) -> bool {
        match self.peek() {
            Some(b'"') => self.string().is_some(),
            Some(b'{') if depth_left > 0 => self.object(depth_left - 1),
            Some(b'[') if depth_left > 0 => self.array(depth_left - 1),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => false,
        }
    }

    /// Passes over an object whose keys ascend.
    fn object(&mut self, depth_left: usize) -> bool {
        self.at += 1;
        if self.passes(b'}') {
            return true;
        }
        let mut earlier: Option<&str> = None;
        loop {
            if self.peek() != Some(b'"') {
                return false;
            }
            let Some(key) = self.string() else { return false };
            if earlier.is_some_and(|earlier| compare_raw(earlier, key).is_ge()) {
                return false;
            }
            earlier = Some(key);
            let value_start = self.at + 1;
            if !(self.passes(b':') && self.value(depth_left)) {
                return false;
            }
            let depth = self.depth_max - depth_left;
            if depth <= N::DEPTH {
                let value = self.text.get(value_start..self.at).unwrap_or_default();
                self.notes.note(OutlinedMember { key, value, is_inner: depth > 1 });
            }
            match self.take() {
                Some(b',') => {}
                end => return end == Some(b'}'),
            }
        }
    }

    /// Passes over an array.
    fn array(&mut self, depth_left: usize) -> bool {
        self.at += 1;
        if self.passes(b']') {
            return true;
        }
        while self.value(depth_left) {
            match self.take() {
                Some(b',') => {}
                end => return end == Some(b']'),
            }
        }
        false
    }

    /// Passes over a string and returns it raw, or None when it is not canonical.
    fn string(&mut self) -> Option<&'t str> {
        let start = self.at + 1;
        self.at = start;
        loop {
            self.at += plain_run(self.rest());
            match self.rest() {
                [b'"', ..] => break,
                [b'\\', escape @ ..] => self.at += canonical_escape_length(escape)?,
                _ => return None,
            }
        }
        let raw = self.text.get(start..self.at);
        self.at += 1;
        raw
    }

    /// Passes over a number.
    fn number(&mut self) -> bool {
        let Ok(shape) = number_token(self.rest()) else { return false };
        let start = self.at;
        self.at += shape.length_bytes;
        self.text.get(start..self.at).is_some_and(|token| is_canonical_number(token, &shape))
    }

    /// Passes over a word.
    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word.as_bytes());
        self.at += word.len();
        found
    }

    /// Passes over `byte` if it comes next.
    #[inline]
    fn passes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Passes over the next byte and returns it.
    #[inline]
    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Returns the next byte.
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns what is not passed yet.
    #[inline]
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// Measures an escape, its `\` included, that canonical text may hold.
fn canonical_escape_length(escape: &[u8]) -> Option<usize> {
    match escape {
        [b'"' | b'\\' | b'n' | b'r' | b't' | b'b' | b'f', ..] => Some(2),
        [b'u', b'0', b'0', b'7', b'f', ..] => Some(6),
        // The controls that have an escape of their own are spelt with that.
        [b'u', b'0', b'0', b'0', b'8' | b'9' | b'a' | b'c' | b'd', ..] => None,
        [b'u', b'0', b'0', b'0' | b'1', b'0'..=b'9' | b'a'..=b'f', ..] => Some(6),
        _ => None,
    }
}
