//! Members that several bodies have, and the members that say where the log stands.

use crate::init::quoted;
use crate::refusal::{Refusal, Result};
use crate::server::Server;
use nedb_core::{Database, Receipt, Seq};
use serde::Deserialize;
use std::ops::Range;

/// Declares the body of a write: its own members and those that every write may have.
macro_rules! write_body {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $kind,)*
            /// Who writes; `local` when left out.
            pub client: Option<String>,
            /// A number above the client's last; the next when left out.
            #[schema(minimum = 1)]
            pub nonce: Option<i64>,
            /// A key that makes a retry return the result of the first call.
            pub idem: Option<String>,
            /// Seconds from now after which the document is no longer there.
            pub ttl_s: Option<f64>,
            /// Seqs of the ops that caused this one.
            pub caused_by: Option<Vec<i64>>,
            /// What the write rests on.
            pub evidence: Option<String>,
            /// How sure the writer is.
            #[schema(minimum = 0, maximum = 1)]
            pub confidence: Option<f64>,
            /// From when on it is true: an ISO 8601 date or instant.
            pub valid_from: Option<String>,
            /// Until when it is true.
            pub valid_to: Option<String>,
            /// The seq of the version that this write replaces; -1: there must be none.
            #[schema(minimum = -1)]
            pub if_seq: Option<i64>,
        }

        impl $name {
            /// Takes the members that every write may have.
            fn options(&mut self) -> nedb_core::WriteOptions {
                nedb_core::WriteOptions {
                    client: self.client.take(),
                    nonce: self.nonce,
                    idem: self.idem.take(),
                    ttl_seconds: self.ttl_s,
                    caused_by: self.caused_by.take().unwrap_or_default(),
                    evidence: self.evidence.take(),
                    confidence: self.confidence,
                    valid_from: self.valid_from.take(),
                    valid_to: self.valid_to.take(),
                    if_seq: self.if_seq,
                }
            }
        }
    };
}
pub(super) use write_body;

/// A part of a list that is asked for, and the most that is answered at once.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    limit: Option<usize>,
    offset: Option<usize>,
    count_max: usize,
}

impl Part {
    /// Makes the part that a request asks a server for.
    pub fn of(server: &Server, limit: Option<usize>, offset: Option<usize>) -> Part {
        Part { limit, offset, count_max: server.config.limits.rows_count_max }
    }

    /// Returns the places that are looked at: one more than may be answered tells that there are more.
    pub fn places(&self) -> Range<usize> {
        let most = self.count_max.saturating_add(1);
        let first = self.offset.unwrap_or(0);
        first..first.saturating_add(self.limit.unwrap_or(most).min(most))
    }

    /// Checks how many were found at the places.
    ///
    /// Errors: `LIMIT_EXCEEDED`.
    pub fn check(&self, count: usize) -> Result<()> {
        if count <= self.count_max {
            return Ok(());
        }
        Err(Refusal::limit(format!(
            "there are more than {}, which is the most that are answered at once (rows_count_max); use limit and \
             offset",
            self.count_max
        )))
    }
}

/// Returns where the log stands.
pub fn position(database: &Database) -> Result<Receipt> {
    Ok(database.position()?)
}

/// Returns where the log stood after an op.
pub fn position_of(database: &Database, seq: Seq) -> Result<Receipt> {
    #[derive(Deserialize)]
    struct Op<'a> {
        hash: &'a str,
    }
    let now = position(database)?;
    // Nobody wrote in between, or nobody but this op was waited for.
    if now.seq == seq {
        return Ok(now);
    }
    if seq < 0 {
        return Ok(Receipt { seq: -1, hash: nedb_core::ZERO_HASH.to_owned() });
    }
    let text = database.op(seq)?.unwrap_or_default();
    let op: Op<'_> = serde_json::from_str(&text)
        .map_err(|_| nedb_core::Error::integrity(format!("op {seq} has no hash")))?;
    Ok(Receipt { seq, hash: op.hash.to_owned() })
}

/// Returns the seq in a document as the engine hands it out.
pub fn seq_of(document: &str) -> Result<Seq> {
    #[derive(Deserialize)]
    struct Stamped {
        _seq: Seq,
    }
    serde_json::from_str::<Stamped>(document)
        .map(|stamped| stamped._seq)
        .map_err(|_| Refusal::from(nedb_core::Error::integrity("a document has no _seq")))
}

/// Spells a position as the last members of an object.
pub fn position_members(Receipt { seq, hash }: &Receipt) -> String {
    format!(r#""seq":{seq},"head":"{hash}""#)
}

/// Returns the answer of a write that gives nothing back but its place.
pub fn ok(receipt: &Receipt) -> String {
    format!(r#"{{"ok":true,{}}}"#, position_members(receipt))
}

/// Spells texts as a JSON array of strings.
pub fn strings(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nedb_core::{Options, WriteOptions};

    #[test]
    fn a_part_is_bounded_and_sees_whether_there_is_more() {
        let part = |limit, offset| Part { limit, offset, count_max: 3 };
        for (limit, offset, places) in [
            (None, None, 0..4),
            (Some(2), None, 0..2),
            (Some(3), Some(5), 5..8),
            (Some(usize::MAX), Some(1), 1..5),
            (Some(0), Some(usize::MAX), usize::MAX..usize::MAX),
            (None, Some(usize::MAX), usize::MAX..usize::MAX),
        ] {
            assert_eq!(part(limit, offset).places(), places);
        }
        assert!(part(None, None).check(3).is_ok());
        assert!(part(None, None).check(4).is_err());
    }

    #[test]
    fn the_position_of_an_op_is_its_own_also_when_others_came_after() {
        let database = Database::in_memory(Options::default()).unwrap();
        let mut positions = Vec::new();
        for id in ["a", "b", "c"] {
            let stored = database.put("c", id, "{}", &WriteOptions::default()).unwrap();
            positions.push(position_of(&database, seq_of(&stored).unwrap()).unwrap());
        }
        for position in positions {
            assert_eq!(position_of(&database, position.seq).unwrap(), position);
        }
        let last = Receipt { seq: 2, hash: database.head() };
        assert_eq!(position_of(&database, 2).unwrap(), last);
    }
}
