//! What makes a retry harmless: the last nonce of each client, and every idempotency key.
//!
//! Invariants:
//! * A client's last nonce never goes down, whatever a log says.
//! * The table of keys holds a hash and a seq; whoever asks confirms the key in the log.

use super::codec::{Malformed, Reader, Writer};
use super::pieces::{Comparison, cost, keyed};
use crate::op::{Nonce, Seq};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

/// The seqs whose keys share a hash: nearly always one.
#[derive(Clone, Debug, PartialEq)]
enum Candidates {
    One(Seq),
    Many(Vec<Seq>),
}

impl Candidates {
    fn as_slice(&self) -> &[Seq] {
        match self {
            Candidates::One(seq) => std::slice::from_ref(seq),
            Candidates::Many(seqs) => seqs,
        }
    }
}

const IS_INTEGER: u8 = 0;
const IS_FRACTION: u8 = 1;
/// A name's length, and a nonce.
const CLIENT_BYTES_MIN: usize = 10;
/// A rise, and a hash.
const KEY_BYTES_MIN: usize = 9;

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
        self.note_idem_hash(idem_hash(idem), seq);
    }

    fn note_idem_hash(&mut self, hash: u64, seq: Seq) {
        match self.idem.entry(hash) {
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
        self.idem.get(&idem_hash(idem)).map_or(&[], Candidates::as_slice)
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons(&self) -> Vec<Comparison<Clients>> {
        let nonces = keyed(
            self.last_nonces.keys().cloned().collect(),
            |it: &Clients| it.last_nonces.len(),
            |mine, theirs, client| {
                cost(mine.last_nonces.get(client) == theirs.last_nonces.get(client), 0)
            },
        );
        let keys = keyed(
            self.idem.keys().copied().collect(),
            |it: &Clients| it.idem.len(),
            |mine, theirs, hash| cost(mine.idem.get(hash) == theirs.idem.get(hash), 0),
        );
        vec![nonces, keys]
    }

    /// Appends the clients by name, then the keys by seq.
    pub fn encode(&self, out: &mut Writer) {
        let mut clients: Vec<(&str, Nonce)> =
            self.last_nonces.iter().map(|(client, nonce)| (&**client, *nonce)).collect();
        clients.sort_unstable_by_key(|(client, _)| *client);
        out.count(clients.len());
        for (client, nonce) in clients {
            out.text(client);
            encode_nonce(nonce, out);
        }
        let keys = self.idem.iter().flat_map(|(hash, candidates)| {
            candidates.as_slice().iter().map(move |seq| (*seq, *hash))
        });
        let mut keys: Vec<(Seq, u64)> = keys.collect();
        keys.sort_unstable();
        out.count(keys.len());
        let mut before = -1;
        for (seq, hash) in keys {
            out.rise(before, seq);
            out.fixed(hash);
            before = seq;
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(input: &mut Reader<'_>, last_seq: Seq) -> Result<Clients, Malformed> {
        let mut loaded = Clients::default();
        for _ in 0..input.count(CLIENT_BYTES_MIN)? {
            let (client, nonce) = (input.text()?, decode_nonce(input)?);
            if loaded.last_nonces.insert(client.into(), nonce).is_some() {
                return Err(Malformed("a client is there twice"));
            }
        }
        let count = input.count(KEY_BYTES_MIN)?;
        loaded.idem.reserve(count);
        let mut before = -1;
        for _ in 0..count {
            let seq = input.rise(before, last_seq)?;
            if seq == before {
                return Err(Malformed("an op has two keys"));
            }
            loaded.note_idem_hash(input.fixed()?, seq);
            before = seq;
        }
        Ok(loaded)
    }
}

fn encode_nonce(nonce: Nonce, out: &mut Writer) {
    match nonce {
        Nonce::Integer(integer) => {
            out.byte(IS_INTEGER);
            out.fixed(integer as u64);
            out.fixed((integer >> 64) as u64);
        }
        Nonce::Fraction(value) => {
            out.byte(IS_FRACTION);
            out.fixed(value.to_bits());
        }
    }
}

fn decode_nonce(input: &mut Reader<'_>) -> Result<Nonce, Malformed> {
    match input.byte()? {
        IS_INTEGER => {
            let (low, high) = (input.fixed()?, input.fixed()?);
            Ok(Nonce::Integer(i128::from(high as i64) << 64 | i128::from(low)))
        }
        IS_FRACTION => match f64::from_bits(input.fixed()?) {
            value if value.is_finite() => Ok(Nonce::Fraction(value)),
            _ => Err(Malformed("a nonce is no number")),
        },
        _ => Err(Malformed("a nonce is of an unknown kind")),
    }
}

/// Hashes a key the same way in every process and in every version: the hashes are saved.
fn idem_hash(idem: &str) -> u64 {
    xxh3_64(idem.as_bytes())
}
