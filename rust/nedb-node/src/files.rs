//! Files: the methods that put and read them, at once and as tasks, and the two ends of a stream.
//!
//! In: Buffers, JSON texts of options. Out: Buffers, numbers, JSON texts.
//!
//! Invariant: bytes are copied when a call is made, so that changing a Buffer afterwards changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;
use nedb_core::{Database, Error, FileInfo, FileProof, FileReader, FileWriter, Result, Side, Tier};
use serde::Deserialize;

use crate::convert::{Seq, Text, file_at, write_options};
use crate::database::NedbCore;
use crate::error::throwing;
use crate::progress::{Listener, tell};
use crate::tasks::{Answer, NedbTasks, Promised, promise};

/// How much of a file one task reads.
const READ_BYTES: usize = 256 << 10;

fn tier_of(tier: Option<&str>) -> Result<Tier> {
    tier.map_or(Ok(Tier::default()), Tier::parse)
}

fn versions_text(database: &Database, name: &str, as_of: Option<i64>) -> Result<String> {
    let versions = database.file_versions(name, as_of)?;
    let texts: Vec<String> = versions.iter().map(FileInfo::to_json).collect();
    Ok(format!("[{}]", texts.join(",")))
}

#[napi]
impl NedbCore {
    /// Writes a version of a file; answers its number.
    #[napi]
    pub fn put_file(
        &self,
        env: &Env,
        name: Text,
        data: Uint8Array,
        tier: Option<Text>,
        options: Option<Text>,
    ) -> napi::Result<f64> {
        throwing(env, || {
            let options = write_options(options.as_deref())?;
            self.database.put_file(&name, &data, tier_of(tier.as_deref())?, &options)
        })
        .map(|version| version as f64)
    }

    /// Reads a version of a file, with options: `version`, `tier`, `as_of`.
    #[napi]
    pub fn get_file(&self, env: &Env, name: Text, options: Option<Text>) -> napi::Result<Buffer> {
        throwing(env, || self.database.get_file(&name, &file_at(options.as_deref())?))
            .map(Buffer::from)
    }

    /// Answers the Merkle root of a version of a file.
    #[napi]
    pub fn file_root(&self, env: &Env, name: Text, options: Option<Text>) -> napi::Result<String> {
        throwing(env, || self.database.file_root(&name, &file_at(options.as_deref())?))
    }

    /// Proves that a chunk is part of a version of a file; answers JSON text.
    #[napi]
    pub fn file_proof(
        &self,
        env: &Env,
        name: Text,
        chunk: Seq,
        options: Option<Text>,
    ) -> napi::Result<String> {
        throwing(env, || proof_text(&self.database, &name, chunk.0, options.as_deref()))
    }

    /// Tells whether a proof, as JSON text, leads from its leaf to its root.
    #[napi]
    pub fn verify_proof(env: &Env, proof: Text) -> napi::Result<bool> {
        throwing(env, || Ok(Database::verify_proof(&read_proof(&proof)?)))
    }

    /// Answers the names of the files.
    #[napi]
    pub fn files(&self, env: &Env, as_of: Option<Seq>) -> napi::Result<Vec<String>> {
        throwing(env, || self.database.files(as_of.map(|seq| seq.0)))
    }

    /// Answers the versions of a file as JSON text.
    #[napi]
    pub fn file_versions(&self, env: &Env, name: Text, as_of: Option<Seq>) -> napi::Result<String> {
        throwing(env, || versions_text(&self.database, &name, as_of.map(|seq| seq.0)))
    }

    /// Answers what the files of a tier cost, as JSON text.
    #[napi]
    pub fn compression_stats(&self, env: &Env, tier: Option<Text>) -> napi::Result<String> {
        throwing(env, || {
            let tier = tier_of(tier.as_deref())?;
            Ok(self.database.compression_stats(tier)?.to_json())
        })
    }

    /// Reads the bytes of every version of every file; answers what was found, as JSON text.
    #[napi]
    pub fn verify_files(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.verify_files(&mut |_, _| Ok(()))?.to_json()))
    }

    /// Gives back the room of chunks that no op refers to; answers what was done, as JSON text.
    #[napi]
    pub fn compact_blobs(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.compact_blobs()?.to_json()))
    }
}

fn proof_text(
    database: &Database,
    name: &str,
    chunk: i64,
    options: Option<&str>,
) -> Result<String> {
    let chunk =
        u64::try_from(chunk).map_err(|_| Error::invalid("a chunk is a number from 0 on"))?;
    Ok(database.file_proof(name, chunk, &file_at(options)?)?.to_json())
}

/// A proof as JSON text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofText {
    leaf: String,
    path: Vec<(String, String)>,
    root: String,
}

fn read_proof(text: &str) -> Result<FileProof> {
    let wrong =
        |reason: String| Error::invalid(format!("a proof is {{leaf, path, root}}: {reason}"));
    let ProofText { leaf, path, root } =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let step = |(hash, side): (String, String)| {
        Side::parse(&side).map(|side| (hash, side)).ok_or_else(|| wrong(format!("side {side:?}")))
    };
    Ok(FileProof { leaf, path: path.into_iter().map(step).collect::<Result<_>>()?, root })
}

#[napi]
impl NedbTasks {
    /// Writes a version of a file.
    #[napi]
    pub fn put_file(
        &self,
        name: Text,
        data: Uint8Array,
        tier: Option<Text>,
        options: Option<Text>,
    ) -> Promised {
        let (db, data) = (self.database.clone(), data.to_vec());
        promise(move || {
            let options = write_options(options.as_deref())?;
            let version = db.put_file(&name, &data, tier_of(tier.as_deref())?, &options)?;
            Ok(Answer::Count(version))
        })
    }

    /// Begins a version of a file that comes in pieces.
    #[napi]
    pub fn file_writer(&self, name: Text, tier: Option<Text>, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            let options = write_options(options.as_deref())?;
            let writer = db.file_writer(&name, tier_of(tier.as_deref())?, &options)?;
            Ok(Answer::FileWriter(Box::new(writer)))
        })
    }

    /// Reads a version of a file.
    #[napi]
    pub fn get_file(&self, name: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || db.get_file(&name, &file_at(options.as_deref())?).map(Answer::Bytes))
    }

    /// Opens a version of a file, to read it in pieces.
    #[napi]
    pub fn open_file(&self, name: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            let reader = db.open_file(&name, &file_at(options.as_deref())?)?;
            Ok(Answer::FileReader(Box::new(reader)))
        })
    }

    /// Answers the Merkle root of a version of a file.
    #[napi]
    pub fn file_root(&self, name: Text, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || db.file_root(&name, &file_at(options.as_deref())?).map(Answer::Text))
    }

    /// Proves that a chunk is part of a version of a file.
    #[napi]
    pub fn file_proof(&self, name: Text, chunk: Seq, options: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || proof_text(&db, &name, chunk.0, options.as_deref()).map(Answer::Text))
    }

    /// Answers the names of the files.
    #[napi]
    pub fn files(&self, as_of: Option<Seq>) -> Promised {
        let db = self.database.clone();
        promise(move || db.files(as_of.map(|seq| seq.0)).map(Answer::Texts))
    }

    /// Answers the versions of a file.
    #[napi]
    pub fn file_versions(&self, name: Text, as_of: Option<Seq>) -> Promised {
        let db = self.database.clone();
        promise(move || versions_text(&db, &name, as_of.map(|seq| seq.0)).map(Answer::Text))
    }

    /// Answers what the files of a tier cost.
    #[napi]
    pub fn compression_stats(&self, tier: Option<Text>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            let tier = tier_of(tier.as_deref())?;
            Ok(Answer::Text(db.compression_stats(tier)?.to_json()))
        })
    }

    /// Reads the bytes of every version of every file; `progress` is told how far it has come.
    #[napi]
    pub fn verify_files(&self, progress: Option<Listener>) -> Promised {
        let db = self.database.clone();
        promise(move || {
            let mut told = |done_bytes, all_bytes| tell(progress.as_ref(), done_bytes, all_bytes);
            Ok(Answer::Text(db.verify_files(&mut told)?.to_json()))
        })
    }

    /// Gives back the room of chunks that no op refers to.
    #[napi]
    pub fn compact_blobs(&self) -> Promised {
        let db = self.database.clone();
        promise(move || Ok(Answer::Text(db.compact_blobs()?.to_json())))
    }
}

/// A version of a file on its way into the database.
#[napi]
pub struct NedbFileWriter {
    writer: Arc<Mutex<Option<FileWriter>>>,
}

impl NedbFileWriter {
    pub(crate) fn new(writer: FileWriter) -> Self {
        NedbFileWriter { writer: Arc::new(Mutex::new(Some(writer))) }
    }
}

#[napi]
impl NedbFileWriter {
    /// Takes in the next bytes; answers how many were taken in so far.
    #[napi]
    pub fn write(&self, data: Uint8Array) -> Promised {
        let (writer, data) = (Arc::clone(&self.writer), data.to_vec());
        promise(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_mut().ok_or_else(ended)?;
            writer.write(&data)?;
            Ok(Answer::Count(writer.taken_bytes()))
        })
    }

    /// Ends the version: appends its op; answers its number.
    #[napi]
    pub fn finish(&self) -> Promised {
        let writer = Arc::clone(&self.writer);
        promise(move || {
            let writer = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            writer.ok_or_else(ended)?.finish().map(Answer::Count)
        })
    }

    /// Gives the version up.
    #[napi]
    pub fn abort(&self) -> Promised {
        let writer = Arc::clone(&self.writer);
        promise(move || {
            drop(writer.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(Answer::Nothing)
        })
    }
}

fn ended() -> Error {
    Error::invalid("the file was ended already")
}

/// A version of a file that is being read.
#[napi]
pub struct NedbFileReader {
    reader: Arc<Mutex<FileReader>>,
}

impl NedbFileReader {
    pub(crate) fn new(reader: FileReader) -> Self {
        NedbFileReader { reader: Arc::new(Mutex::new(reader)) }
    }
}

#[napi]
impl NedbFileReader {
    /// Reads the next piece; an empty one at the end.
    #[napi]
    pub fn read(&self) -> Promised {
        let reader = Arc::clone(&self.reader);
        promise(move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let left = reader.size_bytes().saturating_sub(reader.position());
            let mut piece = vec![0; READ_BYTES.min(usize::try_from(left).unwrap_or(READ_BYTES))];
            let mut filled = 0;
            while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
                filled += reader.read_bytes(rest)?;
            }
            Ok(Answer::Piece(piece))
        })
    }
}
