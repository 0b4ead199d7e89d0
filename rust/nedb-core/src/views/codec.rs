//! Numbers and texts as bytes, and back: what the views are saved with.
//!
//! | what | bytes |
//! |---|---|
//! | count, unsigned number | LEB128: seven bits a byte, the lowest first, the highest bit says that more come |
//! | signed number | the same, of `2n` for `n ≥ 0` and of `-2n - 1` below (zigzag) |
//! | text | its length in bytes, then UTF-8 |
//! | double, hash | 8 bytes, little-endian |
//!
//! Invariants:
//! * Reading never panics, whatever the bytes are.
//! * A count is refused when what is left could not hold so many, so that nothing is allocated for it.

use crate::hash::Hash;
use crate::op::Seq;
use std::str;

/// Why bytes are no saved views, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub &'static str);

/// The log that saved views were folded from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SavedLog<'a> {
    /// Where each line starts, by seq.
    pub starts: &'a [u64],
    /// Where the last line ends.
    pub end: u64,
}

impl SavedLog<'_> {
    /// Returns the seq of the last line.
    pub fn last_seq(&self) -> Seq {
        self.starts.len() as Seq - 1
    }

    /// Returns the length of a line, newline included; 0 for one that is not there.
    #[inline]
    pub fn line_bytes(&self, seq: Seq) -> u64 {
        let at = usize::try_from(seq).unwrap_or(usize::MAX);
        let start = self.starts.get(at).copied().unwrap_or(self.end);
        self.starts.get(at.saturating_add(1)).copied().unwrap_or(self.end) - start
    }
}

/// Where views are written to.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub fn unsigned(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub fn signed(&mut self, number: i64) {
        self.unsigned(((number << 1) ^ (number >> 63)) as u64);
    }

    pub fn count(&mut self, count: usize) {
        self.unsigned(count as u64);
    }

    /// Appends how far a number is above the one before; both are at least -1.
    pub fn rise(&mut self, from: Seq, to: Seq) {
        self.unsigned(to.wrapping_sub(from) as u64);
    }

    pub fn fixed(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }
}

/// Where views are read from.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(first.into());
        }
        self.long_unsigned(first)
    }

    fn long_unsigned(&mut self, first: u8) -> Result<u64, Malformed> {
        let mut number = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 || shift > 63 {
                return Err(Malformed("a number is too large"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    #[inline]
    pub fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// Reads a number of 32 bits.
    #[inline]
    pub fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.unsigned()?).map_err(|_| Malformed("a number is too large"))
    }

    /// Reads a length for which nothing is allocated yet.
    #[inline]
    pub fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.unsigned()?).map_err(|_| Malformed("a length is too large"))
    }

    /// Reads how many things follow, each of at least so many bytes; no more than 32 bits can number.
    pub fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.size()?;
        if count.checked_mul(bytes_min).is_none_or(|bytes| bytes > self.rest.len())
            || count >= u32::MAX as usize
        {
            return Err(Malformed("it has more entries than bytes"));
        }
        Ok(count)
    }

    /// Reads a number that is given by how far it is above another.
    #[inline]
    pub fn rise(&mut self, from: Seq, max: Seq) -> Result<Seq, Malformed> {
        let to = i64::try_from(self.unsigned()?).ok().and_then(|rise| from.checked_add(rise));
        to.filter(|to| *to <= max).ok_or(Malformed("a seq is above the last"))
    }

    pub fn fixed(&mut self) -> Result<u64, Malformed> {
        let (first, rest) =
            self.rest.split_first_chunk::<8>().ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*first))
    }

    pub fn hash(&mut self) -> Result<Hash, Malformed> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.size()?;
        let (first, rest) =
            self.rest.split_at_checked(length).ok_or(Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(first)
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.raw()?).map_err(|_| Malformed("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: [i64; 9] = [0, -1, 1, 63, -64, 64, i64::MIN, i64::MAX, -1_000_000];

    #[test]
    fn numbers_are_the_same_after_they_were_saved() {
        let mut out = Writer::default();
        SIGNED.iter().for_each(|number| out.signed(*number));
        SIGNED.iter().for_each(|number| out.unsigned(*number as u64));
        out.fixed(u64::MAX - 1);
        out.text("é");
        let bytes = out.into_bytes();
        let mut input = Reader::new(&bytes);
        assert!(SIGNED.iter().all(|number| input.signed() == Ok(*number)));
        assert!(SIGNED.iter().all(|number| input.unsigned() == Ok(*number as u64)));
        assert_eq!((input.fixed(), input.text()), (Ok(u64::MAX - 1), Ok("é")));
        assert!(input.is_at_end() && input.byte().is_err());
    }

    #[test]
    fn what_no_bytes_could_hold_is_refused_before_anything_is_allocated() {
        let mut out = Writer::default();
        out.unsigned(u64::MAX);
        let bytes = out.into_bytes();
        assert!(Reader::new(&bytes).count(1).is_err() && Reader::new(&bytes).count(0).is_err());
        assert!(Reader::new(&bytes).raw().is_err() && Reader::new(&bytes).small().is_err());
        assert!(Reader::new(&[0xff; 11]).unsigned().is_err());
        assert!(Reader::new(&[0xff; 3]).unsigned().is_err());
        assert_eq!(Reader::new(&[5, 0, 0]).rise(3, 8), Ok(8));
        assert!(Reader::new(&[6, 0, 0]).rise(3, 8).is_err());
    }
}
