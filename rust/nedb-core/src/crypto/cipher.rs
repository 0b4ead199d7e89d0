//! AES-256-GCM under one key, and what keys are derived from keys.
//!
//! In: a key, a nonce, bytes in place. Out: ciphertext and a tag, or plaintext that was authenticated.
//!
//! Invariants:
//! * Key bytes are wiped when they are dropped.
//! * Bytes that do not authenticate are never handed on.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// Bytes of a tag, which stands behind the ciphertext.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes that were not sealed under this key and nonce with these associated data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAuthentic;

/// A key, ready to seal and open.
pub(super) struct Cipher(Aes256Gcm);

impl Cipher {
    /// Makes the cipher of a key.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Cipher(Aes256Gcm::new(key.into()))
    }

    /// Encrypts what stands in `bytes` from `start` on and appends the tag.
    pub fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        bytes: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), NotAuthentic> {
        let plain = bytes.get_mut(start..).unwrap_or_default();
        let tag = self
            .0
            .encrypt_inout_detached(&Nonce::from(nonce), associated, plain.into())
            // Refused beyond 64 GiB, which no bound of ours reaches.
            .map_err(|_| NotAuthentic)?;
        bytes.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts ciphertext and tag, which stand in `bytes` from `start` on, and takes the tag off.
    ///
    /// On an error what is left in `bytes` from `start` on is not to be used.
    pub fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        bytes: &mut Vec<u8>,
        start: usize,
    ) -> Result<(), NotAuthentic> {
        let sealed = bytes.get_mut(start..).unwrap_or_default();
        let (cipher_text, tag) = sealed.split_last_chunk_mut::<TAG_BYTES>().ok_or(NotAuthentic)?;
        let tag = Tag::from(*tag);
        self.0
            .decrypt_inout_detached(&Nonce::from(nonce), associated, cipher_text.into(), &tag)
            .map_err(|_| NotAuthentic)?;
        bytes.truncate(bytes.len() - TAG_BYTES);
        Ok(())
    }
}

/// Derives a key from a key: HKDF-SHA256 (RFC 5869).
pub(super) fn derive<const N: usize>(key: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    let mut derived = Zeroizing::new([0; N]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(info, &mut *derived)
        .expect("HKDF gives up to 255 times 32 bytes, and no key is longer than 32");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::to_hex;

    #[test]
    fn derived_keys_are_those_of_rfc_5869() {
        // Test case 1, its first 32 bytes.
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let key: Zeroizing<[u8; 32]> = derive(&[0x0b; 22], &salt, &info);
        assert_eq!(
            to_hex(&*key),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
    }

    #[test]
    fn ciphertexts_are_those_of_nist() {
        // "The Galois/Counter Mode of Operation", McGrew and Viega, test case 16.
        let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
        let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
        let expected = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b";
        let hex = |text: &str| crate::hash::from_hex(text).unwrap();
        let cipher = Cipher::new(&hex(key).try_into().unwrap());
        let nonce = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let associated = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let mut bytes = hex(plain);
        cipher.seal(nonce, &associated, &mut bytes, 0).unwrap();
        assert_eq!(to_hex(&bytes), expected);
        cipher.open(nonce, &associated, &mut bytes, 0).unwrap();
        assert_eq!(to_hex(&bytes), plain);
    }
}
