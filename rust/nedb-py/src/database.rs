//! The class `NEDB`: one method for each verb of the engine.
//!
//! In: Python arguments. Out: Python objects. Each method converts, calls and converts back.
//!
//! Invariant: documents are converted before the engine is called and after it has returned.

use std::path::PathBuf;

use nedb_core::{BackupOptions, Database, Durability, Options, WriteOptions};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::arguments::{
    AsOf, Integer, JsonText, Kind, Real, Seqs, Text, because, during, origin, read_at, seq,
};
use crate::clock::TimeSource;
use crate::convert;
use crate::engine::Engine;
use crate::error::{invalid, to_python};
use crate::keys;
use crate::log::OpLog;
use crate::progress::Listener;
use crate::query::Query;
use crate::transaction::Transaction;

/// A database: in memory, or one directory on disk.
#[pyclass(frozen, subclass, weakref, module = "nedb", name = "NEDB")]
pub(crate) struct Nedb {
    pub(crate) engine: Engine,
}

#[pymethods]
#[allow(clippy::too_many_arguments, reason = "the keywords are what users were promised")]
impl Nedb {
    /// Opens the database in the directory `path`, or a new one in memory.
    ///
    /// read_only opens beside the process that writes. clock is None (the machine's), a number of
    /// seconds since 1970 that stands still, or a callable that returns one. cache_bytes bounds the
    /// texts kept in memory. durability says when a write is acknowledged: "always" (it is on the disk),
    /// "never" (the operating system has it), or milliseconds between two syncs. checkpoint_every_ops
    /// saves the views beside the writes after so many ops, so that opening is quick.
    ///
    /// tmk is the key, as bytes, that encrypts what is on the disk; NEDB_TMK (hexadecimal) and NEDB_TMK_FILE
    /// say it where it is not given. encrypt_existing=False (NEDB_ENCRYPT_EXISTING=0) refuses a plain
    /// database instead of encrypting it in place; progress is called with bytes done and bytes in all, and
    /// an exception that it raises leaves the database plain.
    #[new]
    #[pyo3(signature = (path=None, tmk=None, *, read_only=false, clock=None, cache_bytes=None,
        durability=None, checkpoint_every_ops=None, encrypt_existing=None, progress=None))]
    fn new(
        py: Python<'_>,
        path: Option<&Bound<'_, PyAny>>,
        tmk: Option<&Bound<'_, PyAny>>,
        read_only: bool,
        clock: Option<&Bound<'_, PyAny>>,
        cache_bytes: Option<Integer>,
        durability: Option<&Bound<'_, PyAny>>,
        checkpoint_every_ops: Option<Integer>,
        encrypt_existing: Option<bool>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let time = TimeSource::new(clock)?;
        time.tick(py)?;
        let defaults = Options::default();
        let cache_bytes = match cache_bytes {
            None => defaults.cache_bytes,
            Some(Integer(bytes)) => usize::try_from(bytes)
                .map_err(|_| invalid(py, "cache_bytes is a whole number of bytes, from 0 on"))?,
        };
        let durability = match durability {
            None => defaults.durability,
            // A number is spelt as itself, so that one parser decides.
            Some(given) => Durability::parse(&given.str()?.to_string_lossy())
                .map_err(|error| to_python(py, &error))?,
        };
        let checkpoint_every_ops = match checkpoint_every_ops {
            None => defaults.checkpoint_every_ops,
            Some(Integer(count)) => Some(u64::try_from(count).map_err(|_| {
                invalid(py, "checkpoint_every_ops is a whole number of ops, from 1 on")
            })?),
        };
        let clock = time.engine_clock();
        let tmk = tmk.map(keys::tmk).transpose()?;
        let listener = Listener::new(progress)?;
        let progress = listener.as_progress();
        let options = Options {
            clock,
            read_only,
            cache_bytes,
            durability,
            checkpoint_every_ops,
            tmk,
            progress,
            ..defaults
        };
        let path = path.map(directory).transpose()?;
        let durable = path.is_some();
        let open = || match path {
            Some(path) => Database::open(path, keys::from_environment(options, encrypt_existing)?),
            None => Database::in_memory(options),
        };
        let database =
            py.detach(open).map_err(|error| listener.raised_or(to_python(py, &error)))?;
        Ok(Nedb { engine: Engine::new(database, time, durable) })
    }

    /// Inserts or replaces a document; returns it as stored, with `_id` and `_seq`.
    #[pyo3(
        signature = (coll, id, doc, client=None, nonce=None, idem=None, ttl_s=None, caused_by=None,
            evidence=None, confidence=None, valid_from=None, valid_to=None, *, if_seq=None),
        text_signature = "($self, coll, id, doc, client='local', nonce=None, idem=None, \
            ttl_s=None, caused_by=None, evidence=None, confidence=None, valid_from=None, \
            valid_to=None, *, if_seq=None)"
    )]
    fn put<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        doc: &Bound<'py, PyAny>,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        ttl_s: Option<Real>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
        valid_from: Option<Text>,
        valid_to: Option<Text>,
        if_seq: Option<Integer>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        let options = given(during(options, valid_from, valid_to, ttl_s), if_seq);
        let stored = convert::with_document(doc, |text| {
            self.engine.write(py, |database| database.put(&coll.0, &id.0, text, &options))
        })?;
        convert::to_python(py, &stored)
    }

    /// Does what `put` does, from JSON text to JSON text.
    #[pyo3(
        signature = (coll, id, doc, client=None, nonce=None, idem=None, ttl_s=None, caused_by=None,
            evidence=None, confidence=None, valid_from=None, valid_to=None, *, if_seq=None),
        text_signature = "($self, coll, id, doc, client='local', nonce=None, idem=None, \
            ttl_s=None, caused_by=None, evidence=None, confidence=None, valid_from=None, \
            valid_to=None, *, if_seq=None)"
    )]
    fn put_json<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        doc: JsonText,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        ttl_s: Option<Real>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
        valid_from: Option<Text>,
        valid_to: Option<Text>,
        if_seq: Option<Integer>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        let options = given(during(options, valid_from, valid_to, ttl_s), if_seq);
        let stored =
            self.engine.write(py, |database| database.put(&coll.0, &id.0, &doc.0, &options))?;
        Ok(PyBytes::new(py, stored.as_bytes()))
    }

    /// Writes many documents, one op each, with a sync for each thousand: a mapping of id to document, or a list of
    /// documents that carry `_id`. Returns them as stored. All are checked before the first is
    /// written; after a crash a prefix may stand.
    #[pyo3(
        signature = (coll, docs, client=None, ttl_s=None, caused_by=None, evidence=None,
            confidence=None, valid_from=None, valid_to=None),
        text_signature = "($self, coll, docs, client='local', ttl_s=None, caused_by=None, \
            evidence=None, confidence=None, valid_from=None, valid_to=None)"
    )]
    fn put_many<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        docs: &Bound<'py, PyAny>,
        client: Option<Text>,
        ttl_s: Option<Real>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
        valid_from: Option<Text>,
        valid_to: Option<Text>,
    ) -> PyResult<Bound<'py, PyList>> {
        let options = because(origin(client, None, None), caused_by, evidence, confidence);
        let options = during(options, valid_from, valid_to, ttl_s);
        let documents = many_documents(docs)?;
        let stored =
            self.engine.slow(py, |database| database.put_many(&coll.0, &documents, &options))?;
        convert::to_python_list(py, stored.iter())
    }

    /// Deletes a document; returns the seq of the op, which is written also when nothing was there.
    #[pyo3(
        signature = (coll, id, client=None, nonce=None, idem=None, *, caused_by=None,
            evidence=None, confidence=None, if_seq=None),
        text_signature = "($self, coll, id, client='local', nonce=None, idem=None, *, \
            caused_by=None, evidence=None, confidence=None, if_seq=None)"
    )]
    fn delete(
        &self,
        py: Python<'_>,
        coll: Text,
        id: Text,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
        if_seq: Option<Integer>,
    ) -> PyResult<i64> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        let options = given(options, if_seq);
        self.engine.write(py, |database| database.delete(&coll.0, &id.0, &options))
    }

    /// Returns a document, or None; `as_of` reads at a seq, `valid_as_of` at a date.
    #[pyo3(signature = (coll, id, as_of=None, valid_as_of=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        as_of: Option<AsOf>,
        valid_as_of: Option<Text>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let options = read_at(as_of, valid_as_of);
        convert::fill_and_read(py, |out| {
            self.engine.read(py, |database| database.get_into(&coll.0, &id.0, &options, out))
        })
    }

    /// Returns a document as JSON text, or None.
    #[pyo3(signature = (coll, id, as_of=None, valid_as_of=None))]
    fn get_json<'py>(
        &self,
        py: Python<'py>,
        coll: Text,
        id: Text,
        as_of: Option<AsOf>,
        valid_as_of: Option<Text>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let options = read_at(as_of, valid_as_of);
        let text = self.engine.read(py, |database| database.get(&coll.0, &id.0, &options))?;
        Ok(text.map(|text| PyBytes::new(py, text.as_bytes())))
    }

    /// Runs an NQL query; `params` is a sequence for `$1`, `$2`, … or a mapping for `$name`.
    #[pyo3(signature = (nql, params=None))]
    fn query<'py>(
        &self,
        py: Python<'py>,
        nql: Text,
        params: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut parameters = String::new();
        if let Some(params) = params {
            convert::to_json(params, &mut parameters)?;
        }
        self.engine.query(py, &nql.0, &parameters)
    }

    /// Starts a query on a collection that is composed by calls and run by `run()`.
    fn q(&self, coll: Text) -> Query {
        Query::new(self.engine.clone(), &coll.0)
    }

    /// Adds an edge between two nodes `coll:id`; returns the seq of the op.
    #[pyo3(
        signature = (frm, rel, to, client=None, nonce=None, idem=None, *, caused_by=None,
            evidence=None, confidence=None),
        text_signature = "($self, frm, rel, to, client='local', nonce=None, idem=None, *, \
            caused_by=None, evidence=None, confidence=None)"
    )]
    fn link(
        &self,
        py: Python<'_>,
        frm: Text,
        rel: Text,
        to: Text,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
    ) -> PyResult<i64> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        self.engine.write(py, |database| database.link(&frm.0, &rel.0, &to.0, &options))
    }

    /// Removes an edge; returns the seq of the op.
    #[pyo3(
        signature = (frm, rel, to, client=None, nonce=None, idem=None, *, caused_by=None,
            evidence=None, confidence=None),
        text_signature = "($self, frm, rel, to, client='local', nonce=None, idem=None, *, \
            caused_by=None, evidence=None, confidence=None)"
    )]
    fn unlink(
        &self,
        py: Python<'_>,
        frm: Text,
        rel: Text,
        to: Text,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
        caused_by: Option<Seqs>,
        evidence: Option<Text>,
        confidence: Option<Real>,
    ) -> PyResult<i64> {
        let options = because(origin(client, nonce, idem), caused_by, evidence, confidence);
        self.engine.write(py, |database| database.unlink(&frm.0, &rel.0, &to.0, &options))
    }

    /// Returns the nodes that a node links to, in the order linked.
    #[pyo3(signature = (node, rel, as_of=None))]
    fn neighbors(
        &self,
        py: Python<'_>,
        node: Text,
        rel: Text,
        as_of: Option<AsOf>,
    ) -> PyResult<Vec<String>> {
        self.engine.read(py, |database| database.neighbors(&node.0, &rel.0, seq(as_of)))
    }

    /// Returns the nodes that link to a node, in the order linked.
    #[pyo3(signature = (node, rel, as_of=None))]
    fn inbound(
        &self,
        py: Python<'_>,
        node: Text,
        rel: Text,
        as_of: Option<AsOf>,
    ) -> PyResult<Vec<String>> {
        self.engine.read(py, |database| database.inbound(&node.0, &rel.0, seq(as_of)))
    }

    /// Makes an index on a field or dotted path: `"eq"`, `"ordered"` or `"search"`.
    #[pyo3(signature = (coll, field, kind=Kind(nedb_core::IndexKind::Eq)),
        text_signature = "($self, coll, field, kind='eq')")]
    fn create_index(&self, py: Python<'_>, coll: Text, field: Text, kind: Kind) -> PyResult<()> {
        self.engine.slow(py, |database| database.create_index(&coll.0, &field.0, kind.0))
    }

    /// Returns the indexes as (collection, field, kind).
    fn indexes(&self, py: Python<'_>) -> PyResult<Vec<(String, String, &'static str)>> {
        let indexes = self.engine.slow(py, Database::indexes)?;
        Ok(indexes.into_iter().map(|(coll, field, kind)| (coll, field, kind.as_str())).collect())
    }

    /// Returns the collections that hold a document, in order of creation.
    fn collections(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.engine.slow(py, Database::collections)
    }

    /// Writes a document again with a time to live; False when there is none.
    #[pyo3(signature = (coll, id, ttl_s, client=None),
        text_signature = "($self, coll, id, ttl_s, client='local')")]
    fn expire(
        &self,
        py: Python<'_>,
        coll: Text,
        id: Text,
        ttl_s: Real,
        client: Option<Text>,
    ) -> PyResult<bool> {
        let options = origin(client, None, None);
        self.engine.write(py, |database| database.expire(&coll.0, &id.0, ttl_s.0, &options))
    }

    /// Deletes the documents that have expired; returns how many.
    fn sweep(&self, py: Python<'_>) -> PyResult<u64> {
        self.engine.slow(py, Database::sweep)
    }

    /// Writes a list of items as one op, all or nothing; returns one result for each: the stored
    /// document of a put, None for the rest.
    #[pyo3(signature = (items, client=None, nonce=None, idem=None),
        text_signature = "($self, items, client='local', nonce=None, idem=None)")]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyAny>,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut text = String::new();
        convert::to_json(items, &mut text)?;
        let options = origin(client, nonce, idem);
        let results = self.engine.slow(py, |database| database.batch(&text, &options))?;
        convert::to_python_list(py, results.iter())
    }

    /// Starts a transaction: a context manager whose writes become one op at a clean exit, and
    /// nothing after an exception.
    #[pyo3(signature = (client=None, nonce=None, idem=None),
        text_signature = "($self, client='local', nonce=None, idem=None)")]
    fn transaction(
        &self,
        client: Option<Text>,
        nonce: Option<Integer>,
        idem: Option<Text>,
    ) -> Transaction {
        Transaction::new(self.engine.clone(), origin(client, nonce, idem))
    }

    /// Saves the views, so that opening is quick, and writes an op that seals the file; returns the head,
    /// which is that op's hash. In memory it is a mark in the log.
    #[pyo3(signature = (note=None))]
    fn checkpoint(&self, py: Python<'_>, note: Option<Text>) -> PyResult<String> {
        let note = note.as_ref().map(|Text(note)| note.as_str());
        let op = self.engine.slow(py, |database| database.op(database.checkpoint(note)?))?;
        let op = convert::to_python(py, &op.unwrap_or_default())?;
        op.get_item("hash")?.extract()
    }

    /// Reads the log again and checks every hash and link; the bytes of files are verify_files's.
    fn verify(&self, py: Python<'_>) -> PyResult<bool> {
        self.engine.slow(py, Database::verify)
    }

    /// Does what `verify` does, and says what is wrong and where.
    fn verify_report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let report = self.engine.slow(py, Database::verify_report)?;
        convert::to_python(py, &report.to_json())
    }

    /// Replays the log into fresh views and compares them with those in use.
    fn verify_determinism(&self, py: Python<'_>) -> PyResult<bool> {
        self.engine.slow(py, Database::verify_determinism)
    }

    /// Copies the database as it is now into a new directory, checked on the way, while writes go on.
    ///
    /// skip_damaged_files leaves out chunks of files that are damaged, and reports them, where otherwise there is
    /// no backup.
    #[pyo3(signature = (path, *, skip_damaged_files=false))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        skip_damaged_files: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (path, options) = (directory(path)?, BackupOptions { skip_damaged_files });
        let report = self.engine.slow(py, |database| database.backup_with(path, &options))?;
        convert::to_python(py, &report.to_json())
    }

    /// Makes a damaged database writable again: keeps its log beside, cuts it before the first op that
    /// does not hold, and appends an op that says so.
    fn repair<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let report = self.engine.slow(py, Database::repair)?;
        convert::to_python(py, &report.to_json())
    }

    /// Returns what the opening of this handle found.
    fn open_report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::to_python(py, &self.engine.database().open_report().to_json())
    }

    /// Wraps the data key with another key: from then on only the new one opens the database.
    fn rewrap_key(
        &self,
        py: Python<'_>,
        old_tmk: &Bound<'_, PyAny>,
        new_tmk: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (old, new) = (keys::tmk(old_tmk)?, keys::tmk(new_tmk)?);
        self.engine.slow(py, |database| database.rewrap_key(&old, &new))
    }

    /// Waits until everything acknowledged is on the disk.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.engine.slow(py, Database::flush)
    }

    /// Flushes and closes the database. Closing it again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.engine.slow(py, Database::close)
    }

    /// Reads what the writing process has synced since; for `read_only`. Returns the seq.
    fn refresh(&self, py: Python<'_>) -> PyResult<i64> {
        self.engine.slow(py, Database::refresh)
    }

    /// The seq of the last op; -1 when there is none.
    #[getter]
    fn seq(&self) -> i64 {
        self.engine.database().seq()
    }

    /// The seq of the last op that is known to be on the disk; in memory, of the last op.
    #[getter]
    fn durable_seq(&self) -> i64 {
        self.engine.database().durable_seq()
    }

    /// The hash of the last op, which commits to the whole log: 64 hexadecimal digits.
    #[getter]
    fn head(&self) -> String {
        self.engine.database().head()
    }

    /// The ops, as a sequence that reads them when they are asked for.
    #[getter]
    fn log(&self) -> OpLog {
        OpLog::new(self.engine.clone())
    }

    /// True when this handle cannot write.
    #[getter]
    fn read_only(&self) -> bool {
        self.engine.database().is_read_only()
    }

    /// True when what is on the disk is encrypted.
    #[getter]
    fn encrypted(&self) -> bool {
        self.engine.database().is_encrypted()
    }

    /// The directory, or None in memory.
    #[getter]
    fn path(&self) -> Option<String> {
        self.engine.database().path().map(|path| path.to_string_lossy().into_owned())
    }

    /// Returns the database itself.
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Closes the database.
    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    /// Names the place and the seq.
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let path = match self.path() {
            Some(path) => PyString::new(py, &path).repr()?.to_string(),
            None => String::new(),
        };
        Ok(format!("<NEDB({path}) at seq {}>", self.seq()))
    }
}

/// Adds the seq that the document must have before the write.
fn given(options: WriteOptions, if_seq: Option<Integer>) -> WriteOptions {
    WriteOptions { if_seq: if_seq.map(|Integer(seq)| seq), ..options }
}

/// Reads a path: `str` or `os.PathLike`.
pub(crate) fn directory(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path.extract().map_err(|_| invalid(path.py(), "path must be a str or an os.PathLike"))
}

/// Reads the argument of `put_many` as (id, JSON text).
fn many_documents(docs: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let py = docs.py();
    let converted = |id: &Bound<'_, PyAny>, document: &Bound<'_, PyAny>| {
        let Text(id) = id.extract()?;
        let mut text = String::new();
        convert::document_to_json(document, &mut text)?;
        Ok((id, text))
    };
    if let Ok(mapping) = docs.cast::<PyDict>() {
        return mapping.iter().map(|(id, document)| converted(&id, &document)).collect();
    }
    let of_texts = docs.is_instance_of::<PyString>() || docs.is_instance_of::<PyBytes>();
    let Some(documents) = docs.try_iter().ok().filter(|_| !of_texts) else {
        return Err(invalid(py, "put_many takes a dict of id to document or a list of documents"));
    };
    let with_own_id = |document: PyResult<Bound<'_, PyAny>>| {
        let document = document?;
        let id = document.get_item("_id");
        converted(&id.map_err(|_| invalid(py, "a document in a list carries its _id"))?, &document)
    };
    documents.map(with_own_id).collect()
}
