//! Queries and indexes of `NedbCore`.
//!
//! In: NQL text with parameters as JSON text. Out: one JSON text per row.

use napi::Env;
use napi_derive::napi;
use nedb_core::{Database, IndexKind, Params, Result};

use crate::convert::Text;
use crate::database::NedbCore;
use crate::error::throwing;

#[napi]
impl NedbCore {
    /// Runs a query; parameters are a JSON array for `$1`… or an object for `$name`.
    #[napi]
    pub fn query(&self, env: &Env, nql: Text, params: Option<Text>) -> napi::Result<Vec<String>> {
        throwing(env, || rows(&self.database, &nql, params.as_deref()))
    }

    /// Makes an index of a kind ("eq", "ordered", "search") on a dotted path.
    #[napi]
    pub fn create_index(
        &self,
        env: &Env,
        collection: Text,
        field: Text,
        kind: Text,
    ) -> napi::Result<()> {
        throwing(env, || self.database.create_index(&collection, &field, IndexKind::parse(&kind)?))
    }

    /// Answers the indexes as a JSON array of [collection, field, kind].
    #[napi]
    pub fn indexes(&self, env: &Env) -> napi::Result<String> {
        throwing(env, || index_list(&self.database))
    }

    /// Answers the names of the collections that hold a document, in order of creation.
    #[napi]
    pub fn collections(&self, env: &Env) -> napi::Result<Vec<String>> {
        throwing(env, || self.database.collections())
    }
}

/// Runs a query and takes its rows as texts.
pub fn rows(database: &Database, nql: &str, params: Option<&str>) -> Result<Vec<String>> {
    let params = params.map_or_else(|| Ok(Params::none()), Params::from_json)?;
    Ok(database.query(nql, &params)?.into_texts())
}

/// Writes the indexes as JSON text.
pub fn index_list(database: &Database) -> Result<String> {
    let found: Vec<_> = database
        .indexes()?
        .into_iter()
        .map(|(collection, field, kind)| (collection, field, kind.as_str()))
        .collect();
    serde_json::to_string(&found).map_err(|error| nedb_core::Error::invalid(error.to_string()))
}
