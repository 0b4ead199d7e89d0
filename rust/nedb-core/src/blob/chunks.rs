//! The chunks of a database: stored once each, found by their content.
//!
//! In: chunks, gathered in frames; leaves to find. Out: chunks whose content was checked.
//!
//! Invariants:
//! * A chunk is handed out only if it hashes to what was asked for.
//! * A chunk that was found on the disk is relied on only after its content was checked once: a crash may
//!   leave the head of a frame and not its body.
//! * After `Put::sync` returned, every chunk that the put relies on is on the disk.
//! * What a process before may have left unsynced is written once more before anything is relied on.
//! * Nothing is read, and no memory used, before the first call.

use super::frame::{self, Frame, Head};
use super::pack::{Pack, name_of, numbers, read_record};
use super::shelf::{ChunkPlace, FramePlace, Shelf};
use super::synced::{PackPlace, Synced};
use super::tier::Decoder;
use crate::crypto::Protection;
use crate::error::{Error, ErrorCode, Result};
use crate::hash::Hash;
use crate::limits::FRAME_CACHE_BYTES;
use crate::merkle::leaf_hashes;
use crate::op::Tier;
use crate::store::{BLOBS_NAME, Directory, OpenHow, StoredFile, process_id, take_or_refuse};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The packs of one database.
#[derive(Debug)]
pub(crate) struct ChunkStore {
    pub(super) directory: Directory,
    pub(super) protection: Arc<Protection>,
    shelf: Mutex<Option<Shelf>>,
    /// Held by the one compaction that is under way.
    pub(super) compacting: Mutex<()>,
    /// What the next process is told of what is synced; taken after the shelf.
    synced: Mutex<Synced>,
    /// Whether what processes before have left in doubt is on the disk.
    is_sure: Mutex<bool>,
    is_writer: bool,
    /// The process that opened the database.
    process_id: u32,
}

impl ChunkStore {
    /// Makes the store of a directory; nothing is read yet.
    pub fn new(directory: Directory, protection: Arc<Protection>, is_writer: bool) -> ChunkStore {
        ChunkStore {
            directory,
            protection,
            shelf: Mutex::default(),
            compacting: Mutex::default(),
            synced: Mutex::default(),
            is_sure: Mutex::new(!is_writer),
            is_writer,
            process_id: process_id(),
        }
    }

    /// Returns how the database is protected.
    pub fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Returns the name under which a chunk is stored.
    pub fn address(&self, leaf: &Hash) -> Hash {
        // One hash a byte: what is named is the leaf, not the content once more.
        self.protection.address(leaf)
    }

    /// Begins to store a file's chunks.
    ///
    /// Errors: `StorageError`.
    pub fn begin_put(self: &Arc<Self>) -> Result<Put> {
        self.make_sure()?;
        let mut shelf = self.shelf()?;
        let (number, failed_sync_count) = (shelf.begin_put(), shelf.failed_sync_count);
        drop(shelf);
        let (packs, cache) = (BTreeSet::new(), FrameCache::new()?);
        Ok(Put { store: Arc::clone(self), number, failed_sync_count, packs, cache })
    }

    /// Hands a chunk to `look`.
    ///
    /// Cost: one read and one decompression for each frame that the cache does not hold; one hash.
    /// Errors: `StorageError`, `IntegrityError` when it is not there or damaged, `KeyRequired` when a reader's
    /// database was encrypted since, and what `look` returns.
    pub fn with_chunk<T>(
        &self,
        leaf: &Hash,
        cache: &mut FrameCache,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let address = self.address(leaf);
        let found = self.shelf()?.find(&address);
        let found = match found {
            None if !self.is_writer => {
                // A writer may have added it since.
                let mut shelf = self.shelf()?;
                self.list_packs(&mut shelf)?;
                shelf.find(&address)
            }
            found => found,
        };
        let Some((place, frame, file)) = found else {
            return Err(self.why_missing());
        };
        let chunk = cache.chunk(self, place, frame, &*file)?;
        let right = chunk.filter(|(_, found)| found == leaf);
        right.map(|(chunk, _)| look(chunk)).ok_or_else(changed)
    }

    /// Says why a chunk stands nowhere.
    fn why_missing(&self) -> Error {
        let may_be_encrypted = !self.is_writer && self.protection.as_sealed().is_none();
        let checked = if may_be_encrypted { self.directory.check_still_plain() } else { Ok(()) };
        checked.err().unwrap_or_else(missing)
    }

    /// Returns how many bytes the frames of a tier take.
    ///
    /// Errors: `StorageError`.
    pub fn stored_bytes(&self, tier: Tier) -> Result<u64> {
        let shelf = self.shelf()?;
        let is_there = |frame: &&FramePlace| shelf.packs.contains_key(&frame.pack);
        let frames = shelf.frames.iter().filter(is_there).filter(|frame| frame.tier == tier);
        Ok(frames.map(|frame| u64::from(frame.record_bytes)).sum())
    }

    /// Takes the shelf; lists the packs when it is taken first.
    pub(super) fn shelf(&self) -> Result<MappedMutexGuard<'_, Shelf>> {
        let try_take = || self.shelf.try_lock();
        let mut shelf = take_or_refuse(self.process_id, try_take, || self.shelf.lock())?;
        if shelf.is_none() {
            let mut listed = Shelf::default();
            self.list_packs(&mut listed)?;
            if self.is_writer && !listed.packs.is_empty() {
                // The process that created the last one may have come no further.
                self.directory.sync(BLOBS_NAME)?;
            }
            listed.current = listed
                .packs
                .last_key_value()
                .and_then(|(number, pack)| pack.takes_more().then_some(*number));
            *shelf = Some(listed);
        }
        Ok(MutexGuard::map(shelf, |shelf| shelf.get_or_insert_default()))
    }

    /// Writes what processes before may have left in doubt once more: from here on all that is found is on the
    /// disk. Files are read meanwhile.
    ///
    /// Cost: nothing after the first time; a listing; what such a process had not synced, read and written.
    /// Errors: `StorageError`; it is then tried again by the next.
    pub(super) fn make_sure(&self) -> Result<()> {
        let mut is_sure = self.is_sure.lock();
        if *is_sure {
            return Ok(());
        }
        let packs = self.shelf()?.packs.clone();
        if let Some(place) = self.synced.lock().read(&self.directory)? {
            for (number, pack) in packs.range(place.pack..) {
                let from_bytes = if *number == place.pack { place.offset_bytes } else { 0 };
                let len_bytes = pack.file.len_bytes();
                let len_bytes = len_bytes.map_err(|error| Error::storage("read a pack", error))?;
                if from_bytes < len_bytes {
                    self.directory.rewrite(&name_of(*number), from_bytes)?;
                }
            }
        }
        *is_sure = true;
        Ok(())
    }

    /// Lets the next process know that packs are in doubt from a place on, before anything is written there.
    ///
    /// Errors: `StorageError`.
    pub(super) fn doubt_from(&self, pack: u32, offset_bytes: u64) -> Result<()> {
        self.synced.lock().doubt_from(&self.directory, PackPlace { pack, offset_bytes })
    }

    /// Lets the next process know how much is on the disk.
    pub(super) fn note_sure(&self, shelf: &Shelf) {
        self.synced.lock().sure_until(&self.directory, shelf.unsynced_from());
    }

    /// Takes in the frames that are in the directory and not on the shelf.
    fn list_packs(&self, shelf: &mut Shelf) -> Result<()> {
        for number in numbers(&self.directory)? {
            let known = shelf.packs.get(&number).cloned();
            let how = if self.is_writer { OpenHow::Append } else { OpenHow::Read };
            let mut pack = match known {
                Some(pack) => pack,
                None => match Pack::open(&self.directory, number, how) {
                    Ok(pack) => pack,
                    // A compaction of the writer beside us was quicker.
                    Err(_) if !self.is_writer => continue,
                    Err(error) => return Err(error),
                },
            };
            let mut take = |offset, head: Head| shelf.add_frame(number, offset, &head, false);
            pack.list(&self.protection, &mut take)?;
            pack.found_bytes = pack.end_bytes;
            shelf.add_pack(number, pack);
        }
        self.settle_copies(shelf)
    }

    /// Chooses among copies of a chunk one that is right: a crash may have torn any but the last that was
    /// acknowledged.
    ///
    /// Cost: nothing without copies, which only what was interrupted leaves; else a read and a hash for each.
    fn settle_copies(&self, shelf: &mut Shelf) -> Result<()> {
        let copies = shelf.take_copies();
        if copies.is_empty() {
            return Ok(());
        }
        let mut cache = FrameCache::new()?;
        for (address, place) in copies {
            let Some((frame, file)) = shelf.frame(place.frame) else { continue };
            let chunk = cache.chunk(self, place, frame, &*file);
            if chunk
                .is_ok_and(|found| found.is_some_and(|(_, leaf)| self.address(&leaf) == address))
            {
                shelf.prefer(address, place);
            }
        }
        Ok(())
    }

    /// Appends a record to the pack that takes it, and returns its number.
    fn append(&self, shelf: &mut Shelf, frame: &Frame) -> Result<u32> {
        let current =
            shelf.current.filter(|number| shelf.packs.get(number).is_some_and(Pack::takes_more));
        let number = match current {
            Some(number) => number,
            None => {
                let number = shelf.reserve_number();
                let created = Pack::create(&self.directory, number)?;
                shelf.add_pack(number, created);
                shelf.current = Some(number);
                number
            }
        };
        let gone = || Error::storage("find a pack", std::io::ErrorKind::NotFound.into());
        let pack = shelf.packs.get_mut(&number).ok_or_else(gone)?;
        self.doubt_from(number, pack.end_bytes)?;
        let offset = pack.append(&frame.record)?;
        shelf.add_frame(number, offset, &frame.head, true);
        Ok(number)
    }
}

/// What is wrong with a chunk that stands nowhere.
pub(super) fn missing() -> Error {
    Error::integrity(format!("it is not in {BLOBS_NAME}/"))
}

/// What is wrong with a chunk that hashes to something else.
pub(super) fn changed() -> Error {
    Error::integrity("its content is not what it was")
}

/// The storing of one file's chunks. Until it is dropped a compaction keeps what it relies on.
#[derive(Debug)]
pub(crate) struct Put {
    store: Arc<ChunkStore>,
    number: u64,
    failed_sync_count: u64,
    /// The packs that hold what it relies on.
    packs: BTreeSet<u32>,
    cache: FrameCache,
}

impl Put {
    /// Returns the store.
    pub fn store(&self) -> &ChunkStore {
        &self.store
    }

    /// Tells whether a chunk is stored already, and relies on it if so.
    ///
    /// Cost: a look-up; for one that this handle has not seen before, a read and a hash.
    /// Errors: `StorageError`.
    pub fn finds(&mut self, leaf: &Hash) -> Result<bool> {
        let address = self.store.address(leaf);
        let mut shelf = self.store.shelf()?;
        shelf.pin(self.number, address);
        let Some((place, frame, file)) = shelf.find(&address) else { return Ok(false) };
        if shelf.packs.get(&frame.pack).is_none_or(|pack| pack.is_doubtful) {
            return Ok(false);
        }
        drop(shelf);
        if !place.is_checked {
            let chunk = self.cache.chunk(&self.store, place, frame, &*file);
            if !chunk.is_ok_and(|found| found.is_some_and(|(_, found)| found == *leaf)) {
                // It is stored again, and the index will know the good copy.
                return Ok(false);
            }
            self.store.shelf()?.note_checked(&address, place);
        }
        self.packs.insert(frame.pack);
        Ok(true)
    }

    /// Stores a frame, and relies on its chunks.
    ///
    /// Errors: `StorageError`.
    pub fn store_frame(&mut self, frame: &Frame) -> Result<()> {
        let mut shelf = self.store.shelf()?;
        let pack = self.store.append(&mut shelf, frame)?;
        drop(shelf);
        if self.packs.insert(pack) && self.packs.len() > 1 {
            // What a large file leaves in doubt when the process ends is one pack at the most.
            let others = self.packs.iter().copied().filter(|other| *other != pack).collect();
            self.sync_packs(others)?;
        }
        Ok(())
    }

    /// Returns once everything that the put relies on is on the disk.
    ///
    /// Errors: `StorageError`; what the pack then holds is unknown, and no longer relied on.
    pub fn sync(&mut self) -> Result<()> {
        let packs = std::mem::take(&mut self.packs);
        self.sync_packs(packs)?;
        if self.store.shelf()?.failed_sync_count == self.failed_sync_count {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::StorageError,
            "a pack could not be synced while the file was written; nothing was appended, write it \
             again",
        ))
    }

    fn sync_packs(&self, packs: BTreeSet<u32>) -> Result<()> {
        for number in packs {
            let Some(pack) = self.store.shelf()?.packs.get(&number).cloned() else { continue };
            if pack.synced_bytes < pack.end_bytes {
                let synced = pack.file.sync();
                self.note_sync(number, pack.end_bytes, synced)?;
            }
        }
        Ok(())
    }

    fn note_sync(&self, number: u32, end_bytes: u64, synced: std::io::Result<()>) -> Result<()> {
        let mut shelf = self.store.shelf()?;
        let Some(pack) = shelf.packs.get_mut(&number) else { return Ok(()) };
        match synced {
            // A sync after one that has failed proves nothing.
            Ok(()) if pack.is_doubtful => Ok(()),
            Ok(()) => {
                pack.synced_bytes = pack.synced_bytes.max(end_bytes);
                self.store.note_sure(&shelf);
                Ok(())
            }
            Err(error) => {
                // A later sync that succeeds proves nothing: nobody relies on this pack any more.
                let end_bytes = pack.cut_doubtful();
                shelf.forget_from(number, end_bytes);
                shelf.failed_sync_count += 1;
                Err(Error::storage("sync a pack", error))
            }
        }
    }
}

impl Drop for Put {
    fn drop(&mut self) {
        if let Ok(mut shelf) = self.store.shelf() {
            shelf.end_put(self.number);
        }
    }
}

/// The frames that a reader has decoded last, within a budget of bytes.
pub(crate) struct FrameCache {
    decoder: Decoder,
    frames: Vec<(u32, DecodedFrame)>,
}

/// A frame's chunks, and the leaves of those that were asked for.
struct DecodedFrame {
    raw: Vec<u8>,
    /// Where each chunk stands, and its leaf once it was computed.
    chunks: Vec<(Range<usize>, Option<Hash>)>,
}

/// How many chunks are hashed beside each other when one is asked for: who reads a file comes for the next.
const HASHED_AHEAD_COUNT: usize = 8;

impl DecodedFrame {
    fn new(head: &Head, raw: Vec<u8>) -> DecodedFrame {
        let chunks = head.chunks(&raw).map(|(entry, start, _)| (range(start, entry.bytes), None));
        DecodedFrame { chunks: chunks.collect(), raw }
    }

    fn bytes(&self, number: usize) -> &[u8] {
        let range = self.chunks.get(number).map(|(range, _)| range.clone());
        range.and_then(|range| self.raw.get(range)).unwrap_or_default()
    }

    /// Returns a chunk and its leaf; None where no chunk stands there.
    fn chunk(&mut self, place: ChunkPlace) -> Option<(&[u8], Hash)> {
        let wanted = range(place.start, place.bytes);
        // A chunk of no bytes begins where the one after it does.
        let first = self.chunks.partition_point(|(range, _)| range.start < wanted.start);
        let is_it = |(range, _): &(Range<usize>, Option<Hash>)| *range == wanted;
        let number = first + self.chunks.iter().skip(first).position(is_it)?;
        let leaf = match self.chunks.get(number)? {
            (_, Some(leaf)) => *leaf,
            (_, None) => self.hash_ahead(number)?,
        };
        Some((self.bytes(number), leaf))
    }

    /// Computes the leaves of a chunk and of those after it, and returns the first.
    fn hash_ahead(&mut self, number: usize) -> Option<Hash> {
        let until = self.chunks.len().min(number + HASHED_AHEAD_COUNT);
        let contents: Vec<&[u8]> = (number..until).map(|number| self.bytes(number)).collect();
        let leaves = leaf_hashes(&contents);
        for ((_, known), leaf) in self.chunks.iter_mut().skip(number).zip(&leaves) {
            *known = Some(*leaf);
        }
        leaves.first().copied()
    }
}

fn range(start: u32, bytes: u32) -> Range<usize> {
    let start = start as usize;
    start..start.saturating_add(bytes as usize)
}

impl std::fmt::Debug for FrameCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FrameCache").field("frames", &self.frames.len()).finish()
    }
}

impl FrameCache {
    /// Makes an empty cache.
    ///
    /// Errors: `StorageError` where there is no memory for it.
    pub fn new() -> Result<FrameCache> {
        Ok(FrameCache { decoder: Decoder::new()?, frames: Vec::new() })
    }

    /// Returns a chunk and its leaf, which was computed of it; None where its frame holds no such chunk.
    fn chunk(
        &mut self,
        store: &ChunkStore,
        place: ChunkPlace,
        frame: FramePlace,
        file: &dyn StoredFile,
    ) -> Result<Option<(&[u8], Hash)>> {
        let number = place.frame;
        match self.frames.iter().position(|(cached, _)| *cached == number) {
            Some(at) => {
                // The last is the one that was used last.
                if let Some(rest) = self.frames.get_mut(at..) {
                    rest.rotate_left(1);
                }
            }
            None => {
                let record = read_record(file, frame.offset, frame.record_bytes)?;
                let (head, raw) = frame::decode(record, &mut self.decoder, store.protection())?;
                self.make_room(raw.len());
                self.frames.push((number, DecodedFrame::new(&head, raw)));
            }
        }
        Ok(self.frames.last_mut().and_then(|(_, decoded)| decoded.chunk(place)))
    }

    fn make_room(&mut self, bytes: usize) {
        let mut held: usize = self.frames.iter().map(|(_, decoded)| decoded.raw.len()).sum();
        while !self.frames.is_empty() && held + bytes > FRAME_CACHE_BYTES {
            held -= self.frames.remove(0).1.raw.len();
        }
    }
}
