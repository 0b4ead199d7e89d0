//! BLAKE2b-256, and the chain that it makes of the ops.
//!
//! In: the hash before an op, and the op's body as canonical text, in pieces. Out: 64 lower-case
//! hexadecimal digits (log-format.md, "The hash chain").
//!
//! Invariants:
//! * The hash depends on the text alone, not on where it was cut into pieces.
//! * What is hashed is ASCII: other characters are escaped on their way into the hash.

use crate::json::write_ascii;
use blake2b_simd::many::{HashManyJob, hash_many};
use blake2b_simd::{Params, State};

/// A BLAKE2b-256 as bytes.
pub(crate) type Hash = [u8; 32];

/// Digits of a hash in hexadecimal.
pub(crate) const HASH_HEX_BYTES: usize = 64;

/// The hash before the first op.
pub const ZERO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of one op, while its text is passed in.
pub(crate) struct ChainHasher {
    state: State,
}

impl ChainHasher {
    /// Begins the hash of the op that follows `prev_hash`, which is given in hexadecimal.
    pub(crate) fn new(prev_hash: &str) -> Self {
        let mut state = parameters().to_state();
        state.update(prev_hash.as_bytes());
        ChainHasher { state }
    }

    /// Goes on with a piece of canonical text, cut anywhere between two characters.
    pub(crate) fn update_canonical(&mut self, text: &str) {
        write_ascii(text, &mut |piece| {
            self.state.update(piece);
        });
    }

    /// Returns the hash in hexadecimal.
    pub(crate) fn finish(self) -> String {
        to_hex(self.state.finalize().as_bytes())
    }
}

/// Returns the BLAKE2b-256 of bytes in hexadecimal.
pub(crate) fn hash_of(bytes: &[u8]) -> String {
    to_hex(&digest(&[bytes]))
}

/// Returns the BLAKE2b-256 of bytes, given in parts.
pub(crate) fn digest(parts: &[&[u8]]) -> Hash {
    let mut state = parameters().to_state();
    for part in parts {
        state.update(part);
    }
    to_hash(&state.finalize())
}

/// Returns the BLAKE2b-256 of each of several texts, hashed beside each other in the processor's wide
/// registers: two to three times as fast as one after another, where the processor has them.
pub(crate) fn digest_each<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Vec<Hash> {
    let mut jobs: Vec<_> = texts.map(|text| HashManyJob::new(&parameters(), text)).collect();
    hash_many(&mut jobs);
    jobs.iter().map(|job| to_hash(&job.to_hash())).collect()
}

fn parameters() -> Params {
    let mut parameters = Params::new();
    parameters.hash_length(size_of::<Hash>());
    parameters
}

fn to_hash(found: &blake2b_simd::Hash) -> Hash {
    // As long as was asked for.
    found.as_bytes().try_into().unwrap_or_default()
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let mut hex = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        hex.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    String::from_utf8(hex).unwrap_or_default()
}

/// Reads lower-case hexadecimal digits, two for each byte.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(nibble(high)? << 4 | nibble(low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// Returns the BLAKE2b-256 of bytes under a key (RFC 7693): without the key it says nothing of them.
pub(crate) fn keyed_digest(key: &[u8; 32], bytes: &[u8]) -> Hash {
    to_hash(&parameters().key(key).hash(bytes))
}

/// Reads a hash from 64 lower-case hexadecimal digits; None for any other text.
pub(crate) fn hash_from_hex(text: &str) -> Option<Hash> {
    from_hex(text)?.try_into().ok()
}

/// Tells whether a text is a hash as the log holds it: 64 lower-case hexadecimal digits.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == HASH_HEX_BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that NEDB 1.2.2 wrote (log-format.md), its body as Python hashed it.
    const BODY: &str = r#"{"caused_by":[0],"client":"app","confidence":0.95,"evidence":"user_message","idem":"k1","nonce":7,"op":"put","payload":{"coll":"users","doc":{"_caused_by":[0],"_confidence":0.95,"_evidence":"user_message","_id":"alice","_valid_from":"2024-01-01","age":31,"name":"Álice"},"id":"alice","key":"users:alice"},"seq":0,"ts":1795224990.0474474,"valid_from":"2024-01-01"}"#;
    const HASH: &str = "5691c55d4eaf8845f5c49392c1ad3ca98cbfa44b232066bffb68f35e0ecbead3";

    #[test]
    fn a_line_of_1x_has_the_hash_that_1x_gave_it() {
        let mut hasher = ChainHasher::new(ZERO_HASH);
        hasher.update_canonical(BODY);
        assert_eq!(hasher.finish(), HASH);
    }

    #[test]
    fn the_hash_does_not_depend_on_the_pieces() {
        for (at, _) in BODY.char_indices() {
            let (first, second) = BODY.split_at(at);
            let mut hasher = ChainHasher::new(ZERO_HASH);
            hasher.update_canonical(first);
            hasher.update_canonical(second);
            assert_eq!(hasher.finish(), HASH, "cut at {at}");
        }
    }

    #[test]
    fn characters_above_ffff_are_hashed_as_surrogate_pairs() {
        let mut raw = ChainHasher::new(ZERO_HASH);
        raw.update_canonical("ab😀é c");
        let mut escaped = ChainHasher::new(ZERO_HASH);
        escaped.update_canonical("ab\\ud83d\\ude00\\u00e9 c");
        assert_eq!(raw.finish(), escaped.finish());
    }

    #[test]
    fn blake2b_256_is_that_of_rfc_7693_with_32_bytes() {
        let digest = to_hex(&digest(&[b"a", b"bc"]));
        assert_eq!(digest, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    }

    #[test]
    fn texts_hashed_beside_each_other_have_the_hashes_that_they_have_alone() {
        // Lengths around a block, so that each ends at another place of its last one.
        let texts: Vec<Vec<u8>> = (0..600).map(|length| vec![length as u8; length]).collect();
        for count in [0, 1, 3, 4, 5, 600] {
            let each = digest_each(texts.iter().rev().take(count).map(Vec::as_slice));
            let alone: Vec<Hash> = texts.iter().rev().take(count).map(|it| digest(&[it])).collect();
            assert_eq!(each, alone);
        }
    }

    #[test]
    fn a_keyed_digest_is_that_of_rfc_7693() {
        // Computed with Python: hashlib.blake2b(b"abc", key=bytes(range(32)), digest_size=32).
        let key: Vec<u8> = (0..32).collect();
        let keyed = to_hex(&keyed_digest(&key.try_into().unwrap(), b"abc"));
        assert_eq!(keyed, "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
        assert_eq!(from_hex("009fa0ff").unwrap(), [0, 0x9f, 0xa0, 0xff]);
        assert!(["0", "0g", "AA", "é0"].iter().all(|text| from_hex(text).is_none()));
    }

    #[test]
    fn a_hash_is_64_lower_case_hexadecimal_digits() {
        assert_eq!(to_hex(&[0x00, 0x9f, 0xa0, 0xff]), "009fa0ff");
        assert!(is_hash(ZERO_HASH) && is_hash(HASH));
        assert!(!is_hash(&HASH[1..]) && !is_hash(&HASH.to_uppercase()));
        assert_eq!(hash_from_hex(HASH).map(|hash| to_hex(&hash)).as_deref(), Some(HASH));
        assert_eq!(hash_from_hex(&HASH.to_uppercase()), None);
    }
}
