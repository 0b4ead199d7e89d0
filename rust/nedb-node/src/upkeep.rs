//! What concerns the log as a whole: its head, its verification, its place, its end.
//!
//! Out: seqs as BigInts, reports as JSON texts with the engine's names for their members.

use std::path::Path;

use napi::Env;
use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use nedb_core::{BackupOptions, Database, Result, Tmk};

use crate::convert::{Seq, Text};
use crate::database::NedbCore;
use crate::error::throwing;

#[napi]
impl NedbCore {
    /// Saves the views, so that opening is quick, and appends an op that seals the file; answers its seq.
    /// In memory it is a mark in the log.
    #[napi]
    pub fn checkpoint(&self, env: &Env, note: Option<Text>) -> napi::Result<BigInt> {
        throwing(env, || self.database.checkpoint(note.as_deref())).map(BigInt::from)
    }

    /// Reads the log again and says whether every hash and link fits.
    #[napi]
    pub fn verify(&self, env: &Env) -> napi::Result<bool> {
        throwing(env, || self.database.verify())
    }

    /// Reads the log again and answers what was found, as JSON text.
    #[napi]
    pub fn verify_report(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.verify_report()?.to_json()))
    }

    /// Copies the database as it is now into a new directory; answers what it holds, as JSON text.
    #[napi]
    pub fn backup(
        &self,
        env: &Env,
        path: Text,
        skip_damaged_files: Option<bool>,
    ) -> napi::Result<String> {
        let options = BackupOptions { skip_damaged_files: skip_damaged_files.unwrap_or(false) };
        throwing(env, || Ok(self.database.backup_with(&*path, &options)?.to_json()))
    }

    /// Wraps the data key with another key, both in hexadecimal: from then on only the new one opens it.
    #[napi]
    pub fn rewrap_key(&self, env: &Env, old_tmk: Text, new_tmk: Text) -> napi::Result<()> {
        throwing(env, || {
            self.database.rewrap_key(&Tmk::from_hex(&old_tmk)?, &Tmk::from_hex(&new_tmk)?)
        })
    }

    /// Says whether what is on the disk is encrypted.
    #[napi]
    pub fn encrypted(&self, env: &Env) -> napi::Result<bool> {
        throwing(env, || Ok(self.database.is_encrypted()))
    }

    /// Makes a damaged database writable again; answers what was done, as JSON text.
    #[napi]
    pub fn repair(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.repair()?.to_json()))
    }

    /// Folds the log into fresh views and says whether they equal those in use.
    #[napi]
    pub fn verify_determinism(&self, env: &Env) -> napi::Result<bool> {
        throwing(env, || self.database.verify_determinism())
    }

    /// Answers the seq of the last op; -1 when there is none.
    #[napi]
    pub fn seq(&self, env: &Env) -> napi::Result<BigInt> {
        throwing(env, || Ok(self.database.seq())).map(BigInt::from)
    }

    /// Answers the seq of the last op that is known to be on the disk; in memory, of the last op.
    #[napi]
    pub fn durable_seq(&self, env: &Env) -> napi::Result<BigInt> {
        throwing(env, || Ok(self.database.durable_seq())).map(BigInt::from)
    }

    /// Answers the hash after the last op: 64 hex digits.
    #[napi]
    pub fn head(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.head()))
    }

    /// Answers an op as canonical JSON text; null beyond the last.
    #[napi]
    pub fn op(&self, env: &Env, seq: Seq) -> napi::Result<Option<String>> {
        throwing(env, || self.database.op(seq.0))
    }

    /// Returns when every op is on disk.
    #[napi]
    pub fn flush(&self, env: &Env) -> napi::Result<()> {
        throwing(env, || self.database.flush())
    }

    /// Finishes what is under way and lets the directory go; again does nothing.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<()> {
        throwing(env, || self.database.close())
    }

    /// Reads what a writer has synced since, on a handle opened for reading; answers the seq.
    #[napi]
    pub fn refresh(&self, env: &Env) -> napi::Result<BigInt> {
        throwing(env, || self.database.refresh()).map(BigInt::from)
    }

    /// Says whether the handle was opened for reading.
    #[napi]
    pub fn read_only(&self, env: &Env) -> napi::Result<bool> {
        throwing(env, || Ok(self.database.is_read_only()))
    }

    /// Answers the directory; null in memory.
    #[napi]
    pub fn path(&self, env: &Env) -> napi::Result<Option<String>> {
        throwing(env, || Ok(self.database.path().map(path_text)))
    }

    /// Answers what opening found, as JSON text.
    #[napi]
    pub fn open_report(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || Ok(self.database.open_report().to_json()))
    }
}

/// Spells a directory for a person; what is no Unicode in it is replaced.
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Reads up to `count` ops from a seq on, as JSON texts.
pub fn ops(database: &Database, first_seq: i64, count: usize) -> Result<Vec<String>> {
    let mut found = Vec::with_capacity(count);
    let mut seq = first_seq;
    while found.len() < count {
        let Some(text) = database.op(seq)? else { break };
        found.push(text);
        seq += 1;
    }
    Ok(found)
}
