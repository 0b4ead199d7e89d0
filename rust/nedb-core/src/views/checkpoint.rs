//! All views as one file, and back (docs/format.md, "A checkpoint").
//!
//! In: a state. Out: bytes; or from bytes the views, and where each line of the log stands.
//!
//! Invariants:
//! * The same calls make the same bytes in every process and from every language: what is held in no
//!   order is written in one.
//! * Whatever the bytes are, reading them ends in views whose numbers all lead somewhere, or in
//!   `Unusable`; never in a panic, nor in more memory than the bytes account for.
//! * No document's text is in it.

use super::codec::{Malformed, Reader, SavedLog, Writer};
use super::{Causes, Clients, Documents, Expiry, Files, Indexes, Relations, State, Views};
use crate::hash::is_hash;
use crate::op::Seq;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8; 8] = b"NEDBVIEW";
/// Raised whenever the bytes below change their meaning: a file of another version is not read.
const VERSION: u32 = 1;
/// The magic, the version, the checksum.
const PREFIX_BYTES: usize = 20;

/// Views at one seq, with what is known of the log up to there.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub views: Views,
    /// The hash of the op at its seq.
    pub head: String,
    pub log: LineStarts,
    /// The first member that no hash covers, and its op.
    pub uncovered: Option<(Seq, String)>,
}

/// Where the lines of a log stand.
#[derive(Debug)]
pub(crate) struct LineStarts {
    pub starts: Vec<u64>,
    /// Where the last one ends.
    pub end: u64,
}

/// Why a file is not read, as the end of a sentence that begins with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub String);

impl From<Malformed> for Unusable {
    fn from(Malformed(reason): Malformed) -> Self {
        Unusable(format!("its content is not well-formed: {reason}"))
    }
}

impl State {
    /// Goes on from a checkpoint, in place of an empty log. Whoever finds its seal in the log says so.
    pub fn restore(&mut self, checkpoint: Checkpoint) {
        let Checkpoint { views, head, log, uncovered } = checkpoint;
        self.log.restore_lines(log.starts, log.end);
        (self.views, self.head, self.uncovered) = (views, head, uncovered);
        self.unsealed_seq = Some(self.views.seq);
    }
}

impl Checkpoint {
    /// What the names of the files begin with that hold one; the seq follows.
    pub const FILE_NAME_PREFIX: &'static str = "checkpoint.";

    /// Returns the name of the file that holds the views at a seq.
    pub fn file_name(seq: Seq) -> String {
        format!("{}{seq}", Self::FILE_NAME_PREFIX)
    }

    /// Writes a state as bytes.
    ///
    /// Cost: linear in ops, versions and postings; about 15 bytes for a small document.
    pub fn encode(state: &State) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(MAGIC);
        out.bytes(&VERSION.to_le_bytes());
        out.fixed(0);
        let State { views, log, head, uncovered, .. } = state;
        out.count(log.op_count());
        out.text(head);
        out.byte(u8::from(uncovered.is_some()));
        if let Some((seq, key)) = uncovered {
            out.rise(0, *seq);
            out.text(key);
        }
        let ends = log.line_starts().iter().skip(1).copied().chain([log.len_bytes()]);
        for (start, end) in log.line_starts().iter().zip(ends) {
            out.unsigned(end - start);
        }
        views.documents.encode(&mut out);
        views.relations.encode(&mut out);
        views.causes.encode(&mut out);
        views.clients.encode(&mut out);
        views.files.encode(&mut out);
        views.indexes.encode(|collection| views.documents.lives(collection), &mut out);
        with_checksum(out.into_bytes())
    }

    /// Checks that bytes are whole, as far as their checksum tells.
    pub fn check(bytes: &[u8]) -> Result<(), Unusable> {
        body_of(bytes).map(drop)
    }

    /// Reads what `encode` wrote.
    pub fn decode(bytes: &[u8]) -> Result<Checkpoint, Unusable> {
        let mut input = Reader::new(body_of(bytes)?);
        let op_count = input.count(1)?;
        let head = input.text()?.to_owned();
        if !is_hash(&head) || op_count == 0 {
            return Err(Malformed("it names no op").into());
        }
        let last_seq = op_count as Seq - 1;
        let uncovered = match input.byte()? {
            0 => None,
            _ => Some((input.rise(0, last_seq)?, input.text()?.to_owned())),
        };
        let log = LineStarts::decode(&mut input, op_count)?;
        let views = decode_views(&mut input, SavedLog { starts: &log.starts, end: log.end })?;
        if !input.is_at_end() {
            return Err(Malformed("it goes on after its end").into());
        }
        Ok(Checkpoint { views, head, log, uncovered })
    }
}

impl LineStarts {
    fn decode(input: &mut Reader<'_>, count: usize) -> Result<LineStarts, Malformed> {
        let mut starts = Vec::with_capacity(count);
        let mut end = 0_u64;
        for _ in 0..count {
            starts.push(end);
            let line_bytes = input.unsigned()?;
            end = end.checked_add(line_bytes).ok_or(Malformed("a line is too long"))?;
        }
        Ok(LineStarts { starts, end })
    }
}

fn decode_views(input: &mut Reader<'_>, log: SavedLog<'_>) -> Result<Views, Malformed> {
    let seq = log.last_seq();
    let documents = Documents::decode(input, log)?;
    let relations = Relations::decode(input, seq)?;
    let causes = Causes::decode(input, seq)?;
    let clients = Clients::decode(input, seq)?;
    let files = Files::decode(input, seq)?;
    let collection_count = documents.collection_count();
    let indexes = Indexes::decode(input, collection_count, |it| documents.lives(it), seq)?;
    let mut expiry = Expiry::default();
    for collection in 0..collection_count {
        for (document, expires_at) in documents.ends(collection) {
            expiry.set(collection, document, Some(expires_at));
        }
    }
    Ok(Views { seq, documents, relations, causes, clients, expiry, files, indexes })
}

/// Puts the checksum where room was left for it.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some((prefix, body)) = bytes.split_at_mut_checked(PREFIX_BYTES)
        && let Some(place) = prefix.last_chunk_mut()
    {
        *place = xxh3_64(body).to_le_bytes();
    }
    bytes
}

/// Returns what comes after the prefix, once that fits.
fn body_of(bytes: &[u8]) -> Result<&[u8], Unusable> {
    let unusable = |reason: &str| Unusable(reason.to_owned());
    let no_checkpoint = || unusable("it is no checkpoint, or only the beginning of one");
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(no_checkpoint)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(no_checkpoint)?;
    let (checksum, body) = rest.split_first_chunk::<8>().ok_or_else(no_checkpoint)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(Unusable(format!("it is of version {version}, and this one reads {VERSION}")));
    }
    if u64::from_le_bytes(*checksum) != xxh3_64(body) {
        return Err(unusable("its checksum does not fit: it is torn, or was changed"));
    }
    Ok(body)
}
