//! One op: the closed list of everything that can happen to a database.
//!
//! In: a request that was admitted, or a decoded line of the log. Out: what `fold` turns into views.
//! Both build the same [`Op`], so that replaying a log and writing it cannot differ.
//!
//! Invariants:
//! * An op is immutable; it borrows its texts from the request or from the line.
//! * Every op but a transaction has exactly one item, with item number 0.

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::instant::Instant;
use std::borrow::Cow;

/// A position in the log: 0 for the first op, -1 where there is none.
pub type Seq = i64;

/// One accepted mutation.
#[derive(Debug, PartialEq)]
pub(crate) struct Op<'a> {
    pub seq: Seq,
    pub client: Cow<'a, str>,
    pub nonce: Nonce,
    pub idem: Option<Cow<'a, str>>,
    pub items: Items<'a>,
}

impl Op<'_> {
    /// Makes the op independent of the texts that it borrows.
    pub fn into_owned(self) -> Op<'static> {
        let items = match self.items {
            Items::One(item) => Items::One(item.into_owned()),
            Items::Many(items) => Items::Many(items.into_iter().map(Item::into_owned).collect()),
        };
        Op {
            seq: self.seq,
            client: owned(self.client),
            nonce: self.nonce,
            idem: self.idem.map(owned),
            items,
        }
    }
}

impl Item<'_> {
    fn into_owned(self) -> Item<'static> {
        let kind = match self.kind {
            OpKind::Put(put) => OpKind::Put(Put {
                collection: owned(put.collection),
                id: owned(put.id),
                text: owned(put.text),
                place: put.place,
                valid_from: put.valid_from,
                valid_to: put.valid_to,
                expires_at: put.expires_at,
            }),
            OpKind::Delete { collection, id } => {
                OpKind::Delete { collection: owned(collection), id: owned(id) }
            }
            OpKind::Link { from, relation, to } => {
                OpKind::Link { from: owned(from), relation: owned(relation), to: owned(to) }
            }
            OpKind::Unlink { from, relation, to } => {
                OpKind::Unlink { from: owned(from), relation: owned(relation), to: owned(to) }
            }
            OpKind::PutFile(put) => OpKind::PutFile(PutFile { name: owned(put.name), ..put }),
            OpKind::Checkpoint { note, views } => {
                OpKind::Checkpoint { note: owned(note), views: views.map(owned) }
            }
            OpKind::Repair(repair) => OpKind::Repair(Repair {
                damaged_file: owned(repair.damaged_file),
                reason: owned(repair.reason),
                ..repair
            }),
            OpKind::Encrypt { plain_op_count } => OpKind::Encrypt { plain_op_count },
            OpKind::Unknown => OpKind::Unknown,
        };
        Item { kind, caused_by: Cow::Owned(self.caused_by.into_owned()) }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// What an op does: one thing, or, in a transaction, several.
#[derive(Debug, PartialEq)]
pub(crate) enum Items<'a> {
    One(Item<'a>),
    Many(Vec<Item<'a>>),
}

impl<'a> Items<'a> {
    /// Makes the one item of an op that nothing caused.
    pub fn of(kind: OpKind<'a>) -> Items<'a> {
        Items::One(Item { kind, caused_by: Cow::Borrowed(&[]) })
    }

    /// Returns the items in order; their numbers are their places in it.
    pub fn as_slice(&self) -> &[Item<'a>] {
        match self {
            Items::One(item) => std::slice::from_ref(item),
            Items::Many(items) => items,
        }
    }

    /// Returns the name of the op's kind in the log; None for a kind that this version does not know.
    pub fn kind_name(&self) -> Option<&'static str> {
        match self {
            Items::One(item) => item.kind.name(),
            Items::Many(_) => Some(kind::TRANSACTION),
        }
    }
}

/// One thing that an op does, and what caused it.
#[derive(Debug, PartialEq)]
pub(crate) struct Item<'a> {
    pub kind: OpKind<'a>,
    pub caused_by: Cow<'a, [Seq]>,
}

/// How strongly a file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Quickly: for what is written and read often.
    #[default]
    Warm,
    /// As much as possible, which takes its time: for what is kept.
    Cold,
}

impl Tier {
    /// Reads `"warm"` or `"cold"`.
    ///
    /// Errors: `InvalidArgument`.
    pub fn parse(text: &str) -> Result<Tier> {
        match text {
            "warm" => Ok(Tier::Warm),
            "cold" => Ok(Tier::Cold),
            _ => Err(Error::invalid(format!("a tier is \"warm\" or \"cold\", not {text:?}"))),
        }
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Warm => "warm",
            Tier::Cold => "cold",
        }
    }
}

/// The closed list of what can happen.
#[derive(Debug, PartialEq)]
pub(crate) enum OpKind<'a> {
    /// A document gets a new version.
    Put(Put<'a>),
    /// A document ends, or an absent one is said to be absent.
    Delete { collection: Cow<'a, str>, id: Cow<'a, str> },
    /// An edge begins.
    Link { from: Cow<'a, str>, relation: Cow<'a, str>, to: Cow<'a, str> },
    /// An edge ends.
    Unlink { from: Cow<'a, str>, relation: Cow<'a, str>, to: Cow<'a, str> },
    /// A file gets a new version; its bytes are elsewhere.
    PutFile(PutFile<'a>),
    /// A mark in the log, and the hash of the file that the views before it were saved in.
    Checkpoint { note: Cow<'a, str>, views: Option<Cow<'a, str>> },
    /// What a repair did to the log before it.
    Repair(Repair<'a>),
    /// That the ops before it stood in a plain log.
    Encrypt { plain_op_count: u64 },
    /// A kind that this version does not know: kept, chained and verified, without effect.
    Unknown,
}

impl OpKind<'_> {
    /// Returns its name in the log; None for a kind that this version does not know.
    pub fn name(&self) -> Option<&'static str> {
        Some(match self {
            OpKind::Put(_) => kind::PUT,
            OpKind::Delete { .. } => kind::DELETE,
            OpKind::Link { .. } => kind::LINK,
            OpKind::Unlink { .. } => kind::UNLINK,
            OpKind::PutFile(_) => kind::PUT_FILE,
            OpKind::Checkpoint { .. } => kind::CHECKPOINT,
            OpKind::Repair(_) => kind::REPAIR,
            OpKind::Encrypt { .. } => kind::ENCRYPT,
            OpKind::Unknown => return None,
        })
    }
}

/// A new version of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct PutFile<'a> {
    pub name: Cow<'a, str>,
    pub version: u64,
    pub tier: Tier,
    /// The root of the tree over its chunks.
    pub root: Hash,
    /// Where its chunks are listed; None for a file of NEDB 1.x, whose bytes are in `snapshot.json`.
    pub content: Option<FileContent>,
}

/// What NEDB 1.x did not say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileContent {
    pub size_bytes: u64,
    /// The leaf of the chunk that lists the chunks.
    pub manifest: Hash,
}

/// What a repair did to a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repair<'a> {
    /// How many bytes it took off.
    pub cut_bytes: u64,
    /// The name of the file that keeps the damaged log.
    pub damaged_file: Cow<'a, str>,
    /// Where the first op stood that did not hold.
    pub offset_bytes: u64,
    /// What was wrong with it.
    pub reason: Cow<'a, str>,
    /// What `LOCK` said was synced, where it said so.
    pub synced_bytes: Option<u64>,
    /// What it kept of the ops from there on, where it kept any.
    pub carried: Option<Carried>,
}

/// Ops that a repair kept, with new seqs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    pub op_count: u64,
    /// The seqs that they had, as ranges from a first to a last; as many as an op may name.
    pub old_seqs: Vec<(Seq, Seq)>,
    /// How many of their causes could not be told any more.
    pub lost_cause_count: u64,
}

/// A new version of a document.
#[derive(Debug, PartialEq)]
pub(crate) struct Put<'a> {
    pub collection: Cow<'a, str>,
    pub id: Cow<'a, str>,
    /// The stored text: canonical, with `_id`, without `_seq`.
    pub text: Cow<'a, str>,
    /// Where the text stands in its line.
    pub place: TextPlace,
    pub valid_from: Option<Instant>,
    pub valid_to: Option<Instant>,
    /// Seconds since 1970 from which HEAD reads no longer see it.
    pub expires_at: Option<f64>,
}

/// Where a document's text stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextPlace {
    /// First byte, counted from the start of the line.
    pub start: u32,
    /// Length in bytes; 0 means that the line is of NEDB 1.x and the text must be made from it.
    pub bytes: u32,
}

impl TextPlace {
    /// The text is not a slice of its line.
    pub const LEGACY: TextPlace = TextPlace { start: 0, bytes: 0 };
}

/// A nonce as it stands in a log. Ours are integers up to 2^63 - 1; NEDB 1.x wrote any number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Nonce {
    Integer(i128),
    Fraction(f64),
}

impl Nonce {
    /// Reads a number token; a token that is no number counts as 0.
    pub fn parse(token: &str) -> Nonce {
        match token.parse::<i128>() {
            Ok(integer) => Nonce::Integer(integer),
            Err(_) => match token.parse::<f64>() {
                // Beyond every double it is still above, or below, every other.
                Ok(value) if !value.is_nan() => Nonce::Fraction(value.clamp(f64::MIN, f64::MAX)),
                _ => Nonce::Integer(0),
            },
        }
    }

    /// Returns the smallest integer above this nonce.
    pub fn next(self) -> i128 {
        match self {
            Nonce::Integer(integer) => integer.saturating_add(1),
            // The cast saturates, so a huge double leaves no nonce below the limit.
            Nonce::Fraction(value) => (value.floor() as i128).saturating_add(1),
        }
    }

    /// Tells whether `other` is above this nonce.
    pub fn is_below(self, other: Nonce) -> bool {
        match (self, other) {
            (Nonce::Integer(left), Nonce::Integer(right)) => left < right,
            (Nonce::Integer(left), Nonce::Fraction(right)) => (left as f64) < right,
            (Nonce::Fraction(left), Nonce::Integer(right)) => left < right as f64,
            (Nonce::Fraction(left), Nonce::Fraction(right)) => left < right,
        }
    }
}

/// The names of kinds of ops in the log.
pub(crate) mod kind {
    pub const PUT: &str = "put";
    pub const DELETE: &str = "delete";
    pub const LINK: &str = "link";
    pub const UNLINK: &str = "unlink";
    pub const PUT_FILE: &str = "put_file";
    pub const CHECKPOINT: &str = "checkpoint";
    pub const REPAIR: &str = "repair";
    pub const ENCRYPT: &str = "encrypt";
    pub const TRANSACTION: &str = "tx";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_beyond_every_double_leaves_none_above_it() {
        let huge = Nonce::parse(&format!("1{}", "0".repeat(400)));
        assert!(Nonce::Integer(i64::MAX.into()).is_below(huge));
        assert!(!huge.is_below(Nonce::Integer(i64::MAX.into())));
        assert!(huge.next() > i64::MAX.into());
        let tiny = Nonce::parse(&format!("-1{}", "0".repeat(400)));
        assert!(tiny.is_below(Nonce::Integer(1)) && tiny.next() < 1);
        assert_eq!(Nonce::parse("NaN"), Nonce::Integer(0));
    }
}
