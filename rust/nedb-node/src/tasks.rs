//! `NedbTasks`: the database as a class that answers promises, for the class NEDB alone.
//!
//! In and out as in `NedbCore`. Each call is one task of the libuv pool: JavaScript's thread converts
//! the arguments before and the answer after, and never waits for the engine. Tasks of one handle run
//! at the same time and in no promised order; `node/writes.js` gives writes their order.

use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer, BufferSlice, ToNapiValue, TypeName};
use napi::{Env, Task, ValueType, sys};
use napi_derive::napi;
use nedb_core::{
    BackupOptions, Database, FileReader, FileWriter, IndexKind, Progress, Result, Tmk, rewrap_key,
};
use std::sync::Arc;

use crate::convert::{Seconds, Seq, Text, directory_options, read_options, write_options};
use crate::database::NedbCore;
use crate::error::{Failure, guarded, to_js};
use crate::files::{NedbFileReader, NedbFileWriter};
use crate::progress::{Listener, tell};
use crate::query::{index_list, rows};
use crate::upkeep::ops;

/// What a task answers.
pub enum Answer {
    /// undefined
    Nothing,
    /// A boolean.
    Flag(bool),
    /// A number: how many.
    Count(u64),
    /// A BigInt: the seq of an op.
    Seq(i64),
    /// A string.
    Text(String),
    /// A string or null.
    Maybe(Option<String>),
    /// An array of strings.
    Texts(Vec<String>),
    /// A Buffer.
    Bytes(Vec<u8>),
    /// A Buffer of a stream, whose memory is JavaScript's own.
    Piece(Vec<u8>),
    /// A handle.
    Handle(Database),
    /// A file that is being written.
    FileWriter(Box<FileWriter>),
    /// A file that is being read.
    FileReader(Box<FileReader>),
}

impl ToNapiValue for Answer {
    unsafe fn to_napi_value(env: sys::napi_env, answer: Self) -> napi::Result<sys::napi_value> {
        // SAFETY: the caller gives a live environment.
        unsafe {
            match answer {
                Answer::Nothing => <()>::to_napi_value(env, ()),
                Answer::Flag(flag) => bool::to_napi_value(env, flag),
                Answer::Count(count) => f64::to_napi_value(env, count as f64),
                Answer::Seq(seq) => BigInt::to_napi_value(env, BigInt::from(seq)),
                Answer::Text(text) => String::to_napi_value(env, text),
                Answer::Maybe(text) => Option::to_napi_value(env, text),
                Answer::Texts(texts) => Vec::to_napi_value(env, texts),
                Answer::Bytes(bytes) => Buffer::to_napi_value(env, Buffer::from(bytes)),
                // What is not JavaScript's own does not count towards its next collection: pieces that nobody
                // holds any more would stay for a hundred megabytes.
                Answer::Piece(bytes) => {
                    let piece = BufferSlice::copy_from(&Env::from_raw(env), &bytes)?;
                    BufferSlice::to_napi_value(env, piece)
                }
                Answer::Handle(database) => NedbTasks::to_napi_value(env, NedbTasks { database }),
                Answer::FileWriter(writer) => {
                    NedbFileWriter::to_napi_value(env, NedbFileWriter::new(*writer))
                }
                Answer::FileReader(reader) => {
                    NedbFileReader::to_napi_value(env, NedbFileReader::new(*reader))
                }
            }
        }
    }
}

impl TypeName for Answer {
    fn type_name() -> &'static str {
        "unknown"
    }

    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

/// Work for the pool.
pub struct Job {
    work: Option<Box<dyn FnOnce() -> Result<Answer> + Send>>,
}

impl Task for Job {
    type Output = std::result::Result<Answer, Failure>;
    type JsValue = Answer;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let work = self.work.take();
        Ok(guarded(|| work.map_or(Ok(Answer::Nothing), |work| work())))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Answer> {
        output.map_err(|failure| to_js(&env, failure))
    }
}

/// The promise of an answer.
pub type Promised = AsyncTask<Job>;

/// Makes the promise of some work.
pub fn promise(work: impl FnOnce() -> Result<Answer> + Send + 'static) -> Promised {
    AsyncTask::new(Job { work: Some(Box::new(work)) })
}

/// An open database whose calls are tasks.
#[napi]
pub struct NedbTasks {
    pub(crate) database: Database,
}

#[napi]
impl NedbTasks {
    /// Opens the database of a directory, or makes it; `progress` is told how far encrypting has come.
    #[napi]
    pub fn open(path: Text, options: Option<Text>, progress: Option<Listener>) -> Promised {
        promise(move || {
            let mut options = directory_options(options.as_deref())?;
            options.progress = progress.map(|listener| -> Progress {
                Arc::new(move |done_bytes, all_bytes| tell(Some(&listener), done_bytes, all_bytes))
            });
            Database::open(&*path, options).map(Answer::Handle)
        })
    }

    /// Wraps the data key of a database in a directory with another key; both in hexadecimal.
    #[napi]
    pub fn rewrap_key_of(path: Text, old_tmk: Text, new_tmk: Text) -> Promised {
        promise(move || {
            let (old, new) = (Tmk::from_hex(&old_tmk)?, Tmk::from_hex(&new_tmk)?);
            rewrap_key(&*path, &old, &new).map(|()| Answer::Nothing)
        })
    }

    /// Makes a handle of a database that is open.
    #[napi(factory)]
    pub fn of(core: &NedbCore) -> Self {
        NedbTasks { database: core.database.clone() }
    }

    /// Makes the handle of the same database that answers at once.
    #[napi]
    pub fn core(&self) -> NedbCore {
        NedbCore { database: self.database.clone() }
    }
}

#[napi]
impl NedbTasks {
    /// Stores a document.
    #[napi]
    pub fn put(
        &self,
        collection: Text,
        id: Text,
        document: Text,
        options: Option<Text>,
    ) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.put(&collection, &id, &document, &write_options(options.as_deref())?)
                .map(Answer::Text)
        })
    }

    /// Stores documents in order with one sync; `ids` and `texts` are of one length.
    #[napi]
    pub fn put_many(
        &self,
        collection: Text,
        ids: Vec<Text>,
        texts: Vec<Text>,
        options: Option<Text>,
    ) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.put_many(&collection, &pairs(ids, texts), &write_options(options.as_deref())?)
                .map(Answer::Texts)
        })
    }

    /// Deletes a document.
    #[napi]
    pub fn delete(&self, collection: Text, id: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.delete(&collection, &id, &write_options(options.as_deref())?).map(Answer::Seq)
        })
    }

    /// Reads a document.
    #[napi]
    pub fn get(&self, collection: Text, id: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.get(&collection, &id, &read_options(options.as_deref())?).map(Answer::Maybe)
        })
    }

    /// Runs a query.
    #[napi]
    pub fn query(&self, nql: Text, params: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || rows(&db, &nql, params.as_deref()).map(Answer::Texts))
    }

    /// Adds a relation.
    #[napi]
    pub fn link(&self, from: Text, relation: Text, to: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.link(&from, &relation, &to, &write_options(options.as_deref())?).map(Answer::Seq)
        })
    }

    /// Ends a relation.
    #[napi]
    pub fn unlink(&self, from: Text, relation: Text, to: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.unlink(&from, &relation, &to, &write_options(options.as_deref())?).map(Answer::Seq)
        })
    }

    /// Answers where a relation leads.
    #[napi]
    pub fn neighbors(&self, node: Text, relation: Text, as_of: Option<Seq>) -> Promised {
        let db = self.database.clone();
        promise(move || db.neighbors(&node, &relation, as_of.map(|seq| seq.0)).map(Answer::Texts))
    }

    /// Answers from where a relation leads here.
    #[napi]
    pub fn inbound(&self, node: Text, relation: Text, as_of: Option<Seq>) -> Promised {
        let db = self.database.clone();
        promise(move || db.inbound(&node, &relation, as_of.map(|seq| seq.0)).map(Answer::Texts))
    }

    /// Makes an index.
    #[napi]
    pub fn create_index(&self, collection: Text, field: Text, kind: Text) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.create_index(&collection, &field, IndexKind::parse(&kind)?).map(|()| Answer::Nothing)
        })
    }

    /// Answers the indexes as JSON text.
    #[napi]
    pub fn indexes(&self) -> Promised {
        let db = self.database.clone();
        promise(move || index_list(&db).map(Answer::Text))
    }

    /// Answers the collections that hold a document.
    #[napi]
    pub fn collections(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.collections().map(Answer::Texts))
    }

    /// Lets a document expire.
    #[napi]
    pub fn expire(
        &self,
        collection: Text,
        id: Text,
        ttl_seconds: Seconds,
        options: Option<Text>,
    ) -> Promised {
        let db = self.database.clone();
        promise(move || {
            db.expire(&collection, &id, ttl_seconds.0, &write_options(options.as_deref())?)
                .map(Answer::Flag)
        })
    }

    /// Deletes what has expired.
    #[napi]
    pub fn sweep(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.sweep().map(Answer::Count))
    }

    /// Writes items as one op.
    #[napi]
    pub fn batch(&self, items: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || db.batch(&items, &write_options(options.as_deref())?).map(Answer::Texts))
    }

    /// Saves the views and appends the op that seals them.
    #[napi]
    pub fn checkpoint(&self, note: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || db.checkpoint(note.as_deref()).map(Answer::Seq))
    }

    /// Reads the log again and answers whether it fits.
    #[napi]
    pub fn verify(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.verify().map(Answer::Flag))
    }

    /// Reads the log again and answers a report.
    #[napi]
    pub fn verify_report(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.verify_report().map(|report| report.to_json()).map(Answer::Text))
    }

    /// Copies the database and answers a report.
    #[napi]
    pub fn backup(&self, path: Text, skip_damaged_files: bool) -> Promised {
        let (db, options) = (self.database.clone(), BackupOptions { skip_damaged_files });
        promise(move || Ok(Answer::Text(db.backup_with(&*path, &options)?.to_json())))
    }

    /// Wraps the data key with another key; both in hexadecimal.
    #[napi]
    pub fn rewrap_key(&self, old_tmk: Text, new_tmk: Text) -> Promised {
        let db = self.database.clone();
        promise(move || {
            let (old, new) = (Tmk::from_hex(&old_tmk)?, Tmk::from_hex(&new_tmk)?);
            db.rewrap_key(&old, &new).map(|()| Answer::Nothing)
        })
    }

    /// Repairs the log and answers a report.
    #[napi]
    pub fn repair(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.repair().map(|report| report.to_json()).map(Answer::Text))
    }

    /// Folds the log again and compares.
    #[napi]
    pub fn verify_determinism(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.verify_determinism().map(Answer::Flag))
    }

    /// Reads up to `count` ops from a seq on.
    #[napi]
    pub fn ops(&self, first_seq: Seq, count: u32) -> Promised {
        let db = self.database.clone();
        promise(move || ops(&db, first_seq.0, count as usize).map(Answer::Texts))
    }

    /// Waits until every op is on disk.
    #[napi]
    pub fn flush(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.flush().map(|()| Answer::Nothing))
    }

    /// Finishes and lets the directory go.
    #[napi]
    pub fn close(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.close().map(|()| Answer::Nothing))
    }

    /// Reads what a writer has synced since.
    #[napi]
    pub fn refresh(&self) -> Promised {
        let db = self.database.clone();
        promise(move || db.refresh().map(Answer::Seq))
    }
}

/// Joins ids and documents.
fn pairs(ids: Vec<Text>, texts: Vec<Text>) -> Vec<(String, String)> {
    ids.into_iter().zip(texts).map(|(id, text)| (id.into(), text.into())).collect()
}
