//! The user's key (TMK), the data key (DEK), and `key.enc`, in which the one wraps the other.
//!
//! In: the user's key, the text of `key.enc`. Out: the data key, or `WrongKey`.
//!
//! `key.enc` is `{"v":1,"alg":"AES-256-GCM","n":<12 bytes in hex>,"ct":<32 + 16 bytes in hex>}`, as
//! NEDB 1.x writes it: the data key sealed under HKDF-SHA256(TMK, salt `NEDB-hkdf-v1`, info `nedb-key`)
//! with the associated data `NEDB-DEK-v1`.
//!
//! Invariants:
//! * Key bytes are wiped when they are dropped, and are in no `Debug` and no error.

use super::cipher::{Cipher, KEY_BYTES, NONCE_BYTES, TAG_BYTES, derive};
use super::random::Randomness;
use crate::error::{Error, ErrorCode, Result};
use crate::hash::{from_hex, to_hex};
use crate::json::{canonicalize, members, string_text};
use crate::limits::{KEY_FILE_BYTES_MAX, TMK_BYTES_MIN};
use std::fmt;
use zeroize::Zeroizing;

const KEK_SALT: &[u8] = b"NEDB-hkdf-v1";
const KEK_INFO: &[u8] = b"nedb-key";
const WRAPPED_KEY_AAD: &[u8] = b"NEDB-DEK-v1";
const ALGORITHM: &str = "AES-256-GCM";

/// The key that a user keeps, and that opens a database: any bytes, at least 16 for a new one.
///
/// It is wiped from memory when the last copy goes, and `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Tmk(Zeroizing<Vec<u8>>);

impl Tmk {
    /// Takes the bytes of a key.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Tmk(Zeroizing::new(bytes.into()))
    }

    /// Reads a key from hexadecimal digits of either case; white space between them does not count.
    ///
    /// Errors: `InvalidArgument`, which says nothing of the text.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        let visible = text.chars().filter(|character| !character.is_ascii_whitespace());
        digits.extend(visible.map(|character| character.to_ascii_lowercase()));
        from_hex(&digits).map(Tmk::new).ok_or_else(|| {
            Error::invalid(
                "the key is not valid hex: it takes an even number of the digits 0-9, a-f",
            )
        })
    }

    /// Takes a key from the bytes of a key file: all of them, but for white space at either end.
    ///
    /// Hexadecimal digits in a file are not decoded: NEDB 1.x took them as they stand.
    pub fn from_file_bytes(bytes: &[u8]) -> Self {
        // Python's idea of white space has the vertical tab too.
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
        let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
        Tmk::new(bytes.get(start..end).unwrap_or_default())
    }

    /// Checks that the key is long enough to encrypt something new.
    ///
    /// Errors: `InvalidArgument`.
    pub(crate) fn check_long_enough(&self) -> Result<()> {
        if self.0.len() >= TMK_BYTES_MIN {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a key for a new database has at least {TMK_BYTES_MIN} bytes, and this one has {}; draw 32 \
             random ones",
            self.0.len()
        )))
    }
}

impl fmt::Debug for Tmk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tmk(***)")
    }
}

/// The key that encrypts a database. It never changes; only what wraps it does.
#[derive(Clone)]
pub(crate) struct DataKey(pub(super) Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// Draws the data key of a new database.
    ///
    /// Errors: `StorageError` when there is no randomness.
    pub fn draw(random: &dyn Randomness) -> Result<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *key)?;
        Ok(DataKey(key))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataKey(…)")
    }
}

/// Wraps a data key: the text of `key.enc`.
///
/// Errors: `StorageError` when there is no randomness.
pub(crate) fn wrap_key(key: &DataKey, tmk: &Tmk, random: &dyn Randomness) -> Result<String> {
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce)?;
    let mut wrapped = Vec::with_capacity(KEY_BYTES + TAG_BYTES);
    wrapped.extend_from_slice(&*key.0);
    wrapping_cipher(&tmk.0)
        .seal(nonce, WRAPPED_KEY_AAD, &mut wrapped, 0)
        .map_err(|_| Error::integrity("the data key cannot be wrapped"))?;
    let (nonce, wrapped) = (to_hex(&nonce), to_hex(&wrapped));
    Ok(format!("{{\"v\":1,\"alg\":\"{ALGORITHM}\",\"n\":\"{nonce}\",\"ct\":\"{wrapped}\"}}"))
}

/// Unwraps the data key of `key.enc`.
///
/// The server of NEDB 1.x derived the wrapping key twice, so what is derived from the key is tried too.
///
/// Errors: `WrongKey`; `IntegrityError` when the text is no `key.enc`.
pub(crate) fn unwrap_key(text: &[u8], tmk: &Tmk) -> Result<DataKey> {
    let (nonce, wrapped) = parse_key_file(text)?;
    let derived = derive::<KEY_BYTES>(&tmk.0, KEK_SALT, KEK_INFO);
    for master in [tmk.0.as_slice(), derived.as_slice()] {
        let mut key = Zeroizing::new(wrapped.to_vec());
        let opened = wrapping_cipher(master).open(nonce, WRAPPED_KEY_AAD, &mut key, 0);
        if let (Ok(()), Ok(bytes)) = (opened, key.as_slice().try_into()) {
            return Ok(DataKey(Zeroizing::new(bytes)));
        }
    }
    Err(Error::new(
        ErrorCode::WrongKey,
        "the key does not open the database: it is another database's key, or an old one, or key.enc is \
         damaged",
    ))
}

fn wrapping_cipher(master: &[u8]) -> Cipher {
    Cipher::new(&derive(master, KEK_SALT, KEK_INFO))
}

type WrappedKey = ([u8; NONCE_BYTES], [u8; KEY_BYTES + TAG_BYTES]);

fn parse_key_file(text: &[u8]) -> Result<WrappedKey> {
    let damaged = |what: &str| Error::integrity(format!("key.enc is damaged: {what}"));
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() <= KEY_FILE_BYTES_MAX)
        .ok_or_else(|| damaged("it is no short text"))?;
    let canonical = canonicalize(text).map_err(|error| damaged(error.message()))?;
    let member = |key: &str| members(&canonical).find(|(name, _)| *name == key).map(|(_, it)| it);
    let text_of = |key| member(key).and_then(string_text);
    if member("v") != Some("1") || text_of("alg").as_deref() != Some(ALGORITHM) {
        return Err(damaged("it is not of version 1, AES-256-GCM"));
    }
    let bytes_of = |key| text_of(key).and_then(|it| from_hex(&it)).unwrap_or_default();
    match (bytes_of("n").try_into(), bytes_of("ct").try_into()) {
        (Ok(nonce), Ok(wrapped)) => Ok((nonce, wrapped)),
        _ => Err(damaged("n has 12 bytes in hexadecimal, and ct 48")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::replayed::ReplayedRandomness;
    use super::*;

    /// Written by NEDB 1.2.2 for a key of 5 bytes, for one of 32, and by its server for the same 32.
    const SHORT: &[u8] =
        include_bytes!("../../../../tests/fixtures/format/1.2.2/encrypted_short/key.enc");
    const ONCE: &[u8] = include_bytes!("../../../../tests/fixtures/format/1.2.2/encrypted/key.enc");
    const TWICE: &[u8] =
        include_bytes!("../../../../tests/fixtures/format/1.2.2/encrypted_nedbd/key.enc");

    fn master() -> Tmk {
        Tmk::new((0..32).collect::<Vec<u8>>())
    }

    fn code<T>(result: Result<T>) -> Option<ErrorCode> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn the_key_files_of_nedb_1_open_whether_derived_once_or_twice() {
        unwrap_key(SHORT, &Tmk::new(*b"short")).unwrap();
        unwrap_key(ONCE, &master()).unwrap();
        unwrap_key(TWICE, &master()).unwrap();
        assert_eq!(code(unwrap_key(ONCE, &Tmk::new(*b"short"))), Some(ErrorCode::WrongKey));
        assert_eq!(code(unwrap_key(SHORT, &master())), Some(ErrorCode::WrongKey));
    }

    #[test]
    fn a_wrapped_key_is_unwrapped_by_its_own_key_alone() {
        let random = ReplayedRandomness::new(1);
        let key = DataKey::draw(&random).unwrap();
        let text = wrap_key(&key, &master(), &random).unwrap();
        assert_eq!(*unwrap_key(text.as_bytes(), &master()).unwrap().0, *key.0);
        let other = Tmk::new([7; 32]);
        assert_eq!(code(unwrap_key(text.as_bytes(), &other)), Some(ErrorCode::WrongKey));
    }

    #[test]
    fn no_byte_of_a_key_file_can_be_changed_unnoticed() {
        let random = ReplayedRandomness::new(1);
        let key = DataKey::draw(&random).unwrap();
        let text = wrap_key(&key, &master(), &random).unwrap().into_bytes();
        for at in 0..text.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = text.clone();
                changed[at] ^= flip;
                // Hexadecimal digits of either case, and blanks between tokens, say the same.
                match unwrap_key(&changed, &master()) {
                    Ok(found) => assert_eq!(*found.0, *key.0, "byte {at}"),
                    Err(error) => assert!(
                        [ErrorCode::WrongKey, ErrorCode::IntegrityError].contains(&error.code())
                    ),
                }
            }
        }
    }

    #[test]
    fn what_is_no_key_file_is_an_integrity_error() {
        let long = format!("{{\"v\":1,\"x\":\"{}\"}}", "x".repeat(KEY_FILE_BYTES_MAX));
        for text in ["", "{}", "null", "[]", "{\"v\":2}", "\u{0}", &long] {
            let found = code(unwrap_key(text.as_bytes(), &master()));
            assert_eq!(found, Some(ErrorCode::IntegrityError), "{text:.40}");
        }
        assert_eq!(code(unwrap_key(&[0xff], &master())), Some(ErrorCode::IntegrityError));
    }

    #[test]
    fn a_key_is_read_from_hexadecimal_digits_and_from_a_file() {
        let tmk = |text| Tmk::from_hex(text).map(|tmk| tmk.0.to_vec());
        assert_eq!(tmk("00ffA0").unwrap(), [0, 0xff, 0xa0]);
        assert_eq!(tmk(" 00 ff\n").unwrap(), [0, 0xff]);
        for wrong in ["0", "0x00", "zz", "é0"] {
            let error = tmk(wrong).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
            assert!(!error.message().contains(wrong) || wrong == "0", "{error}");
        }
        assert_eq!(*Tmk::from_file_bytes(b" \t00ff \x0b\r\n").0, b"00ff");
        assert_eq!(*Tmk::from_file_bytes(b"\n").0, b"");
    }

    #[test]
    fn a_short_key_is_refused_for_what_is_new() {
        Tmk::new([1; 16]).check_long_enough().unwrap();
        let refused = Tmk::new([1; 15]).check_long_enough();
        assert_eq!(code(refused), Some(ErrorCode::InvalidArgument));
    }

    #[test]
    fn no_debug_output_holds_key_bytes() {
        let shown =
            format!("{:?} {:?}", Tmk::new(*b"secret secret secret"), DataKey([0xab; 32].into()));
        assert_eq!(shown, "Tmk(***) DataKey(…)");
    }
}
