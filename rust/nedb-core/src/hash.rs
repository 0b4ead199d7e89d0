//! BLAKE2b-256, and the chain that it makes of the ops.
//!
//! In: the hash before an op, and the op's body as canonical text, in pieces. Out: 64 lower-case
//! hexadecimal digits (log-format.md, "The hash chain").
//!
//! Invariants:
//! * The hash depends on the text alone, not on where it was cut into pieces.
//! * What is hashed is ASCII: other characters are escaped on their way into the hash.

use blake2::{Blake2b256, Digest};

use crate::json::write_ascii;

/// Digits of a hash in hexadecimal.
pub(crate) const HASH_HEX_BYTES: usize = 64;

/// The hash before the first op.
pub const ZERO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of one op, while its text is passed in.
pub(crate) struct ChainHasher {
    state: Blake2b256,
}

impl ChainHasher {
    /// Begins the hash of the op that follows `prev_hash`, which is given in hexadecimal.
    pub(crate) fn new(prev_hash: &str) -> Self {
        let mut state = Blake2b256::new();
        state.update(prev_hash.as_bytes());
        ChainHasher { state }
    }

    /// Goes on with a piece of canonical text, cut anywhere between two characters.
    pub(crate) fn update_canonical(&mut self, text: &str) {
        write_ascii(text, &mut |piece| self.state.update(piece));
    }

    /// Returns the hash in hexadecimal.
    pub(crate) fn finish(self) -> String {
        to_hex(&self.state.finalize())
    }
}

/// Returns BLAKE2b-256 of bytes.
pub(crate) fn blake2b_256(bytes: &[u8]) -> [u8; 32] {
    Blake2b256::digest(bytes).into()
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit =
        |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Reads lower-case hexadecimal digits, or returns None when that is not what the text is.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

/// Tells whether a text is a hash as the log holds it: 64 lower-case hexadecimal digits.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == HASH_HEX_BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
