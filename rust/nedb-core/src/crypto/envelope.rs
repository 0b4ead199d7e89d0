//! Sealed lines of a log, each bound to its seq, and sealed texts.
//!
//! In: a line, and the seq that it has or must have. Out: `{"ct":"…","enc":2}`, in base64 the session's id,
//! the counter (8 bytes, highest first), the ciphertext of the line and its tag; or the line again.
//!
//! NEDB 1.x wrote `{"enc":1,"ct":"…"}`: a nonce of 12 bytes, the ciphertext and its tag, under the data key
//! itself and bound to nothing. Such lines are read and never written.
//!
//! Invariants:
//! * An envelope has one spelling: not one byte of it can be another and it still opens.
//! * A line opens at its own seq of its own database alone: the associated data are `NEDB-line-v2`, the
//!   database's id and the seq (8 bytes, highest first).

use super::cipher::{Cipher, TAG_BYTES};
use super::seal::{PREFIX_BYTES, Protection, Sealed, split_prefix};
use super::session::{SessionId, nonce_of};
use crate::error::{Error, Result};
use crate::op::Seq;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

const LINE_AAD: &[u8] = b"NEDB-line-v2";
const FRONT: &str = "{\"ct\":\"";
const BACK: &str = "\",\"enc\":2}";
const LEGACY_FRONT: &str = "{\"enc\":1,\"ct\":\"";
const LEGACY_BACK: &str = "\"}";

/// Why a line is no envelope of this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeFault {
    /// It does not have the form of one.
    NotWellFormed,
    /// It has, and was not sealed as this line of this database.
    NotAuthentic,
}

/// Tells whether bytes begin as an envelope does, ours or one of NEDB 1.x.
pub(crate) fn is_envelope(line: &[u8]) -> bool {
    [FRONT, LEGACY_FRONT].iter().any(|front| line.starts_with(front.as_bytes()))
}

/// Tells whether bytes begin as an envelope of NEDB 1.x does.
pub(crate) fn is_legacy_envelope(line: &[u8]) -> bool {
    line.starts_with(LEGACY_FRONT.as_bytes())
}

impl Sealed {
    /// Appends the envelope of a line, without a newline; `scratch` is working space.
    ///
    /// Errors: `StorageError` when there is no randomness; `out` is unchanged then.
    pub fn seal_line(
        &self,
        seq: Seq,
        line: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut String,
    ) -> Result<()> {
        scratch.clear();
        let associated = self.associated(LINE_AAD, &seq.to_be_bytes());
        self.seal_into(&associated, line, scratch)?;
        push_envelope(scratch, out);
        Ok(())
    }
}

impl Protection {
    /// Seals a text as what the context says, as one line with its newline; a plain database leaves it as
    /// it is.
    ///
    /// Errors: `StorageError` when there is no randomness.
    pub fn seal_text(&self, context: &[u8], text: &str) -> Result<String> {
        if let Protection::Plain = self {
            return Ok(text.to_owned());
        }
        let mut out = String::new();
        push_envelope(&self.seal(context, text.as_bytes().to_vec())?, &mut out);
        out.push('\n');
        Ok(out)
    }

    /// Opens a text that was sealed as what the context says, or by NEDB 1.x as anything; None when it is
    /// not sealed.
    ///
    /// Errors: `IntegrityError`.
    pub fn open_text(&self, context: &[u8], text: &[u8]) -> Result<Option<String>> {
        let Protection::Sealed(_) = self else { return Ok(None) };
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if !is_envelope(text) {
            return Ok(None);
        }
        let damaged = || {
            let what = String::from_utf8_lossy(context);
            Error::integrity(format!("{what} is damaged: it is no whole envelope"))
        };
        let decode = |base64| STANDARD.decode(base64).map_err(|_| damaged());
        let plain = match Envelope::split(text).ok_or_else(damaged)? {
            Envelope::Ours(base64) => self.open(context, decode(base64)?)?,
            Envelope::Legacy(base64) => self.open_legacy(decode(base64)?)?,
        };
        String::from_utf8(plain).map(Some).map_err(|_| damaged())
    }
}

/// What an envelope holds, in base64.
enum Envelope<'t> {
    Ours(&'t [u8]),
    Legacy(&'t [u8]),
}

impl<'t> Envelope<'t> {
    fn split(text: &'t [u8]) -> Option<Self> {
        let within = |front: &str, back: &str| {
            text.strip_prefix(front.as_bytes())?.strip_suffix(back.as_bytes())
        };
        let ours = within(FRONT, BACK).map(Envelope::Ours);
        ours.or_else(|| within(LEGACY_FRONT, LEGACY_BACK).map(Envelope::Legacy))
    }
}

fn push_envelope(sealed: &[u8], out: &mut String) {
    out.reserve(FRONT.len() + sealed.len().div_ceil(3) * 4 + BACK.len() + 1);
    out.push_str(FRONT);
    STANDARD.encode_string(sealed, out);
    out.push_str(BACK);
}

/// Opens lines of one log, one after another: it remembers the session of the last one.
pub(crate) struct LineOpener<'p> {
    sealed: &'p Sealed,
    session: Option<(SessionId, Arc<Cipher>)>,
    /// What is bound to a line; its last bytes are the seq.
    associated: Vec<u8>,
}

impl<'p> LineOpener<'p> {
    /// Makes the opener of an encrypted database's lines.
    pub fn new(sealed: &'p Sealed) -> Self {
        let associated = sealed.associated(LINE_AAD, &Seq::default().to_be_bytes());
        LineOpener { sealed, session: None, associated }
    }

    /// Appends the line that an envelope holds. `plain` is as it was when there is a fault.
    ///
    /// Cost: one pass of base64, and one of AES-GCM in place.
    pub fn open(&mut self, seq: Seq, envelope: &[u8], plain: &mut Vec<u8>) -> Opened {
        let start = plain.len();
        let opened = match Envelope::split(envelope) {
            Some(Envelope::Ours(base64)) => self.open_ours(seq, base64, plain),
            Some(Envelope::Legacy(base64)) => self.open_legacy(base64, plain),
            None => Err(EnvelopeFault::NotWellFormed),
        };
        if opened.is_err() {
            plain.truncate(start);
        }
        opened
    }

    fn open_ours(&mut self, seq: Seq, base64: &[u8], plain: &mut Vec<u8>) -> Opened {
        let start = plain.len();
        let (prefix, rest) = decode_prefix::<PREFIX_BYTES>(base64)?;
        decode_sealed(rest, plain)?;
        let (id, counter) = split_prefix(&prefix).ok_or(EnvelopeFault::NotWellFormed)?;
        if let Some(bound) = self.associated.last_chunk_mut() {
            *bound = seq.to_be_bytes();
        }
        let cipher = match &self.session {
            Some((known, cipher)) if *known == id => cipher,
            _ => &self.session.insert((id, self.sealed.sessions.cipher(&id))).1,
        };
        cipher
            .open(nonce_of(counter), &self.associated, plain, start)
            .map_err(|_| EnvelopeFault::NotAuthentic)
    }

    fn open_legacy(&self, base64: &[u8], plain: &mut Vec<u8>) -> Opened {
        let start = plain.len();
        let (nonce, rest) = decode_prefix(base64)?;
        decode_sealed(rest, plain)?;
        let is_open = self.sealed.open_legacy_in_place(nonce, plain, start);
        is_open.then_some(()).ok_or(EnvelopeFault::NotAuthentic)
    }
}

type Opened = std::result::Result<(), EnvelopeFault>;

/// Decodes the bytes that stand before a ciphertext: a multiple of three, so that its base64 is apart.
fn decode_prefix<const N: usize>(
    base64: &[u8],
) -> std::result::Result<([u8; N], &[u8]), EnvelopeFault> {
    let mut prefix = [0; N];
    let (front, rest) = base64.split_at_checked(N / 3 * 4).ok_or(EnvelopeFault::NotWellFormed)?;
    match STANDARD.decode_slice(front, &mut prefix) {
        Ok(count) if count == N => Ok((prefix, rest)),
        _ => Err(EnvelopeFault::NotWellFormed),
    }
}

/// Appends ciphertext and tag; text with another spelling of the same bytes is none.
fn decode_sealed(base64: &[u8], out: &mut Vec<u8>) -> Opened {
    if base64.len() < TAG_BYTES.div_ceil(3) * 4 {
        return Err(EnvelopeFault::NotWellFormed);
    }
    STANDARD.decode_vec(base64, out).map_err(|_| EnvelopeFault::NotWellFormed)
}

#[cfg(test)]
mod tests {
    use super::super::seal::tests::protection;
    use super::*;

    fn sealed_line(protection: &Protection, seq: Seq, line: &str) -> String {
        let mut out = String::new();
        let sealed = protection.as_sealed().unwrap();
        sealed.seal_line(seq, line.as_bytes(), &mut Vec::new(), &mut out).unwrap();
        out
    }

    fn open(
        protection: &Protection,
        seq: Seq,
        envelope: &[u8],
    ) -> std::result::Result<String, EnvelopeFault> {
        let mut plain = b"before".to_vec();
        let opened =
            LineOpener::new(protection.as_sealed().unwrap()).open(seq, envelope, &mut plain);
        assert!(plain.starts_with(b"before"));
        let plain = String::from_utf8(plain.split_off(6)).unwrap();
        assert!(opened.is_ok() || plain.is_empty());
        opened.map(|()| plain)
    }

    #[test]
    fn a_line_opens_at_its_seq_of_its_database_alone() {
        let (mine, other) = (protection(1, 1), protection(2, 1));
        for line in ["", "{}", "{\"é\":1}", &"x".repeat(100_000)] {
            let envelope = sealed_line(&mine, 7, line);
            assert_eq!(open(&mine, 7, envelope.as_bytes()).as_deref(), Ok(line));
            assert_eq!(open(&mine, 8, envelope.as_bytes()), Err(EnvelopeFault::NotAuthentic));
            assert_eq!(open(&other, 7, envelope.as_bytes()), Err(EnvelopeFault::NotAuthentic));
        }
    }

    #[test]
    fn every_byte_of_an_envelope_counts() {
        let protection = protection(1, 1);
        for line in ["{}", "{\"a\":1}", "12345678"] {
            let envelope = sealed_line(&protection, 0, line).into_bytes();
            for at in 0..envelope.len() {
                for byte in 0..=255 {
                    let mut changed = envelope.clone();
                    changed[at] = byte;
                    let is_same = changed == envelope;
                    assert_eq!(open(&protection, 0, &changed).is_ok(), is_same, "{at} {byte}");
                }
                let cut = open(&protection, 0, &envelope[..at]);
                assert_eq!(cut, Err(EnvelopeFault::NotWellFormed), "cut at {at}");
            }
        }
    }

    #[test]
    fn the_opener_goes_from_session_to_session() {
        let (first, second) = (protection(1, 1), protection(1, 2));
        let lines: Vec<String> = (0..20)
            .map(|seq| sealed_line([&first, &second][seq as usize / 2 % 2], seq, &format!("{seq}")))
            .collect();
        let mut opener = LineOpener::new(first.as_sealed().unwrap());
        let mut plain = Vec::new();
        for (seq, line) in lines.iter().enumerate() {
            opener.open(seq as Seq, line.as_bytes(), &mut plain).unwrap();
        }
        let expected: String = (0..20).map(|seq| seq.to_string()).collect();
        assert_eq!(String::from_utf8(plain).unwrap(), expected);
    }

    #[test]
    fn a_text_is_bound_to_its_context_and_a_plain_one_is_told_apart() {
        let protection = protection(1, 1);
        let sealed = protection.seal_text(b"meta.json", "{\"a\":1}\n").unwrap();
        assert!(sealed.starts_with(FRONT) && sealed.ends_with("\",\"enc\":2}\n"));
        let open = |context: &[u8], text: &str| protection.open_text(context, text.as_bytes());
        assert_eq!(open(b"meta.json", &sealed).unwrap().as_deref(), Some("{\"a\":1}\n"));
        assert!(open(b"other", &sealed).is_err());
        assert!(open(b"meta.json", &sealed[..50]).is_err());
        assert_eq!(open(b"meta.json", "{\"a\":1}").unwrap(), None);
    }

    #[test]
    fn bytes_that_are_no_envelope_open_to_nothing_and_never_panic() {
        let protection = protection(1, 1);
        let texts = [
            "",
            "{}",
            "{\"ct\":\"\",\"enc\":2}",
            "{\"ct\":\",\"enc\":2}",
            "{\"enc\":1,\"ct\":\"\"}",
        ];
        for text in texts {
            let opened = open(&protection, 0, text.as_bytes());
            assert_eq!(opened, Err(EnvelopeFault::NotWellFormed), "{text}");
        }
        for count in 0..60 {
            let base64 = STANDARD.encode(vec![0; count]);
            for text in
                [format!("{FRONT}{base64}{BACK}"), format!("{LEGACY_FRONT}{base64}{LEGACY_BACK}")]
            {
                assert!(open(&protection, 0, text.as_bytes()).is_err(), "{text}");
            }
        }
    }
}
