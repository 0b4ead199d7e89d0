//! Under which key and nonce something is sealed.
//!
//! Whoever begins to write draws a session: 16 random bytes, and from them and the data key a key of its
//! own. Nonces count from 0 within a session.
//!
//! Invariants:
//! * No pair of key and nonce is used twice: sessions do not repeat (16 random bytes), a counter never goes
//!   back, and after `SEALS_PER_SESSION_MAX` seals a new session begins. Neither depends on anything that is
//!   read from the disk, so that neither a cut tail nor a restored copy brings one back.
//! * A process seals in sessions that it drew itself: a fork draws its own.

use super::cipher::{Cipher, NONCE_BYTES, derive};
use super::keys::DataKey;
use super::random::Randomness;
use crate::error::Result;
use crate::limits::{SEALS_PER_SESSION_MAX, SESSION_KEYS_COUNT_MAX};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What a session is called: it stands before everything that was sealed in it.
pub(super) type SessionId = [u8; SESSION_ID_BYTES];
/// Bytes of a session's id.
pub(super) const SESSION_ID_BYTES: usize = 16;

const SESSION_INFO: &[u8] = b"nedb-session";

/// The sessions of one database: the one that it writes in, and those that it reads.
pub(super) struct Sessions {
    data_key: DataKey,
    random: Arc<dyn Randomness>,
    process_id: fn() -> u32,
    writing: Mutex<Option<Writing>>,
    known: RwLock<FxHashMap<SessionId, Arc<Cipher>>>,
}

/// The session that is written in.
struct Writing {
    id: SessionId,
    cipher: Arc<Cipher>,
    next_counter: u64,
    /// The process that drew it.
    process_id: u32,
}

/// A session's key, and a nonce of it that nobody else gets.
pub(super) struct Seal {
    pub id: SessionId,
    pub counter: u64,
    pub cipher: Arc<Cipher>,
}

impl Sessions {
    /// Makes the sessions of a database, none of which is drawn yet.
    pub fn new(data_key: DataKey, random: Arc<dyn Randomness>, process_id: fn() -> u32) -> Self {
        let (writing, known) = (Mutex::new(None), RwLock::new(FxHashMap::default()));
        Sessions { data_key, random, process_id, writing, known }
    }

    /// Returns the key and the nonce of the next seal.
    ///
    /// Errors: `StorageError` when there is no randomness for a new session.
    pub fn next_seal(&self) -> Result<Seal> {
        let mut writing = self.writing.lock();
        let process_id = (self.process_id)();
        let is_usable = |it: &&mut Writing| {
            it.next_counter < SEALS_PER_SESSION_MAX && it.process_id == process_id
        };
        let session = match writing.as_mut().filter(is_usable) {
            Some(session) => session,
            None => writing.insert(self.draw()?),
        };
        let counter = session.next_counter;
        session.next_counter += 1;
        Ok(Seal { id: session.id, counter, cipher: Arc::clone(&session.cipher) })
    }

    fn draw(&self) -> Result<Writing> {
        let mut id = [0; SESSION_ID_BYTES];
        self.random.fill(&mut id)?;
        let process_id = (self.process_id)();
        Ok(Writing { id, cipher: self.cipher(&id), next_counter: 0, process_id })
    }

    /// Returns the key of a session.
    ///
    /// Cost: two look-ups, once a session is known; before that a derivation of some microseconds.
    pub fn cipher(&self, id: &SessionId) -> Arc<Cipher> {
        if let Some(cipher) = self.known.read().get(id) {
            return Arc::clone(cipher);
        }
        let cipher = Arc::new(Cipher::new(&derive(&*self.data_key.0, id, SESSION_INFO)));
        let mut known = self.known.write();
        // Whoever can write to the disk can name any number of sessions.
        if known.len() >= SESSION_KEYS_COUNT_MAX {
            known.clear();
        }
        known.insert(*id, Arc::clone(&cipher));
        cipher
    }
}

/// Returns the nonce of a counter: four zeros, and the counter from its highest byte on.
pub(super) fn nonce_of(counter: u64) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    if let Some(low) = nonce.last_chunk_mut() {
        *low = counter.to_be_bytes();
    }
    nonce
}

#[cfg(test)]
mod tests {
    use super::super::random::replayed::ReplayedRandomness;
    use super::*;
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn sessions(seed: u8) -> Sessions {
        let random = Arc::new(ReplayedRandomness::new(seed));
        Sessions::new(DataKey([9; 32].into()), random, || 1)
    }

    #[test]
    fn a_fork_seals_in_a_session_of_its_own() {
        static PROCESS: AtomicU32 = AtomicU32::new(1);
        let random = Arc::new(ReplayedRandomness::new(1));
        let sessions =
            Sessions::new(DataKey([9; 32].into()), random, || PROCESS.load(Ordering::Relaxed));
        let mine = [sessions.next_seal().unwrap(), sessions.next_seal().unwrap()];
        PROCESS.store(2, Ordering::Relaxed);
        let of_the_fork = sessions.next_seal().unwrap();
        assert_eq!(mine[0].id, mine[1].id);
        assert!(of_the_fork.id != mine[0].id && of_the_fork.counter == 0);
    }

    #[test]
    fn nonces_count_from_zero_and_are_never_given_twice() {
        let sessions = sessions(1);
        let seals: Vec<Seal> = (0..100).map(|_| sessions.next_seal().unwrap()).collect();
        assert!(seals.iter().enumerate().all(|(at, seal)| seal.counter == at as u64));
        assert_eq!(seals.iter().map(|seal| seal.id).collect::<HashSet<_>>().len(), 1);
        assert_eq!(nonce_of(0x0102), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_counter_at_its_end_begins_a_new_session() {
        let sessions = sessions(1);
        let first = sessions.next_seal().unwrap();
        sessions.writing.lock().as_mut().unwrap().next_counter = SEALS_PER_SESSION_MAX - 1;
        let last = sessions.next_seal().unwrap();
        let next = sessions.next_seal().unwrap();
        assert_eq!((last.id, last.counter), (first.id, SEALS_PER_SESSION_MAX - 1));
        assert_ne!(next.id, first.id);
        assert_eq!(next.counter, 0);
    }

    #[test]
    fn sessions_that_a_disk_names_do_not_fill_the_memory() {
        let sessions = sessions(1);
        for number in 0..3 * SESSION_KEYS_COUNT_MAX as u64 {
            let mut id = [0; SESSION_ID_BYTES];
            id[..8].copy_from_slice(&number.to_be_bytes());
            sessions.cipher(&id);
        }
        assert!(sessions.known.read().len() <= SESSION_KEYS_COUNT_MAX);
    }
}
