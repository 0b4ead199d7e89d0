//! Files, read: which versions there are, and the bytes of one.
//!
//! In: a name, and which version. Out: bytes, each chunk checked against the root that the op says.
//!
//! Invariants:
//! * A byte is handed out only after its chunk was found to be the one that the version's root covers.
//! * What is damaged is named: the file, the version, the chunk.
//! * No lock is held while bytes are read.

use super::packs::Packs;
use crate::blob::{ChunkStore, FrameCache, LegacyFiles, Manifest};
use crate::db::database::{Database, Inner};
use crate::error::{Error, ErrorCode, Result};
use crate::hash::{Hash, hash_from_hex, to_hex};
use crate::merkle::{Side, Tree, path, root, root_of_path};
use crate::op::{Seq, Tier};
use crate::snapshot::FileVersion;
use crate::store::LEGACY_STATE_FILE_NAME;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Weak};

/// Which version of a file; by default the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAt {
    /// Its number; -1 is the last, -2 the one before.
    pub version: Option<i64>,
    /// Its tier, where NEDB 1.x gave two versions one number; None prefers the warm one.
    pub tier: Option<Tier>,
    /// The last seq that counts; None is the head.
    pub as_of: Option<Seq>,
}

/// What the log says of a version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// The number by which it is read.
    pub version: u64,
    /// How it was compressed.
    pub tier: Tier,
    /// Its length; None for a file of NEDB 1.x, which did not say.
    pub size_bytes: Option<u64>,
    /// The root of the tree over its chunks, 64 characters of hex.
    pub root: String,
    /// The op that put it.
    pub seq: Seq,
}

impl FileInfo {
    fn of(version: &FileVersion) -> FileInfo {
        FileInfo {
            version: version.number,
            tier: version.tier,
            size_bytes: version.content.map(|content| content.size_bytes),
            root: to_hex(&version.root),
            seq: version.seq,
        }
    }

    /// Returns it as JSON text.
    pub fn to_json(&self) -> String {
        let size = self.size_bytes.map_or("null".to_owned(), |size_bytes| size_bytes.to_string());
        format!(
            "{{\"root\":\"{}\",\"seq\":{},\"size\":{size},\"tier\":\"{}\",\"version\":{}}}",
            self.root,
            self.seq,
            self.tier.as_str(),
            self.version
        )
    }
}

/// That a chunk is part of a version of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProof {
    /// What the chunk hashes to behind a byte 0 (for NEDB 1.x, as it is), 64 characters of hex.
    pub leaf: String,
    /// The neighbours on the way to the root, nearest first.
    pub path: Vec<(String, Side)>,
    /// The root that the log says.
    pub root: String,
}

impl FileProof {
    /// Returns it as JSON text: `{"leaf", "path": [[hash, "L" or "R"], ...], "root"}`.
    pub fn to_json(&self) -> String {
        let step = |(hash, side): &(String, Side)| format!("[\"{hash}\",\"{}\"]", side.as_str());
        let path: Vec<String> = self.path.iter().map(step).collect();
        let FileProof { leaf, root, .. } = self;
        format!("{{\"leaf\":\"{leaf}\",\"path\":[{}],\"root\":\"{root}\"}}", path.join(","))
    }
}

impl Database {
    /// Returns the names of the files that there are, in order of their first version.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn files(&self, as_of: Option<Seq>) -> Result<Vec<String>> {
        self.files_within(as_of, 0..usize::MAX)
    }

    /// Returns a part of what `files` does: the names at some places, which are counted from 0.
    ///
    /// Cost: a step for each that stands before the end of the part. Errors: `DatabaseClosed`.
    pub fn files_within(&self, as_of: Option<Seq>, places: Range<usize>) -> Result<Vec<String>> {
        Ok(part_of(self.snapshot(as_of, None)?.file_names(), places))
    }

    /// Returns the versions of a file, oldest first; none for a name that is no file's.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn file_versions(&self, name: &str, as_of: Option<Seq>) -> Result<Vec<FileInfo>> {
        self.file_versions_within(name, as_of, 0..usize::MAX)
    }

    /// Returns a part of what `file_versions` does: the versions at some places, which are counted from 0.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn file_versions_within(
        &self,
        name: &str,
        as_of: Option<Seq>,
        places: Range<usize>,
    ) -> Result<Vec<FileInfo>> {
        let snapshot = self.snapshot(as_of, None)?;
        let versions = snapshot.file_versions(name).iter().skip(places.start).take(places.len());
        Ok(versions.map(FileInfo::of).collect())
    }

    /// Returns the bytes of a version of a file.
    ///
    /// Cost: one decompression and one hash, and the memory of the whole; `open_file` takes a few chunks.
    /// Errors: `NotFound` where there is no such version; `IntegrityError` naming the chunk that is damaged
    /// or missing; `StorageError`, `DatabaseClosed`.
    pub fn get_file(&self, name: &str, at: &FileAt) -> Result<Vec<u8>> {
        self.open_file(name, at)?.into_bytes()
    }

    /// Opens a version of a file to read it from any place, a few chunks in memory at a time.
    ///
    /// It goes on reading the same version whatever is written meanwhile, until the database is closed.
    ///
    /// Errors: as `get_file`.
    pub fn open_file(&self, name: &str, at: &FileAt) -> Result<FileReader> {
        let version = self.file_version(name, at)?;
        let named = Named { name: name.to_owned(), number: version.number };
        let source = match self.inner.leaves_of(&named, &version)? {
            Leaves::Packs(manifest) => Source::Packs(PacksSource {
                packs: Arc::clone(&self.inner.packs),
                store: Weak::new(),
                manifest,
                cache: FrameCache::new()?,
                held: None,
            }),
            Leaves::Legacy(files, leaves) => {
                Source::Memory(named.legacy_bytes(&files, version.tier, &leaves)?)
            }
        };
        Ok(FileReader { named, info: FileInfo::of(&version), source, position: 0 })
    }

    /// Returns the root of the tree over a version's chunks, as its op says, 64 characters of hex.
    ///
    /// Errors: `NotFound`, `DatabaseClosed`.
    pub fn file_root(&self, name: &str, at: &FileAt) -> Result<String> {
        Ok(to_hex(&self.file_version(name, at)?.root))
    }

    /// Proves that a chunk is part of a version of a file.
    ///
    /// Cost: a look at the list of its chunks. Errors: as `get_file`; `NotFound` where there is no such
    /// chunk.
    pub fn file_proof(&self, name: &str, chunk: u64, at: &FileAt) -> Result<FileProof> {
        let version = self.file_version(name, at)?;
        let named = Named { name: name.to_owned(), number: version.number };
        let leaves = self.inner.leaves_of(&named, &version)?;
        let (tree, leaves) = leaves.as_tree();
        let place = usize::try_from(chunk).unwrap_or(usize::MAX);
        let steps = path(tree, leaves, place).zip(leaves.get(place));
        let (steps, leaf) = steps.ok_or_else(|| {
            not_found(format!("{named} has {} chunks, and none is {chunk}", leaves.len()))
        })?;
        let path = steps.iter().map(|(hash, side)| (to_hex(hash), *side)).collect();
        Ok(FileProof { leaf: to_hex(leaf), path, root: to_hex(&version.root) })
    }

    /// Tells whether a proof leads from its leaf to its root; needs no database.
    ///
    /// What is no hash proves nothing. That the root is a file's, its op in the log says.
    pub fn verify_proof(proof: &FileProof) -> bool {
        let step = |(hash, side): &(String, Side)| Some((hash_from_hex(hash)?, *side));
        let steps: Option<Vec<(Hash, Side)>> = proof.path.iter().map(step).collect();
        let found = hash_from_hex(&proof.leaf).zip(steps).zip(hash_from_hex(&proof.root));
        found.is_some_and(|((leaf, steps), root)| {
            // A node of one tree is hashed from 65 bytes and of the other from 64: no path fits both.
            let leads_there = |tree| root_of_path(tree, &leaf, &steps) == root;
            leads_there(Tree::Rfc6962) || leads_there(Tree::Nedb1)
        })
    }

    /// Finds a version of a file.
    fn file_version(&self, name: &str, at: &FileAt) -> Result<FileVersion> {
        let snapshot = self.snapshot(at.as_of, None)?;
        let versions = snapshot.file_versions(name);
        if versions.is_empty() {
            return Err(not_found(format!(
                "there is no file {name:?}; files() lists those there are"
            )));
        }
        let of_tier: Vec<&FileVersion> =
            versions.iter().filter(|it| at.tier.is_none_or(|tier| it.tier == tier)).collect();
        let found = match at.version.unwrap_or(-1) {
            from_end @ ..0 => {
                let back = usize::try_from(from_end.unsigned_abs()).unwrap_or(usize::MAX);
                of_tier.len().checked_sub(back).and_then(|place| of_tier.get(place))
            }
            number => {
                let same: Vec<_> =
                    of_tier.iter().filter(|it| i64::try_from(it.number) == Ok(number)).collect();
                same.iter().find(|it| it.tier == Tier::Warm).or(same.first()).copied()
            }
        };
        found.map(|version| **version).ok_or_else(|| {
            let of_tier =
                at.tier.map_or(String::new(), |tier| format!(" in the {} tier", tier.as_str()));
            not_found(format!(
                "file {name:?} has no such version{of_tier}; file_versions() lists those there are"
            ))
        })
    }
}

impl Inner {
    /// Returns the leaves of a version's chunks, checked against its root.
    fn leaves_of(&self, named: &Named, version: &FileVersion) -> Result<Leaves> {
        let leaves = self.bare_leaves_of(named, version);
        leaves.map_err(|error| named.damaged("the list of chunks", error))
    }

    /// Does the same, with errors that do not say which file they are about.
    pub(in crate::db) fn bare_leaves_of(
        &self,
        named: &Named,
        version: &FileVersion,
    ) -> Result<Leaves> {
        let leaves = match &version.content {
            Some(content) => {
                let store = self.packs.store()?;
                let bytes = store.chunk(&content.manifest, &mut FrameCache::new()?)?;
                Leaves::Packs(Manifest::decode(&bytes)?)
            }
            None => {
                let files = self.legacy_files()?;
                let found = files.leaves(version.tier, &named.name, version.number);
                let leaves = found.map(<[Hash]>::to_vec).ok_or_else(lost)?;
                Leaves::Legacy(files, leaves)
            }
        };
        let (tree, hashes) = leaves.as_tree();
        if root(tree, hashes) == version.root {
            return Ok(leaves);
        }
        Err(Error::integrity("it is that of another file: the root is not the one of the op"))
    }

    /// Returns the manifest of a version that has one.
    pub(in crate::db) fn manifest_of(
        &self,
        name: &str,
        version: &FileVersion,
    ) -> Result<Option<Manifest>> {
        let named = Named { name: name.to_owned(), number: version.number };
        match version.content {
            None => Ok(None),
            Some(_) => match self.leaves_of(&named, version)? {
                Leaves::Packs(manifest) => Ok(Some(manifest)),
                Leaves::Legacy(..) => Ok(None),
            },
        }
    }

    /// Returns the files of NEDB 1.x; reads them when they are asked for first.
    fn legacy_files(&self) -> Result<Arc<LegacyFiles>> {
        let mut held = self.legacy.lock();
        if let Some(files) = &*held {
            return Ok(Arc::clone(files));
        }
        let bytes = match &self.directory {
            Some(directory) => directory.read(LEGACY_STATE_FILE_NAME)?,
            None => None,
        };
        let files = match bytes {
            Some(bytes) => LegacyFiles::parse(&bytes, Arc::clone(&self.protection))?,
            None => LegacyFiles::default(),
        };
        let files = Arc::new(files);
        *held = Some(Arc::clone(&files));
        Ok(files)
    }
}

/// Returns the texts at some places.
fn part_of<'t>(texts: impl Iterator<Item = &'t str>, places: Range<usize>) -> Vec<String> {
    texts.skip(places.start).take(places.len()).map(str::to_owned).collect()
}

fn not_found(message: String) -> Error {
    Error::new(ErrorCode::NotFound, message)
}

fn lost() -> Error {
    Error::integrity(format!(
        "it is not in {LEGACY_STATE_FILE_NAME}: NEDB 1.x kept the bytes of files in memory and wrote them there \
         at a checkpoint alone"
    ))
}

/// A version of a file, for messages.
#[derive(Clone, Debug)]
pub(in crate::db) struct Named {
    pub name: String,
    pub number: u64,
}

impl std::fmt::Display for Named {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "version {} of file {:?}", self.number, self.name)
    }
}

impl Named {
    /// Says in an error of integrity what it is about.
    fn damaged(&self, part: &str, error: Error) -> Error {
        if error.code() != ErrorCode::IntegrityError {
            return error;
        }
        Error::integrity(format!("{part} of {self} is damaged or missing: {error}"))
    }

    fn legacy_bytes(&self, files: &LegacyFiles, tier: Tier, leaves: &[Hash]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (place, leaf) in leaves.iter().enumerate() {
            files
                .read_chunk(tier, leaf, &mut bytes)
                .map_err(|error| self.damaged(&format!("chunk {place}"), error))?;
        }
        Ok(bytes)
    }
}

/// The leaves of a version's chunks.
pub(in crate::db) enum Leaves {
    Packs(Manifest),
    Legacy(Arc<LegacyFiles>, Vec<Hash>),
}

impl Leaves {
    pub(in crate::db) fn as_tree(&self) -> (Tree, &[Hash]) {
        match self {
            Leaves::Packs(manifest) => (Tree::Rfc6962, &manifest.leaves),
            Leaves::Legacy(_, leaves) => (Tree::Nedb1, leaves),
        }
    }
}

/// The bytes of one version of a file, to be read from any place.
#[derive(Debug)]
pub struct FileReader {
    named: Named,
    info: FileInfo,
    source: Source,
    position: u64,
}

#[derive(Debug)]
enum Source {
    Packs(PacksSource),
    /// A file of NEDB 1.x, which its snapshot holds in memory anyway.
    Memory(Vec<u8>),
}

#[derive(Debug)]
struct PacksSource {
    packs: Arc<Packs>,
    /// The store whose frames are in the cache.
    store: Weak<ChunkStore>,
    manifest: Manifest,
    cache: FrameCache,
    /// The chunk that was read last, and its number.
    held: Option<(usize, Vec<u8>)>,
}

impl FileReader {
    /// Returns the length of the file.
    pub fn size_bytes(&self) -> u64 {
        match &self.source {
            Source::Packs(source) => source.manifest.size_bytes(),
            Source::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Returns what the log says of the version.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the number of the version.
    pub fn version(&self) -> u64 {
        self.named.number
    }

    /// Returns where the next byte is read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Sets where the next byte is read; beyond the end there is none.
    pub fn set_position(&mut self, position: u64) {
        self.position = position;
    }

    /// Fills a buffer as far as the chunk at the position goes, and returns how many bytes that is; 0 at
    /// the end.
    ///
    /// Errors: `StorageError`, `IntegrityError`, `DatabaseClosed`.
    pub fn read_bytes(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let rest = match &mut self.source {
            Source::Memory(bytes) => {
                bytes.get(usize::try_from(self.position).unwrap_or(usize::MAX)..)
            }
            Source::Packs(source) => source.rest_of_chunk(self.position, &self.named)?,
        };
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.position += count as u64;
        Ok(count)
    }

    /// Reads the whole file.
    fn into_bytes(self) -> Result<Vec<u8>> {
        let source = match self.source {
            Source::Memory(bytes) => return Ok(bytes),
            Source::Packs(source) => source,
        };
        let PacksSource { packs, manifest, mut cache, .. } = source;
        let store = packs.store()?;
        // The manifest's root was checked, and so were the lengths, by the leaf of the manifest itself.
        let mut bytes = Vec::with_capacity(usize::try_from(manifest.size_bytes()).unwrap_or(0));
        for (place, leaf) in manifest.leaves.iter().enumerate() {
            store
                .with_chunk(leaf, &mut cache, |chunk| bytes.extend_from_slice(chunk))
                .map_err(|error| self.named.damaged(&format!("chunk {place}"), error))?;
        }
        Ok(bytes)
    }
}

impl PacksSource {
    /// Returns the store as it is now; the cache holds frames of no other.
    fn store(&mut self) -> Result<Arc<ChunkStore>> {
        let store = self.packs.store()?;
        if !std::ptr::eq(self.store.as_ptr(), Arc::as_ptr(&store)) {
            self.cache = FrameCache::new()?;
            self.store = Arc::downgrade(&store);
        }
        Ok(store)
    }

    /// Returns what is left of the chunk at a position; None beyond the end.
    fn rest_of_chunk(&mut self, position: u64, named: &Named) -> Result<Option<&[u8]>> {
        let place = self.manifest.chunk_at(position);
        let Some((start, _)) = self.manifest.range(place) else { return Ok(None) };
        if self.held.as_ref().is_none_or(|(held, _)| *held != place) {
            let leaf = self.manifest.leaves.get(place).copied().unwrap_or_default();
            let chunk = self.store()?.chunk(&leaf, &mut self.cache);
            let chunk = chunk.map_err(|error| named.damaged(&format!("chunk {place}"), error))?;
            self.held = Some((place, chunk));
        }
        let skipped = usize::try_from(position - start).unwrap_or(usize::MAX);
        Ok(self.held.as_ref().and_then(|(_, chunk)| chunk.get(skipped..)))
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_bytes(buffer).map_err(io::Error::other)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.size_bytes(), by),
        };
        self.position = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
