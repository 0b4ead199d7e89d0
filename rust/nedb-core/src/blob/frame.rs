//! Chunks that are compressed together, as one record of a pack.
//!
//! In: chunks with their addresses. Out: a record: a head that lists the chunks, and a body that holds
//! them. And back.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `NFr1` |
//! | 1 | codec: 0 as it is, 1 zstd |
//! | 1 | tier: 0 warm, 1 cold |
//! | 2 | zero |
//! | 4 | how many chunks |
//! | 4 | length of the chunks together |
//! | 4 | length of the body |
//! | 36 each | a chunk: its address, its length |
//! | 8 | the first bytes of the BLAKE2b-256 of the head so far |
//! | | the body |
//!
//! Numbers are little-endian.
//!
//! Invariants:
//! * A head is understood without its body, so that a pack is listed without reading what is in it.
//! * The head is the context in which the body is sealed: a body under another head does not open.
//! * No bytes make this panic, or allocate more than limits allow.

use super::tier::{Codec, Decoder, Encoder};
use crate::crypto::Protection;
use crate::error::{Error, Result};
use crate::hash::{Hash, digest};
use crate::limits::{FRAME_CHUNKS_COUNT_MAX, MANIFEST_BYTES_MAX};
use crate::merkle::leaf_hashes;
use crate::op::Tier;

/// How every record begins.
pub(super) const MAGIC: &[u8; 4] = b"NFr1";
const FIXED_BYTES: usize = 20;
const ENTRY_BYTES: usize = 36;
const CHECK_BYTES: usize = 8;
/// What a protection may add to a body.
const SEAL_BYTES_MAX: usize = 256;

/// One chunk of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub address: Hash,
    pub bytes: u32,
}

/// Chunks on their way into a frame.
#[derive(Debug, Default)]
pub(crate) struct FrameBuilder {
    pub raw: Vec<u8>,
    pub entries: Vec<FrameEntry>,
}

impl FrameBuilder {
    /// Adds a chunk.
    pub fn push(&mut self, address: Hash, chunk: &[u8]) {
        self.raw.extend_from_slice(chunk);
        self.entries.push(FrameEntry { address, bytes: chunk.len() as u32 });
    }

    /// Tells whether a chunk is among them.
    pub fn holds(&self, address: &Hash) -> bool {
        self.entries.iter().any(|entry| entry.address == *address)
    }

    /// Tells whether a chunk would make it longer than a frame of that tier is.
    pub fn is_full_for(&self, chunk_bytes: usize, frame_bytes: usize) -> bool {
        let is_too_long = self.raw.len() + chunk_bytes > frame_bytes;
        !self.entries.is_empty() && (is_too_long || self.entries.len() == FRAME_CHUNKS_COUNT_MAX)
    }

    /// Makes the record, and begins anew.
    ///
    /// Errors: `StorageError` where there is no memory for it.
    pub fn finish(&mut self, encoder: &mut Encoder, protection: &Protection) -> Result<Frame> {
        let mut body = Vec::new();
        let codec = encoder.encode(&self.raw, &mut body)?;
        let entries = std::mem::take(&mut self.entries);
        let mut head = Head { codec, tier: encoder.tier, entries, body_bytes: 0 };
        let body = protection.seal(&head.context(), body)?;
        // A body is at most as long as the longest manifest.
        head.body_bytes = body.len() as u32;
        let mut record = head.encode();
        record.extend_from_slice(&body);
        self.raw.clear();
        Ok(Frame { head, record })
    }
}

/// A record, and what its head says.
#[derive(Debug)]
pub(crate) struct Frame {
    pub head: Head,
    pub record: Vec<u8>,
}

/// What stands before a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub codec: Codec,
    pub tier: Tier,
    pub entries: Vec<FrameEntry>,
    pub body_bytes: u32,
}

/// What bytes are as the start of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A head.
    Head(Head),
    /// A head may be found in so many bytes.
    NeedsBytes(usize),
    /// No head.
    Nothing,
}

impl Head {
    /// Returns the length of the chunks together.
    pub fn raw_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.bytes as usize).sum()
    }

    /// Returns the length of the head itself.
    pub fn head_bytes(&self) -> usize {
        head_bytes(self.entries.len())
    }

    /// Returns the length of the record.
    pub fn record_bytes(&self) -> usize {
        self.head_bytes() + self.body_bytes as usize
    }

    /// Returns the chunks of a decoded body: what the head says of each, its first byte, and its bytes.
    pub fn chunks<'a>(
        &'a self,
        raw: &'a [u8],
    ) -> impl Iterator<Item = (&'a FrameEntry, u32, &'a [u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let first = start;
            start += entry.bytes;
            let chunk = raw.get(first as usize..start as usize).unwrap_or_default();
            (entry, first, chunk)
        })
    }

    /// Returns the chunks of a decoded body that are what the head names: what it says of each, and its first
    /// byte.
    ///
    /// Cost: a copy and a hash of every byte.
    pub fn right_chunks(&self, raw: &[u8], protection: &Protection) -> Vec<(FrameEntry, u32)> {
        let contents: Vec<&[u8]> = self.chunks(raw).map(|(_, _, chunk)| chunk).collect();
        self.chunks(raw)
            .zip(leaf_hashes(&contents))
            .filter(|((entry, ..), leaf)| protection.address(leaf) == entry.address)
            .map(|((entry, start, _), _)| (*entry, start))
            .collect()
    }

    /// Reads the head of a record from the record's first bytes.
    pub fn parse(bytes: &[u8]) -> Found {
        let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
            return Found::NeedsBytes(FIXED_BYTES);
        };
        match Head::parse_fixed(fixed) {
            Some((head, count, raw_bytes)) => match bytes.get(..head_bytes(count)) {
                Some(whole) => head.with_entries(whole, raw_bytes),
                None => Found::NeedsBytes(head_bytes(count)),
            },
            None => Found::Nothing,
        }
    }

    fn parse_fixed(fixed: &[u8; FIXED_BYTES]) -> Option<(Head, usize, usize)> {
        let [m0, m1, m2, m3, codec, tier, 0, 0, numbers @ ..] = fixed else { return None };
        let codec = *[Codec::Raw, Codec::Zstd].get(usize::from(*codec))?;
        let tier = *[Tier::Warm, Tier::Cold].get(usize::from(*tier))?;
        let mut numbers = numbers.chunks(4).filter_map(|it| it.try_into().ok());
        let mut number = || numbers.next().map(|it| u32::from_le_bytes(it) as usize);
        let (count, raw_bytes, body_bytes) = (number()?, number()?, number()?);
        let is_bounded = (1..=FRAME_CHUNKS_COUNT_MAX).contains(&count)
            && raw_bytes <= MANIFEST_BYTES_MAX
            && body_bytes <= MANIFEST_BYTES_MAX + SEAL_BYTES_MAX;
        let head = Head { codec, tier, entries: Vec::new(), body_bytes: body_bytes as u32 };
        ([*m0, *m1, *m2, *m3] == *MAGIC && is_bounded).then_some((head, count, raw_bytes))
    }

    fn with_entries(mut self, whole: &[u8], raw_bytes: usize) -> Found {
        let (covered, check) = whole.split_at(whole.len() - CHECK_BYTES);
        if check_of(covered) != check {
            return Found::Nothing;
        }
        let list = covered.get(FIXED_BYTES..).unwrap_or_default();
        self.entries = list.chunks(ENTRY_BYTES).filter_map(read_entry).collect();
        if self.raw_bytes() == raw_bytes { Found::Head(self) } else { Found::Nothing }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = self.context();
        if let Some(place) = out.get_mut(FIXED_BYTES - 4..FIXED_BYTES) {
            place.copy_from_slice(&self.body_bytes.to_le_bytes());
        }
        let check = check_of(&out);
        out.extend_from_slice(&check);
        out
    }

    /// Everything that is known before the body is sealed: the length of the body counts as 0.
    fn context(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.head_bytes());
        out.extend_from_slice(MAGIC);
        out.push(u8::from(self.codec == Codec::Zstd));
        out.push(u8::from(self.tier == Tier::Cold));
        out.extend_from_slice(&[0; 2]);
        for number in [self.entries.len() as u32, self.raw_bytes() as u32, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for entry in &self.entries {
            out.extend_from_slice(&entry.address);
            out.extend_from_slice(&entry.bytes.to_le_bytes());
        }
        out
    }
}

/// Makes of a whole record the chunks that it holds, one after another. Their hashes are not checked.
///
/// Errors: `IntegrityError`.
pub(crate) fn decode(
    mut record: Vec<u8>,
    decoder: &mut Decoder,
    protection: &Protection,
) -> Result<(Head, Vec<u8>)> {
    let Found::Head(head) = Head::parse(&record) else {
        return Err(Error::integrity("there is no frame where it was"));
    };
    if record.len() != head.record_bytes() {
        return Err(Error::integrity("the frame is cut off"));
    }
    record.drain(..head.head_bytes());
    // What failed names what it was sealed under: the head, which is no text.
    let changed = |_| Error::integrity("its frame was changed, or is another database's");
    let body = protection.open(&head.context(), record).map_err(changed)?;
    let raw = decoder.decode(head.codec, body, head.raw_bytes())?;
    Ok((head, raw))
}

/// Makes of a record of a plain database one of an encrypted one: its chunks get the names that they have
/// there, and its body is sealed as it is.
///
/// Errors: `IntegrityError`, `StorageError`.
pub(crate) fn reseal(mut record: Vec<u8>, protection: &Protection) -> Result<Vec<u8>> {
    let Found::Head(mut head) = Head::parse(&record) else {
        return Err(Error::integrity("there is no frame where it was"));
    };
    record.drain(..head.head_bytes());
    for entry in &mut head.entries {
        // In a plain database a chunk's name is its leaf.
        entry.address = protection.address(&entry.address);
    }
    let body = protection.seal(&head.context(), record)?;
    head.body_bytes = body.len() as u32;
    let mut resealed = head.encode();
    resealed.extend_from_slice(&body);
    Ok(resealed)
}

const fn head_bytes(chunk_count: usize) -> usize {
    FIXED_BYTES + chunk_count * ENTRY_BYTES + CHECK_BYTES
}

fn check_of(head: &[u8]) -> [u8; CHECK_BYTES] {
    digest(&[head]).first_chunk().copied().unwrap_or_default()
}

fn read_entry(bytes: &[u8]) -> Option<FrameEntry> {
    let (address, length) = bytes.split_first_chunk::<32>()?;
    Some(FrameEntry { address: *address, bytes: u32::from_le_bytes(length.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut builder = FrameBuilder::default();
        for chunk in [&b"hello ".repeat(50)[..], b"there", b""] {
            builder.push(crate::merkle::leaf_hash(chunk), chunk);
        }
        let mut encoder = Encoder::new(Tier::Cold).unwrap();
        builder.finish(&mut encoder, &Protection::Plain).unwrap().record
    }

    fn decoded(record: &[u8]) -> Result<(Head, Vec<u8>)> {
        decode(record.to_vec(), &mut Decoder::new()?, &Protection::Plain)
    }

    #[test]
    fn a_frame_comes_back_with_its_chunks_in_order() {
        let record = record();
        let (head, raw) = decoded(&record).unwrap();
        assert_eq!(head.entries.iter().map(|it| it.bytes).collect::<Vec<_>>(), [300, 5, 0]);
        assert_eq!((head.codec, head.tier), (Codec::Zstd, Tier::Cold));
        assert!(raw.starts_with(b"hello hello ") && raw.ends_with(b"hello there"));
        assert_eq!(head.record_bytes(), record.len());
    }

    #[test]
    fn a_head_is_found_as_soon_as_it_is_whole() {
        let record = record();
        let Found::Head(head) = Head::parse(&record) else { panic!("no head") };
        for end in 0..record.len() {
            match Head::parse(&record[..end]) {
                Found::Head(found) => assert!(end >= head.head_bytes() && found == head),
                Found::NeedsBytes(bytes) => assert!(end < bytes && end < head.head_bytes()),
                Found::Nothing => panic!("cut at {end} it is nothing"),
            }
            assert!(decoded(&record[..end]).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_of_the_head_makes_it_none_and_one_of_the_body_is_found_by_length_or_content() {
        let record = record();
        let Found::Head(head) = Head::parse(&record) else { panic!("no head") };
        let (_, whole) = decoded(&record).unwrap();
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut flipped = record.clone();
                flipped[at] ^= 1 << bit;
                let outcome = decoded(&flipped);
                if at < head.head_bytes() {
                    assert!(outcome.is_err(), "bit {bit} of byte {at}");
                } else if let Ok((_, raw)) = outcome {
                    // The bytes of a zstd frame's head that say nothing of its content.
                    assert!(raw == whole || raw.len() == whole.len());
                }
            }
        }
    }
}
