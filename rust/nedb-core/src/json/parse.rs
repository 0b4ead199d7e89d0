//! Any JSON text, walked token by token.
//!
//! In: a text and a [`Dialect`]. Out: calls of a [`Sink`], in the order of the text; or what is
//! wrong and where.
//!
//! Invariants:
//! * A text is walked in one pass without recursion: its depth costs no stack.
//! * A sink is only told of well-formed tokens, with every object and array closed in its turn.

use super::lex::{Dialect, Fault, blank_run, number_token, string_token};
use crate::error::{Error, Result};
use crate::limits::LEGACY_NESTING_DEPTH_MAX;

/// What is told of each token of a text.
pub(super) trait Sink {
    /// An object begins.
    fn begin_object(&mut self);
    /// The key of a member: the raw text between its quotes, and whether it is canonical as it is.
    fn key(&mut self, raw: &str, plain: bool);
    /// A comma stands between two members, or two elements.
    fn comma(&mut self);
    /// The object ends.
    fn end_object(&mut self) -> Result<()>;
    /// An array begins.
    fn begin_array(&mut self);
    /// The array ends.
    fn end_array(&mut self);
    /// A string: the raw text between its quotes, and whether it is canonical as it is.
    fn string(&mut self, raw: &str, plain: bool);
    /// A number token.
    fn number(&mut self, token: &str) -> Result<()>;
    /// `true`, `false` or `null`; in the legacy dialect also `NaN`, `Infinity` and `-Infinity`.
    fn literal(&mut self, token: &'static str);
}

/// Walks a whole text.
///
/// Errors: `InvalidArgument`, with the byte where the text is not well-formed or holds what the sink
/// refuses; `LimitExceeded` where it is nested deeper than `depth_max`, which is at most
/// `LEGACY_NESTING_DEPTH_MAX`.
pub(super) fn walk(
    text: &str,
    dialect: Dialect,
    depth_max: usize,
    sink: &mut impl Sink,
) -> Result<()> {
    let depth_max = depth_max.min(LEGACY_NESTING_DEPTH_MAX);
    let mut walker = Walker { text, at: 0, dialect, open: Nesting::default(), depth_max };
    let mut expected = Expected::Value;
    loop {
        walker.skip_blanks();
        expected = match expected {
            Expected::Value => walker.value(sink)?,
            Expected::FirstMember => walker.first_member(sink)?,
            Expected::FirstElement => walker.first_element(sink)?,
            Expected::Key => walker.key(sink)?,
            Expected::Next => match walker.next(sink)? {
                Some(expected) => expected,
                None => return Ok(()),
            },
        };
    }
}

/// What may come next in a text.
#[derive(Clone, Copy)]
enum Expected {
    /// A value.
    Value,
    /// A key, or the end of an object that has no member yet.
    FirstMember,
    /// A value, or the end of an array that has no element yet.
    FirstElement,
    /// A key.
    Key,
    /// What follows a value: a comma, the end of what it stands in, or of the text.
    Next,
}

/// What a place in a text may stand in.
#[derive(Clone, Copy)]
enum Container {
    Object,
    Array,
}

/// Bits of a word of [`Nesting`].
const WORD_BITS: usize = u64::BITS as usize;

/// What stands open around a place in a text: a bit for each, set for an object, so that the
/// deepest text takes no allocation.
#[derive(Default)]
struct Nesting {
    words: [u64; LEGACY_NESTING_DEPTH_MAX.div_ceil(WORD_BITS)],
    depth: usize,
}

impl Nesting {
    /// Goes into a container; the depth is below `LEGACY_NESTING_DEPTH_MAX`.
    fn push(&mut self, container: Container) {
        let bit = 1 << (self.depth % WORD_BITS);
        if let Some(word) = self.words.get_mut(self.depth / WORD_BITS) {
            match container {
                Container::Object => *word |= bit,
                Container::Array => *word &= !bit,
            }
        }
        self.depth += 1;
    }

    /// Leaves the innermost container.
    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Returns the innermost container.
    fn last(&self) -> Option<Container> {
        let place = self.depth.checked_sub(1)?;
        let word = self.words.get(place / WORD_BITS)?;
        let object = word >> (place % WORD_BITS) & 1 == 1;
        Some(if object { Container::Object } else { Container::Array })
    }
}

/// A place in a text.
struct Walker<'t> {
    text: &'t str,
    at: usize,
    dialect: Dialect,
    open: Nesting,
    depth_max: usize,
}

impl<'t> Walker<'t> {
    /// Reads a value, or the beginning of one.
    fn value(&mut self, sink: &mut impl Sink) -> Result<Expected> {
        match self.rest() {
            [b'{', ..] => {
                self.enter(Container::Object)?;
                sink.begin_object();
                return Ok(Expected::FirstMember);
            }
            [b'[', ..] => {
                self.enter(Container::Array)?;
                sink.begin_array();
                return Ok(Expected::FirstElement);
            }
            [b'"', ..] => {
                let (raw, plain) = self.string_token()?;
                sink.string(raw, plain);
            }
            [b'-' | b'0'..=b'9', ..] if !self.rest().starts_with(b"-I") => self.number(sink)?,
            _ => self.literal(sink)?,
        }
        Ok(Expected::Next)
    }

    /// Reads the first member's key, or the end of an empty object.
    fn first_member(&mut self, sink: &mut impl Sink) -> Result<Expected> {
        if let [b'}', ..] = self.rest() { self.end_object(sink) } else { self.key(sink) }
    }

    /// Reads the first element, or the end of an empty array.
    fn first_element(&mut self, sink: &mut impl Sink) -> Result<Expected> {
        if let [b']', ..] = self.rest() { Ok(self.end_array(sink)) } else { self.value(sink) }
    }

    /// Reads a key and its colon.
    fn key(&mut self, sink: &mut impl Sink) -> Result<Expected> {
        let [b'"', ..] = self.rest() else {
            return Err(self.unexpected("a key in quotes"));
        };
        let (raw, plain) = self.string_token()?;
        sink.key(raw, plain);
        self.skip_blanks();
        let [b':', ..] = self.rest() else { return Err(self.unexpected("':'")) };
        self.at += 1;
        Ok(Expected::Value)
    }

    /// Reads what follows a value; None at the end of the text.
    fn next(&mut self, sink: &mut impl Sink) -> Result<Option<Expected>> {
        let expected = match (self.open.last(), self.rest()) {
            (None, []) => return Ok(None),
            (None, _) => return Err(self.unexpected("the end of the text")),
            (Some(Container::Object), [b',', ..]) => {
                self.at += 1;
                sink.comma();
                Expected::Key
            }
            (Some(Container::Array), [b',', ..]) => {
                self.at += 1;
                sink.comma();
                Expected::Value
            }
            (Some(Container::Object), [b'}', ..]) => self.end_object(sink)?,
            (Some(Container::Array), [b']', ..]) => self.end_array(sink),
            (Some(Container::Object), _) => return Err(self.unexpected("',' or '}'")),
            (Some(Container::Array), _) => return Err(self.unexpected("',' or ']'")),
        };
        Ok(Some(expected))
    }

    /// Goes into an object or array.
    fn enter(&mut self, container: Container) -> Result<()> {
        if self.open.depth == self.depth_max {
            return Err(Error::limit(format!(
                "the JSON text is nested more than {} levels deep at byte {}",
                self.depth_max, self.at
            )));
        }
        self.at += 1;
        self.open.push(container);
        Ok(())
    }

    /// Leaves an object.
    fn end_object(&mut self, sink: &mut impl Sink) -> Result<Expected> {
        let end = self.at;
        self.at += 1;
        self.open.pop();
        sink.end_object().map_err(|error| self.refusal(end, error.message()))?;
        Ok(Expected::Next)
    }

    /// Leaves an array.
    fn end_array(&mut self, sink: &mut impl Sink) -> Expected {
        self.at += 1;
        self.open.pop();
        sink.end_array();
        Expected::Next
    }

    /// Reads a string token: what stands between its quotes, and whether that is canonical.
    fn string_token(&mut self) -> Result<(&'t str, bool)> {
        let token = string_token(self.rest(), self.dialect).map_err(|fault| self.fault(&fault))?;
        let start = self.at + 1;
        self.at += token.length_bytes;
        Ok((self.text.get(start..self.at - 1).unwrap_or_default(), token.plain))
    }

    /// Reads a number.
    fn number(&mut self, sink: &mut impl Sink) -> Result<()> {
        let token = number_token(self.rest()).map_err(|fault| self.fault(&fault))?;
        let start = self.at;
        self.at += token.length_bytes;
        let token = self.text.get(start..self.at).unwrap_or_default();
        sink.number(token).map_err(|error| self.refusal(start, error.message()))
    }

    /// Reads a word.
    fn literal(&mut self, sink: &mut impl Sink) -> Result<()> {
        let words = match self.dialect {
            Dialect::Strict => ["true", "false", "null"].as_slice(),
            Dialect::Legacy => &["true", "false", "null", "NaN", "Infinity", "-Infinity"],
        };
        let word = words.iter().find(|word| self.rest().starts_with(word.as_bytes()));
        let word = word.ok_or_else(|| self.unexpected("a value"))?;
        self.at += word.len();
        sink.literal(word);
        Ok(())
    }

    /// Passes over white space.
    fn skip_blanks(&mut self) {
        self.at += blank_run(self.rest());
    }

    /// Returns what is not read yet.
    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Makes the error for a token that may not stand here.
    fn unexpected(&self, expected: &str) -> Error {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let found = found.map_or("the end".to_string(), |found| format!("{found:?}"));
        self.refusal(self.at, &format!("expected {expected}, found {found}"))
    }

    /// Makes the error for a misspelt token.
    fn fault(&self, fault: &Fault) -> Error {
        self.refusal(self.at + fault.offset_bytes, fault.what)
    }

    /// Makes the error for what is wrong at a byte of the text.
    fn refusal(&self, at: usize, what: &str) -> Error {
        Error::invalid(format!("not valid JSON at byte {at}: {what}"))
    }
}
