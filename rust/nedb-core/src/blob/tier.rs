//! How bytes are compressed in each tier: zstd, quickly or as much as possible.
//!
//! In: bytes that are stored together. Out: fewer bytes, or the same where nothing is to be gained.
//!
//! Invariants:
//! * Decoding allocates what the caller says the result has, and fails when it has not.

use crate::error::{Error, Result};
use crate::limits::{FRAME_COLD_BYTES, FRAME_WARM_BYTES};
use crate::op::Tier;
use std::io;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

/// How bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As they are.
    Raw,
    /// As one zstd frame (RFC 8878).
    Zstd,
}

const WARM_LEVEL: i32 = 1;
const COLD_LEVEL: i32 = 19;
/// In the cold tier: a window over a whole frame, and tables that keep the memory of a put below 64 MiB.
const COLD_WINDOW_LOG: u32 = 23;
const COLD_CHAIN_LOG: u32 = 22;
const COLD_HASH_LOG: u32 = 21;

/// Returns how many bytes are compressed together.
pub(super) fn frame_bytes(tier: Tier) -> usize {
    match tier {
        Tier::Warm => FRAME_WARM_BYTES,
        Tier::Cold => FRAME_COLD_BYTES,
    }
}

/// Compresses for one tier; made once for many frames.
pub(crate) struct Encoder {
    compressor: Compressor<'static>,
    pub tier: Tier,
}

impl Encoder {
    /// Makes an encoder.
    ///
    /// Errors: `StorageError` where there is no memory for it.
    pub fn new(tier: Tier) -> Result<Encoder> {
        let made = match tier {
            Tier::Warm => Compressor::new(WARM_LEVEL),
            Tier::Cold => cold_compressor(),
        };
        Ok(Encoder { compressor: made.map_err(failed)?, tier })
    }

    /// Appends bytes as they are to be stored.
    ///
    /// Errors: `StorageError` where there is no memory for it.
    pub fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<Codec> {
        let stored = self.compressor.compress(raw).map_err(failed)?;
        if stored.len() < raw.len() {
            out.extend_from_slice(&stored);
            return Ok(Codec::Zstd);
        }
        out.extend_from_slice(raw);
        Ok(Codec::Raw)
    }
}

fn cold_compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(COLD_LEVEL)?;
    for parameter in [
        CParameter::WindowLog(COLD_WINDOW_LOG),
        CParameter::ChainLog(COLD_CHAIN_LOG),
        CParameter::HashLog(COLD_HASH_LOG),
    ] {
        compressor.set_parameter(parameter)?;
    }
    Ok(compressor)
}

/// Decompresses; made once for many frames.
pub(crate) struct Decoder {
    decompressor: Decompressor<'static>,
}

impl Decoder {
    /// Makes a decoder.
    ///
    /// Errors: `StorageError` where there is no memory for it.
    pub fn new() -> Result<Decoder> {
        Ok(Decoder { decompressor: Decompressor::new().map_err(failed)? })
    }

    /// Makes of what is stored the bytes that it stands for.
    ///
    /// Errors: `IntegrityError` when they are not `raw_bytes`.
    pub fn decode(&mut self, codec: Codec, stored: Vec<u8>, raw_bytes: usize) -> Result<Vec<u8>> {
        let raw = match codec {
            Codec::Raw => stored,
            Codec::Zstd => self.decompressor.decompress(&stored, raw_bytes).map_err(|error| {
                Error::integrity("its compressed bytes are damaged").with_source(error)
            })?,
        };
        if raw.len() == raw_bytes {
            return Ok(raw);
        }
        Err(Error::integrity(format!("it has {} bytes and not {raw_bytes}", raw.len())))
    }
}

fn failed(error: io::Error) -> Error {
    Error::storage("compress", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back_in_both_tiers_and_never_grows() {
        let text = b"the same again and again, ".repeat(4_000);
        let noise: Vec<u8> =
            (0..30_000_u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect();
        let mut decoder = Decoder::new().unwrap();
        for tier in [Tier::Warm, Tier::Cold] {
            let mut encoder = Encoder::new(tier).unwrap();
            for raw in [&text[..], &noise, b"", b"x"] {
                let mut stored = Vec::new();
                let codec = encoder.encode(raw, &mut stored).unwrap();
                assert!(stored.len() <= raw.len());
                assert_eq!(codec == Codec::Raw, stored.len() == raw.len());
                assert_eq!(decoder.decode(codec, stored.clone(), raw.len()).unwrap(), raw);
                let error = decoder.decode(codec, stored, raw.len() + 1).unwrap_err();
                assert_eq!(error.code(), crate::error::ErrorCode::IntegrityError);
            }
        }
    }

    #[test]
    fn bytes_that_would_become_more_than_was_said_are_refused_and_not_made() {
        let mut stored = Vec::new();
        let codec =
            Encoder::new(Tier::Warm).unwrap().encode(&vec![0; 9 << 20], &mut stored).unwrap();
        assert!(Decoder::new().unwrap().decode(codec, stored, 1 << 10).is_err());
    }
}
