//! Files, written: bytes first, then the op that names them.
//!
//! In: a name, and bytes at once or as a stream. Out: the number of the version.
//!
//! Invariants:
//! * The bytes are on the disk before the op is admitted, whatever the durability of ops: no op ever names
//!   bytes that a crash may take.
//! * Nobody waits for the writer of a large file: it holds no lock while it cuts, compresses and writes.
//! * A put that fails leaves no op; what it stored is found by `compact_blobs`.

use crate::blob::{BytesWriter, Written};
use crate::db::check;
use crate::db::database::{Database, Inner};
use crate::db::options::WriteOptions;
use crate::engine::{Admitted, Draft, Group, Origin};
use crate::error::{Error, Result};
use crate::log::Fault;
use crate::op::{FileContent, OpKind, PutFile, Seq, Tier};
use crate::views::next_number;
use std::borrow::Cow;
use std::io::{ErrorKind, Read};

/// How much of a stream is read at once.
const READ_BYTES: usize = 256 << 10;

impl Database {
    /// Writes a version of a file and returns its number.
    ///
    /// Options: all but `ttl_seconds` and `if_seq`. With an `idem` that was used for this file before, the
    /// number given then is returned and nothing is appended: the key stands for the first call, and the bytes
    /// of the second are not looked at, as a document's are not.
    ///
    /// Cost: one hash, and one compression of what no file has yet; on a disk a sync of its pack and one of
    /// the log. Errors: `InvalidArgument`, `LimitExceeded`, `ReplayError`, `IdempotencyConflict`,
    /// `ReadOnly`, `DatabaseClosed`, `StorageError`, `CommitUnknown`.
    pub fn put_file(
        &self,
        name: &str,
        data: &[u8],
        tier: Tier,
        options: &WriteOptions,
    ) -> Result<u64> {
        let mut writer = self.file_writer(name, tier, options)?;
        writer.write(data)?;
        writer.finish()
    }

    /// Writes a version of a file from a stream, as `put_file` does, in the memory of a few chunks.
    ///
    /// `progress` is told the number of bytes taken in so far; an error that it returns ends the put.
    ///
    /// Errors: as `put_file`; `StorageError` when the stream fails, and what `progress` returns. Nothing is
    /// appended then.
    pub fn put_file_from(
        &self,
        name: &str,
        source: &mut dyn Read,
        tier: Tier,
        options: &WriteOptions,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<u64> {
        let mut writer = self.file_writer(name, tier, options)?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = match source.read(&mut buffer) {
                Ok(0) => return writer.finish(),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::storage("read the file to put", error)),
            };
            writer.write(buffer.get(..count).unwrap_or_default())?;
            progress(writer.taken_bytes())?;
        }
    }

    /// Begins a version of a file, whose bytes are then handed over in pieces.
    ///
    /// Errors: as `put_file`; arguments are checked here.
    pub fn file_writer(
        &self,
        name: &str,
        tier: Tier,
        options: &WriteOptions,
    ) -> Result<FileWriter> {
        check::file_name(name)?;
        check::put_file_options(options)?;
        check::options(options)?;
        self.inner.engine.check_writable()?;
        let bytes = BytesWriter::new(&self.inner.packs.store()?, tier)?;
        let (name, options) = (name.to_owned(), options.clone());
        Ok(FileWriter { database: self.clone(), bytes, name, options, taken_bytes: 0 })
    }
}

/// A version of a file on its way into a database. Dropped before `finish`, it leaves no op.
pub struct FileWriter {
    database: Database,
    bytes: BytesWriter,
    name: String,
    options: WriteOptions,
    taken_bytes: u64,
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileWriter").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Takes in the next bytes.
    ///
    /// Errors: `LimitExceeded`, `StorageError`, `DatabaseClosed`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.database.inner.engine.check_open()?;
        self.bytes.write(bytes)?;
        self.taken_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns how many bytes were taken in.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Ends the version: appends its op, and returns its number.
    ///
    /// Errors: as `put_file`.
    pub fn finish(mut self) -> Result<u64> {
        let written = self.bytes.finish()?;
        let checked = check::options(&self.options)?;
        let tier = self.bytes.tier();
        let FileWriter { database, name, .. } = &self;
        database.inner.engine.admit(|group| {
            let version = group.next_file_version(name);
            let draft = put_file_draft(&checked.origin, (name, version, tier), &written);
            match group.stage(draft)? {
                Admitted::New(_) => Ok(version),
                Admitted::Replayed(seq) => database.inner.version_written_by(seq),
            }
        })
    }
}

impl Group<'_, '_> {
    /// Returns the number for the next version of a file, those counted that are not folded yet.
    fn next_file_version(&self, name: &str) -> u64 {
        let folded =
            self.with_state(|state| next_number(state.views.files.versions(name, Seq::MAX)));
        let pending = self.pending_file_version(name).map_or(0, |last| last.saturating_add(1));
        folded.max(pending)
    }
}

impl Inner {
    fn version_written_by(&self, seq: Seq) -> Result<u64> {
        self.engine.read()?.log.with_fields(seq, |fields| {
            match fields.to_op()?.items.as_slice().first().map(|item| &item.kind) {
                Some(OpKind::PutFile(put)) => Ok(put.version),
                _ => Err(Fault::Unreadable("it puts no file".to_owned())),
            }
        })
    }
}

fn put_file_draft<'a>(
    origin: &'a Origin<'a>,
    (name, version, tier): (&'a str, u64, Tier),
    written: &Written,
) -> Draft<'a> {
    let Written { root, manifest, size_bytes } = *written;
    let content = Some(FileContent { size_bytes, manifest });
    let put = PutFile { name: Cow::Borrowed(name), version, tier, root, content };
    Draft::one(origin, OpKind::PutFile(put))
}
