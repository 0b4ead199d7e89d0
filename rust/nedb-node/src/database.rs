//! `NedbCore`: the database as a class that answers at once, with JSON texts in and out.
//!
//! In: strings and JSON texts of documents, options and items; seqs as numbers or BigInts. Out:
//! stored texts, seqs as BigInts, `null` for what is not there. Every method may throw an error with
//! a stable `code`. A method blocks the thread that calls it for as long as the engine does: a
//! durable write until it is on disk. `query.rs` holds the queries and
//! indexes, `upkeep.rs` what concerns the log as a whole, `tasks.rs` the promises.

use std::cell::RefCell;

use napi::bindgen_prelude::BigInt;
use napi::{Env, JsString};
use napi_derive::napi;
use nedb_core::{Database, ReadOptions};

use crate::convert::{
    Seconds, Seq, Text, directory_options, open_options, read_options, write_options,
};
use crate::error::throwing;

/// Room that a call leaves for the next one: a text beyond it is given back.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

thread_local! {
    /// The text of the last document answered, so that a call allocates none of its own.
    static SCRATCH: RefCell<String> = const { RefCell::new(String::new()) };
}

/// An open database.
#[napi]
pub struct NedbCore {
    pub(crate) database: Database,
}

#[napi]
impl NedbCore {
    /// Makes an empty database in memory.
    #[napi(constructor)]
    pub fn new(env: &Env, options: Option<Text>) -> napi::Result<Self> {
        let database = throwing(env, || Database::in_memory(open_options(options.as_deref())?))?;
        Ok(NedbCore { database })
    }

    /// Opens the database of a directory, or makes it.
    #[napi(factory)]
    pub fn open(env: &Env, path: Text, options: Option<Text>) -> napi::Result<Self> {
        let database =
            throwing(env, || Database::open(&*path, directory_options(options.as_deref())?))?;
        Ok(NedbCore { database })
    }

    /// Stores a document under (collection, id); answers the stored text.
    #[napi]
    pub fn put<'env>(
        &self,
        env: &'env Env,
        collection: Text,
        id: Text,
        document: Text,
        options: Option<Text>,
    ) -> napi::Result<JsString<'env>> {
        with_scratch(|text| {
            throwing(env, || {
                let options = write_options(options.as_deref())?;
                self.database.put_into(&collection, &id, &document, &options, text)
            })?;
            env.create_string(&*text)
        })
    }

    /// Stores many documents, given as one object id → document or as one array.
    #[napi]
    pub fn put_many(
        &self,
        env: &Env,
        collection: Text,
        texts: Text,
        options: Option<Text>,
    ) -> napi::Result<Vec<String>> {
        throwing(env, || {
            self.database.put_many_json(&collection, &texts, &write_options(options.as_deref())?)
        })
    }

    /// Deletes a document; answers the seq of the op.
    #[napi]
    pub fn delete(
        &self,
        env: &Env,
        collection: Text,
        id: Text,
        options: Option<Text>,
    ) -> napi::Result<BigInt> {
        throwing(env, || {
            self.database.delete(&collection, &id, &write_options(options.as_deref())?)
        })
        .map(BigInt::from)
    }

    /// Reads a document at HEAD.
    #[napi]
    pub fn get<'env>(
        &self,
        env: &'env Env,
        collection: Text,
        id: Text,
    ) -> napi::Result<Option<JsString<'env>>> {
        self.read(env, &collection, &id, &ReadOptions::default())
    }

    /// Reads a document as it was at a seq.
    #[napi]
    pub fn get_as_of<'env>(
        &self,
        env: &'env Env,
        collection: Text,
        id: Text,
        seq: Seq,
    ) -> napi::Result<Option<JsString<'env>>> {
        let options = ReadOptions { as_of: Some(seq.0), ..ReadOptions::default() };
        self.read(env, &collection, &id, &options)
    }

    /// Reads a document with options: `as_of`, `valid_as_of`.
    #[napi]
    pub fn get_at<'env>(
        &self,
        env: &'env Env,
        collection: Text,
        id: Text,
        options: Option<Text>,
    ) -> napi::Result<Option<JsString<'env>>> {
        let options = throwing(env, || read_options(options.as_deref()))?;
        self.read(env, &collection, &id, &options)
    }

    /// Adds a relation between two nodes `coll:id`; answers the seq of the op.
    #[napi]
    pub fn link(
        &self,
        env: &Env,
        from: Text,
        relation: Text,
        to: Text,
        options: Option<Text>,
    ) -> napi::Result<BigInt> {
        throwing(env, || {
            self.database.link(&from, &relation, &to, &write_options(options.as_deref())?)
        })
        .map(BigInt::from)
    }

    /// Ends a relation; answers the seq of the op.
    #[napi]
    pub fn unlink(
        &self,
        env: &Env,
        from: Text,
        relation: Text,
        to: Text,
        options: Option<Text>,
    ) -> napi::Result<BigInt> {
        throwing(env, || {
            self.database.unlink(&from, &relation, &to, &write_options(options.as_deref())?)
        })
        .map(BigInt::from)
    }

    /// Answers the nodes that a node's relation leads to.
    #[napi]
    pub fn neighbors(
        &self,
        env: &Env,
        node: Text,
        relation: Text,
        as_of: Option<Seq>,
    ) -> napi::Result<Vec<String>> {
        throwing(env, || self.database.neighbors(&node, &relation, as_of.map(|seq| seq.0)))
    }

    /// Answers the nodes whose relation leads to a node.
    #[napi]
    pub fn inbound(
        &self,
        env: &Env,
        node: Text,
        relation: Text,
        as_of: Option<Seq>,
    ) -> napi::Result<Vec<String>> {
        throwing(env, || self.database.inbound(&node, &relation, as_of.map(|seq| seq.0)))
    }

    /// Puts an existing document again, to expire after some seconds; false when it is not there.
    #[napi]
    pub fn expire(
        &self,
        env: &Env,
        collection: Text,
        id: Text,
        ttl_seconds: Seconds,
        options: Option<Text>,
    ) -> napi::Result<bool> {
        throwing(env, || {
            let options = write_options(options.as_deref())?;
            self.database.expire(&collection, &id, ttl_seconds.0, &options)
        })
    }

    /// Deletes what has expired; answers how many documents.
    #[napi]
    pub fn sweep(&self, env: &Env) -> napi::Result<f64> {
        throwing(env, || self.database.sweep()).map(|count| count as f64)
    }

    /// Writes a JSON array of items as one op; answers one JSON text per item.
    #[napi]
    pub fn batch(
        &self,
        env: &Env,
        items: Text,
        options: Option<Text>,
    ) -> napi::Result<Vec<String>> {
        throwing(env, || self.database.batch(&items, &write_options(options.as_deref())?))
    }
}

impl NedbCore {
    /// Reads a document into the scratch text and makes the JavaScript string from there.
    fn read<'env>(
        &self,
        env: &'env Env,
        collection: &str,
        id: &str,
        options: &ReadOptions,
    ) -> napi::Result<Option<JsString<'env>>> {
        with_scratch(|text| {
            let found = throwing(env, || self.database.get_into(collection, id, options, text))?;
            if found { env.create_string(&*text).map(Some) } else { Ok(None) }
        })
    }
}

/// Lends the scratch text, empty.
fn with_scratch<T>(work: impl FnOnce(&mut String) -> T) -> T {
    SCRATCH.with_borrow_mut(|text| {
        text.clear();
        let answer = work(text);
        if text.capacity() > SCRATCH_BYTES_MAX {
            *text = String::new();
        }
        answer
    })
}
