//! Files: the methods of `NEDB` that put and read them, and the class `FileReader`.
//!
//! In: bytes, a binary file object or an iterable of bytes. Out: bytes, or a reader that is a binary file
//! object itself.
//!
//! Invariant: Python code runs (a file's `read`, a callback) while the engine holds no lock, and the engine
//! works (cuts, hashes, compresses, reads) while this thread has let go of the GIL.

use std::io::{Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use nedb_core::{Database, FileAt, FileProof, FileReader, FileWriter, Side, Tier};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyByteArray, PyBytes, PyMemoryView, PyString, PyTuple};

use crate::arguments::{AsOf, Integer, Real, Seqs, Text, because, during, origin, seq};
use crate::convert;
use crate::database::Nedb;
use crate::error::{invalid, to_python};
use crate::progress::Listener;

/// A proof as Python sees it: leaf, path of (hash, side), root.
type Proof = (String, Vec<(String, &'static str)>, String);

/// How much of a file object is read at once.
const READ_BYTES: usize = 1 << 20;

#[pymethods]
#[allow(clippy::too_many_arguments, reason = "the keywords are what users were promised")]
impl Nedb {
    /// Writes a version of a file and returns its number.
    ///
    /// data is bytes-like, a binary file object, or an iterable of bytes; the last two are taken in piece
    /// by piece. tier is "warm" (quick) or "cold" (as small as possible). progress is called with the
    /// number of bytes taken in so far; an exception that it raises ends the put, and nothing is appended.
    #[pyo3(
        signature = (name, data, tier=None, client=None, nonce=None, idem=None, caused_by=None,
            evidence=None, confidence=None, valid_from=None, valid_to=None, *, progress=None),
        text_signature = "($self, name, data, tier='warm', client='local', nonce=None, idem=None, \
            caused_by=None, evidence=None, confidence=None, valid_from=None, valid_to=None, *, \
            progress=None)"
    )]
    fn put_file(
        &self,
        py: Python<'_>,
        name: Text,
        data: &Bound<'_, PyAny>,
        tier: Option<Text>,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
        valid_from: Option<Text>,
        valid_to: Option<Text>,
        progress: Option<Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        let options = during(options, valid_from, valid_to, None);
        let tier = tier_of(py, tier)?.unwrap_or_default();
        let writer =
            self.engine.slow(py, |database| database.file_writer(&name.0, tier, &options))?;
        let mut upload = Upload { py, writer, progress };
        upload.take_all(data)?;
        let writer = upload.writer;
        self.engine.slow(py, |_| writer.finish())
    }

    /// Returns the bytes of a version of a file: the last one, or the one with that number; -1 is the
    /// last, -2 the one before. tier tells apart what NEDB 1.x numbered for each tier.
    #[pyo3(signature = (name, version=None, tier=None, *, as_of=None))]
    fn get_file<'py>(
        &self,
        py: Python<'py>,
        name: Text,
        version: Option<Integer>,
        tier: Option<Text>,
        as_of: Option<AsOf>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let at = file_at(py, version, tier, as_of)?;
        let bytes = self.engine.slow(py, |database| database.get_file(&name.0, &at))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Opens a version of a file as a binary file object, which reads a few chunks at a time.
    #[pyo3(signature = (name, version=None, tier=None, *, as_of=None))]
    fn open_file(
        &self,
        py: Python<'_>,
        name: Text,
        version: Option<Integer>,
        tier: Option<Text>,
        as_of: Option<AsOf>,
    ) -> PyResult<PyFileReader> {
        let at = file_at(py, version, tier, as_of)?;
        let reader = self.engine.slow(py, |database| database.open_file(&name.0, &at))?;
        Ok(PyFileReader { name: name.0, reader: Mutex::new(Some(reader)) })
    }

    /// Returns the Merkle root of a version, which its op in the log says: 64 hexadecimal digits.
    #[pyo3(signature = (name, version=None, tier=None, *, as_of=None))]
    fn file_root(
        &self,
        py: Python<'_>,
        name: Text,
        version: Option<Integer>,
        tier: Option<Text>,
        as_of: Option<AsOf>,
    ) -> PyResult<String> {
        let at = file_at(py, version, tier, as_of)?;
        self.engine.slow(py, |database| database.file_root(&name.0, &at))
    }

    /// Proves that a chunk is part of a version: (leaf, [(hash, "L" or "R"), ...], root).
    #[pyo3(signature = (name, chunk_index, version=None, tier=None, *, as_of=None))]
    fn file_proof(
        &self,
        py: Python<'_>,
        name: Text,
        chunk_index: Integer,
        version: Option<Integer>,
        tier: Option<Text>,
        as_of: Option<AsOf>,
    ) -> PyResult<Proof> {
        let at = file_at(py, version, tier, as_of)?;
        let chunk = u64::try_from(chunk_index.0)
            .map_err(|_| invalid(py, "chunk_index is a number from 0 on"))?;
        let proof = self.engine.slow(py, |database| database.file_proof(&name.0, chunk, &at))?;
        let path = proof.path.into_iter().map(|(hash, side)| (hash, side.as_str())).collect();
        Ok((proof.leaf, path, proof.root))
    }

    /// Tells whether a proof leads from its leaf to its root; needs no database.
    #[staticmethod]
    fn verify_proof(
        py: Python<'_>,
        leaf: Text,
        proof: Vec<(Text, Text)>,
        root: Text,
    ) -> PyResult<bool> {
        let step = |(hash, side): (Text, Text)| {
            let side = Side::parse(&side.0);
            side.map(|side| (hash.0, side)).ok_or_else(|| invalid(py, "a side is \"L\" or \"R\""))
        };
        let path = proof.into_iter().map(step).collect::<PyResult<_>>()?;
        Ok(Database::verify_proof(&FileProof { leaf: leaf.0, path, root: root.0 }))
    }

    /// Returns what the files of a tier cost: chunks, bytes before and after, and their ratio.
    #[pyo3(signature = (tier=None), text_signature = "($self, tier='warm')")]
    fn compression_stats<'py>(
        &self,
        py: Python<'py>,
        tier: Option<Text>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tier = tier_of(py, tier)?.unwrap_or_default();
        let stats = self.engine.slow(py, |database| database.compression_stats(tier))?;
        convert::to_python(py, &stats.to_json())
    }

    /// Returns the names of the files, in order of their first version.
    #[pyo3(signature = (as_of=None))]
    fn files(&self, py: Python<'_>, as_of: Option<AsOf>) -> PyResult<Vec<String>> {
        self.engine.read(py, |database| database.files(seq(as_of)))
    }

    /// Returns the versions of a file, oldest first: version, tier, size, root and seq of each.
    #[pyo3(signature = (name, as_of=None))]
    fn file_versions<'py>(
        &self,
        py: Python<'py>,
        name: Text,
        as_of: Option<AsOf>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let versions =
            self.engine.read(py, |database| database.file_versions(&name.0, seq(as_of)))?;
        let texts: Vec<String> = versions.iter().map(nedb_core::FileInfo::to_json).collect();
        Ok(convert::to_python_list(py, texts.iter())?.into_any())
    }

    /// Reads the bytes of every version of every file, and says which chunks cannot be read, and why.
    ///
    /// progress is called with the bytes done and the bytes in all; an exception that it raises ends the check.
    #[pyo3(signature = (*, progress=None))]
    fn verify_files<'py>(
        &self,
        py: Python<'py>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let listener = Listener::new(progress)?;
        let report = self.engine.slow(py, |database| {
            database.verify_files(&mut |done_bytes, all_bytes| listener.tell(done_bytes, all_bytes))
        });
        let report = report.map_err(|error| listener.raised_or(error))?;
        convert::to_python(py, &report.to_json())
    }

    /// Gives back the room of chunks that no op refers to, while reads and writes go on.
    fn compact_blobs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let report = self.engine.slow(py, Database::compact_blobs)?;
        convert::to_python(py, &report.to_json())
    }
}

/// A file on its way into the engine.
struct Upload<'py> {
    py: Python<'py>,
    writer: FileWriter,
    progress: Option<Bound<'py, PyAny>>,
}

impl Upload<'_> {
    fn take_all(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if is_bytes_like(data) {
            return self.take(data);
        }
        if data.is_instance_of::<PyString>() {
            return Err(invalid(self.py, "a file's data is bytes, not str: encode it first"));
        }
        if let Ok(read) = data.getattr("read") {
            loop {
                let piece = read.call1((READ_BYTES,))?;
                if piece.is_none() || piece.len()? == 0 {
                    return Ok(());
                }
                self.take_piece(&piece)?;
            }
        }
        let pieces = data.try_iter().map_err(|_| {
            invalid(self.py, "a file's data is bytes, a binary file object or an iterable of bytes")
        })?;
        for piece in pieces {
            self.take_piece(&piece?)?;
        }
        Ok(())
    }

    fn take_piece(&mut self, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        if is_bytes_like(piece) {
            return self.take(piece);
        }
        Err(invalid(
            self.py,
            "a file's data comes in pieces of bytes: open the file in binary mode",
        ))
    }

    fn take(&mut self, piece: &Bound<'_, PyAny>) -> PyResult<()> {
        let Upload { py, writer, progress } = self;
        // A bytes object never changes; anything else is copied before the GIL is let go of.
        let piece = match piece.cast::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => py.get_type::<PyBytes>().call1((piece,))?.cast_into()?,
        };
        let bytes = piece.as_bytes();
        py.detach(|| writer.write(bytes)).map_err(|error| to_python(*py, &error))?;
        if let Some(progress) = progress {
            progress.call1((writer.taken_bytes(),))?;
        }
        Ok(())
    }
}

fn is_bytes_like(data: &Bound<'_, PyAny>) -> bool {
    data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
}

fn tier_of(py: Python<'_>, tier: Option<Text>) -> PyResult<Option<Tier>> {
    let parsed = tier.map(|Text(tier)| Tier::parse(&tier)).transpose();
    parsed.map_err(|error| to_python(py, &error))
}

fn file_at(
    py: Python<'_>,
    version: Option<Integer>,
    tier: Option<Text>,
    as_of: Option<AsOf>,
) -> PyResult<FileAt> {
    let version = version.map(|Integer(version)| version);
    Ok(FileAt { version, tier: tier_of(py, tier)?, as_of: seq(as_of) })
}

/// A version of a file as a binary file object: it reads a few chunks at a time, from any place.
#[pyclass(frozen, module = "nedb", name = "FileReader")]
pub(crate) struct PyFileReader {
    name: String,
    reader: Mutex<Option<FileReader>>,
}

#[pymethods]
impl PyFileReader {
    /// Returns up to size bytes, all that is left when size is negative; b"" at the end.
    #[pyo3(signature = (size=-1), text_signature = "($self, size=-1)")]
    fn read<'py>(&self, py: Python<'py>, size: i64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with_reader(py, move |reader| {
            let left = reader.size_bytes().saturating_sub(reader.position());
            let wanted = u64::try_from(size).unwrap_or(left).min(left);
            let mut bytes = vec![0; usize::try_from(wanted).unwrap_or(0)];
            let mut filled = 0;
            while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                filled += reader.read_bytes(rest)?;
            }
            Ok(bytes)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Fills a writable bytes-like object and returns how many bytes that are; 0 at the end.
    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let view = PyMemoryView::from(buffer)?.call_method1("cast", ("B",))?;
        let size = i64::try_from(view.len()?).unwrap_or(i64::MAX);
        let bytes = self.read(py, size)?;
        let count = bytes.as_bytes().len();
        view.set_item(pyo3::types::PySlice::new(py, 0, count as isize, 1), bytes)?;
        Ok(count)
    }

    /// Sets where the next byte is read: from the start (0), from here (1) or from the end (2).
    #[pyo3(signature = (offset, whence=0))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: u8) -> PyResult<u64> {
        let to = match (whence, u64::try_from(offset)) {
            (0, Ok(offset)) => SeekFrom::Start(offset),
            (0, Err(_)) => return Err(PyValueError::new_err("negative seek position")),
            (1, _) => SeekFrom::Current(offset),
            (2, _) => SeekFrom::End(offset),
            _ => return Err(PyValueError::new_err("whence is 0, 1 or 2")),
        };
        let sought = self.with_reader(py, move |reader| Ok(reader.seek(to)))?;
        sought.map_err(|_| PyOSError::new_err("negative seek position"))
    }

    /// Returns where the next byte is read.
    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_reader(py, |reader| Ok(reader.position()))
    }

    /// The length of the file.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_reader(py, |reader| Ok(reader.size_bytes()))
    }

    /// The number of the version.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_reader(py, |reader| Ok(reader.version()))
    }

    /// The name of the file.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// True.
    fn readable(&self) -> bool {
        true
    }

    /// True.
    fn seekable(&self) -> bool {
        true
    }

    /// False.
    fn writable(&self) -> bool {
        false
    }

    /// Does nothing: there is nothing to write.
    fn flush(&self) {}

    /// Lets go of what the reader holds. Closing it again does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = None);
    }

    /// True once it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.reader.lock().unwrap_or_else(PoisonError::into_inner).is_none())
    }

    /// Returns the reader itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the reader.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

impl PyFileReader {
    /// Works with the reader without the GIL.
    fn with_reader<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut FileReader) -> nedb_core::Result<T> + Send,
    ) -> PyResult<T> {
        let outcome = py.detach(|| {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.as_mut().map(work)
        });
        match outcome {
            Some(worked) => worked.map_err(|error| to_python(py, &error)),
            None => Err(PyValueError::new_err("I/O operation on closed file.")),
        }
    }
}
