//! Writes a text anew, token by token, with the members of every object sorted.
//!
//! In: the calls of `parse::walk`. Out: canonical text, or the ASCII text that NEDB 1.x hashed.
//!
//! Members are written in the order they come in. When they did not come sorted, the object is put
//! in order once it is closed: its members stand in the output as whole slices by then.

use super::lex::Dialect;
use super::number::respell;
use super::parse::Sink;
use super::string::{
    character, code_points, compare_raw, unescape, write_character, write_code_point_ascii,
};
use super::value::duplicate_key;
use crate::error::Result;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Canonical text.
    Canonical,
    /// What 1.x hashed: ASCII, numbers and lone surrogates as they stand.
    Hashed,
}

/// A text that is being written.
pub(super) struct Rewriter {
    dialect: Dialect,
    target: Target,
    out: String,
    /// The objects that are not closed yet, outermost first.
    open: Vec<OpenObject>,
    /// The members written so far of all of them.
    members: Vec<Member>,
    /// Where an object is put in order.
    sorted: String,
}

/// An object that is not closed yet.
struct OpenObject {
    /// Where its first member is in `members`.
    first_member: usize,
    /// Where its text begins in `out`, behind the brace.
    start: usize,
    /// True while its members came sorted.
    in_order: bool,
}

/// A member as it stands in the output.
#[derive(Clone, Copy)]
struct Member {
    /// Where its key begins, the quote included.
    start: usize,
    /// Where the raw key ends, the quote not included.
    key_end: usize,
    /// Where its value ends.
    end: usize,
}

impl Member {
    /// Returns the raw key.
    fn key<'o>(&self, out: &'o str) -> &'o str {
        out.get(self.start + 1..self.key_end).unwrap_or_default()
    }
}

impl Rewriter {
    /// Makes a rewriter that appends to `out`.
    pub(super) fn new(dialect: Dialect, target: Target, out: String) -> Self {
        let (open, members) = (Vec::new(), Vec::with_capacity(16));
        Rewriter { dialect, target, out, open, members, sorted: String::new() }
    }

    /// Returns what was written.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Writes a raw string token, without its quotes, as it stands in the target.
    fn write_raw(&mut self, raw: &str, plain: bool) {
        let out = &mut self.out;
        match self.target {
            Target::Canonical if plain => out.push_str(raw),
            Target::Hashed if plain && raw.is_ascii() => out.push_str(raw),
            Target::Canonical => {
                code_points(raw).for_each(|point| write_character(character(point), out));
            }
            Target::Hashed => code_points(raw).for_each(|point| write_code_point_ascii(point, out)),
        }
    }

    /// Notes that the value of the last member may end here. It is called within a value too, for
    /// the commas of an array: the call that counts is the last one.
    fn end_member(&mut self) {
        if let Some(member) = self.members.last_mut() {
            member.end = self.out.len();
        }
    }

    /// Puts the members of the object just closed in order.
    fn put_in_order(&mut self, object: &OpenObject) -> Result<()> {
        let out = &self.out;
        let members = self.members.get_mut(object.first_member..).unwrap_or_default();
        // Stable: of a key that occurs twice the last stays last.
        members.sort_by(|left, right| compare_raw(left.key(out), right.key(out)));
        self.sorted.clear();
        self.sorted.reserve(out.len() - object.start);
        let mut members = members.iter().peekable();
        while let Some(member) = members.next() {
            let repeated = members.peek().is_some_and(|next| next.key(out) == member.key(out));
            if repeated && self.dialect == Dialect::Strict {
                return Err(duplicate_key(&unescape(member.key(out))));
            }
            if !repeated {
                self.sorted.push_str(if self.sorted.is_empty() { "" } else { "," });
                self.sorted.push_str(out.get(member.start..member.end).unwrap_or_default());
            }
        }
        self.out.truncate(object.start);
        self.out.push_str(&self.sorted);
        Ok(())
    }
}

impl Sink for Rewriter {
    fn begin_object(&mut self) {
        self.out.push('{');
        let (first_member, start) = (self.members.len(), self.out.len());
        self.open.push(OpenObject { first_member, start, in_order: true });
    }

    fn key(&mut self, raw: &str, plain: bool) {
        let start = self.out.len();
        self.out.push('"');
        self.write_raw(raw, plain);
        let member = Member { start, key_end: self.out.len(), end: 0 };
        self.out.push_str("\":");
        if let Some(object) = self.open.last_mut() {
            let earlier = self.members.get(object.first_member..).unwrap_or_default().last();
            object.in_order &= earlier.is_none_or(|earlier| {
                compare_raw(earlier.key(&self.out), member.key(&self.out)).is_lt()
            });
        }
        self.members.push(member);
    }

    fn comma(&mut self) {
        self.end_member();
        self.out.push(',');
    }

    fn end_object(&mut self) -> Result<()> {
        self.end_member();
        let Some(object) = self.open.pop() else { return Ok(()) };
        if !object.in_order {
            self.put_in_order(&object)?;
        }
        self.members.truncate(object.first_member);
        self.out.push('}');
        Ok(())
    }

    fn begin_array(&mut self) {
        self.out.push('[');
    }

    fn end_array(&mut self) {
        self.out.push(']');
    }

    fn string(&mut self, raw: &str, plain: bool) {
        self.out.push('"');
        self.write_raw(raw, plain);
        self.out.push('"');
    }

    fn number(&mut self, token: &str) -> Result<()> {
        match (self.target, self.dialect) {
            (Target::Canonical, Dialect::Strict) => respell(token, &mut self.out)?,
            (Target::Canonical, Dialect::Legacy) => {
                respell(token, &mut self.out).unwrap_or_else(|_| self.out.push_str(token));
            }
            (Target::Hashed, _) => self.out.push_str(token),
        }
        Ok(())
    }

    fn literal(&mut self, token: &'static str) {
        let unspellable = !matches!(token, "true" | "false" | "null");
        let null = unspellable && self.target == Target::Canonical;
        self.out.push_str(if null { "null" } else { token });
    }
}
