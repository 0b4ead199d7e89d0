//! Why a line is not an op of the chain; the members of an object, looked for.

use crate::json::{elements, members};
use crate::op::Seq;

/// Why a line is not an op of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a whole line of either layout: what a crash leaves, or damage.
    NotWellFormed(String),
    /// A line of an encrypted database, in a plain one.
    Encrypted,
    /// A line of a plain database, in an encrypted one.
    Plain,
    /// An envelope that was not sealed as this op of this database.
    NotAuthentic(Seq),
    /// Whole, but its hash is not that of its members.
    WrongHash,
    /// Whole, but not the successor of the line before.
    WrongLink(String),
    /// The next of the chain, but not to be understood: no crash leaves that.
    Unreadable(String),
}

impl Fault {
    /// Says it in a sentence.
    pub fn reason(&self) -> String {
        match self {
            Fault::NotWellFormed(reason) => format!("the line is not well-formed: {reason}"),
            Fault::Encrypted => "the line is encrypted, and the database is not".to_owned(),
            Fault::Plain => "the line is not encrypted, and the database is".to_owned(),
            Fault::NotAuthentic(seq) => format!(
                "the line does not authenticate as op {seq}: it was changed or moved, or ops before it \
                 are missing, or another database sealed it"
            ),
            Fault::WrongHash => "the hash is not that of the op".to_owned(),
            Fault::WrongLink(reason) => format!("the line is not the next of the chain: {reason}"),
            Fault::Unreadable(reason) => format!("the op cannot be understood: {reason}"),
        }
    }

    /// A line that says it is another op than the next.
    pub fn wrong_seq(found: Seq, expected: Seq) -> Fault {
        Fault::WrongLink(format!("it is op {found}, and op {expected} was expected"))
    }

    /// A line that follows another op than the one before it.
    pub fn wrong_prev_hash() -> Fault {
        Fault::WrongLink("its prev_hash is not the hash of the op before".to_owned())
    }

    pub(super) fn form(reason: impl Into<String>) -> Fault {
        Fault::NotWellFormed(reason.into())
    }

    pub(super) fn unreadable(reason: impl Into<String>) -> Fault {
        Fault::Unreadable(reason.into())
    }
}

/// Returns one member of canonical text.
pub(crate) fn member<'t>(object: &'t str, key: &str) -> Option<&'t str> {
    members(object).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Reads a list of seqs; what is no integer is left out.
pub(crate) fn seqs(list: &str) -> Vec<Seq> {
    elements(list).filter_map(|seq| seq.parse().ok()).collect()
}
