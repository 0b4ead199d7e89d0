//! What makes a retry harmless: the last nonce of each client, and every idempotency key.
//!
//! Invariants:
//! * A client's last nonce never goes down, whatever a log says.
//! * The table of keys holds a hash and a seq; whoever asks confirms the key in the log.

use crate::op::{Nonce, Seq};
use rustc_hash::FxHashMap;
use std::hash::{DefaultHasher, Hasher};

/// The seqs whose keys share a hash: nearly always one.
#[derive(Clone, Debug, PartialEq)]
enum Candidates {
    One(Seq),
    Many(Vec<Seq>),
}

/// Nonces and idempotency keys.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Clients {
    last_nonces: FxHashMap<Box<str>, Nonce>,
    idem: FxHashMap<u64, Candidates>,
}

impl Clients {
    /// Notes a nonce that was used.
    pub fn note_nonce(&mut self, client: &str, nonce: Nonce) {
        match self.last_nonces.get_mut(client) {
            Some(last) if last.is_below(nonce) => *last = nonce,
            Some(_) => {}
            None => {
                self.last_nonces.insert(client.into(), nonce);
            }
        }
    }

    /// Returns the highest nonce seen from a client.
    pub fn last_nonce(&self, client: &str) -> Option<Nonce> {
        self.last_nonces.get(client).copied()
    }

    /// Notes a key that was used.
    pub fn note_idem(&mut self, idem: &str, seq: Seq) {
        match self.idem.entry(idem_hash(idem)) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Candidates::One(seq));
            }
            std::collections::hash_map::Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Candidates::One(first) => {
                    let both = vec![*first, seq];
                    occupied.insert(Candidates::Many(both));
                }
                Candidates::Many(seqs) => seqs.push(seq),
            },
        }
    }

    /// Returns the ops that may carry a key, oldest first.
    pub fn idem_candidates(&self, idem: &str) -> &[Seq] {
        match self.idem.get(&idem_hash(idem)) {
            None => &[],
            Some(Candidates::One(seq)) => std::slice::from_ref(seq),
            Some(Candidates::Many(seqs)) => seqs,
        }
    }
}

/// Hashes a key the same way in every process: SipHash with zero keys.
fn idem_hash(idem: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(idem.as_bytes());
    hasher.finish()
}
