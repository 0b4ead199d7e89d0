//! The only source of randomness.
//!
//! A database is given a [`Randomness`]; a test gives one of its own, so that every run of it draws the
//! same keys.

use crate::error::{Error, Result};

/// Gives bytes that nobody can guess.
///
/// Data keys and session ids are drawn from it: one that repeats itself, or that can be guessed, takes all
/// that encryption gives. Anything but [`SystemRandomness`] is for tests.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`.
    ///
    /// Errors: `StorageError` when the system has none to give.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's generator.
#[derive(Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|error| {
            Error::storage(
                "draw random bytes from the operating system",
                std::io::Error::other(error.to_string()),
            )
        })
    }
}

#[cfg(test)]
pub(crate) mod replayed {
    //! Randomness that a test can repeat.

    use super::Randomness;
    use crate::error::Result;
    use crate::hash::keyed_digest;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Bytes that are a function of a seed and of how many were drawn before.
    #[derive(Debug, Default)]
    pub(crate) struct ReplayedRandomness {
        pub seed: u8,
        drawn: AtomicU64,
    }

    impl ReplayedRandomness {
        pub(crate) fn new(seed: u8) -> Self {
            ReplayedRandomness { seed, drawn: AtomicU64::new(0) }
        }
    }

    impl Randomness for ReplayedRandomness {
        fn fill(&self, bytes: &mut [u8]) -> Result<()> {
            for chunk in bytes.chunks_mut(32) {
                let number = self.drawn.fetch_add(1, Ordering::Relaxed);
                let block = keyed_digest(&[self.seed; 32], &number.to_be_bytes());
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
            Ok(())
        }
    }
}
