//! Put, get, delete and their kin.

use super::fields::{ok, position, position_members, position_of, seq_of, write_body};
use crate::http::answer::{Answer, json};
use crate::http::request::{At, JsonBody, Row, Url};
use crate::http::shapes;
use crate::refusal::{Code, Refusal, Result};
use crate::server::Shared;
use axum::extract::State;
use nedb_core::{Database, ReadOptions, WriteOptions};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

write_body! {
    /// A document to write, in place of the one that is there.
    PutBody {
        coll: String,
        id: String,
        #[schema(value_type = Object)]
        doc: Box<RawValue>,
    }
}
write_body! {
    /// Documents to write, one op each, with a sync for each thousand.
    PutManyBody {
        coll: String,
        /// An object id → document, or an array of documents that carry `_id`.
        #[schema(value_type = Object)]
        docs: Box<RawValue>,
    }
}
write_body! {
    /// A document to delete.
    DeleteBody { coll: String, id: String, }
}
write_body! {
    /// A document that is to expire.
    ExpireBody { coll: String, id: String, }
}
write_body! {
    /// Items that are written as one op: all of them or none.
    BatchBody {
        /// `{"op":"put","coll","id","doc"}`, `{"op":"delete","coll","id"}` or
        /// `{"op":"link"|"unlink","frm","rel","to"}`, each with its `if_seq` and provenance.
        #[schema(value_type = Vec<Object>)]
        items: Box<RawValue>,
    }
}

/// Where in time a read looks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadAt {
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
    /// The valid time: an ISO 8601 date or instant.
    valid_as_of: Option<String>,
}

/// Which document a read is about, and where in time it looks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GetQuery {
    coll: String,
    id: String,
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
    /// The valid time: an ISO 8601 date or instant.
    valid_as_of: Option<String>,
}

/// What a deletion by path may say.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    client: Option<String>,
    nonce: Option<i64>,
    idem: Option<String>,
    /// The seq of the version that is deleted; -1: there must be none.
    if_seq: Option<i64>,
}

/// Inserts or replaces a document.
#[utoipa::path(post, path = "/v1/databases/{name}/put", tag = "documents",
    params(("name" = String, Path)), request_body = PutBody,
    responses((status = 200, description = "{ok, doc, seq, head}: the document as stored, and where the log stood after it", body = shapes::Put)))]
pub async fn put(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let is_short = body.is_short();
    let write = async move {
        let mut put: PutBody = body.read()?;
        let options = put.options();
        let (coll, id, doc) = (&put.coll, &put.id, put.doc.get());
        let (stored, receipt) = served.database.put_later(coll, id, doc, &options).await?;
        Ok(format!(r#"{{"ok":true,"doc":{stored},{}}}"#, position_members(&receipt)))
    };
    server.write(is_short, write).await.map(json)
}

/// Writes many documents of one collection, with a sync for each thousand.
#[utoipa::path(post, path = "/v1/databases/{name}/put_many", tag = "documents",
    params(("name" = String, Path)), request_body = PutManyBody,
    responses((status = 200, description = "{ok, docs, seq, head}", body = shapes::PutMany)))]
pub async fn put_many(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let call = move || {
        let mut put: PutManyBody = body.read()?;
        let options = put.options();
        let stored = served.database.put_many_json(&put.coll, put.docs.get(), &options)?;
        let position = match stored.last() {
            Some(last) => position_of(&served.database, seq_of(last)?)?,
            None => position(&served.database)?,
        };
        let (docs, position) = (stored.join(","), position_members(&position));
        Ok(format!(r#"{{"ok":true,"docs":[{docs}],{position}}}"#))
    };
    server.run(call).await.map(json)
}

/// Writes items as one op, all or nothing.
#[utoipa::path(post, path = "/v1/databases/{name}/batch", tag = "documents",
    params(("name" = String, Path)), request_body = BatchBody,
    responses((status = 200, description = "{ok, results, seq, head}: for each item the document as stored, or null", body = shapes::Batch),
        (status = 412, description = "an if_seq does not hold", body = shapes::ErrorBody)))]
pub async fn batch(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let is_short = body.is_short();
    let write = async move {
        let mut batch: BatchBody = body.read()?;
        let options = batch.options();
        let items = batch.items.get();
        let (results, receipt) = served.database.batch_later(items, &options).await?;
        let (results, receipt) = (results.join(","), position_members(&receipt));
        Ok(format!(r#"{{"ok":true,"results":[{results}],{receipt}}}"#))
    };
    server.write(is_short, write).await.map(json)
}

/// Reads a document, or null.
#[utoipa::path(get, path = "/v1/databases/{name}/get", tag = "documents",
    params(("name" = String, Path), GetQuery),
    responses((status = 200, description = "{doc, seq, head}: the document or null; the log as it stood before the read", body = shapes::Got)))]
pub async fn get(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<GetQuery>,
) -> Answer {
    let GetQuery { coll, id, as_of, valid_as_of } = query;
    let options = ReadOptions { as_of, valid_as_of };
    let read = move |database: &Database| {
        let position = position_members(&position(database)?);
        let mut text = String::from(r#"{"doc":"#);
        if !database.get_into(&coll, &id, &options, &mut text)? {
            text.push_str("null");
        }
        Ok(format!("{text},{position}}}"))
    };
    read_document(&server, &served.database, read).await.map(json)
}

/// Reads a document by its path.
#[utoipa::path(get, path = "/v1/databases/{name}/rows/{coll}/{id}", tag = "documents",
    params(("name" = String, Path), ("coll" = String, Path), ("id" = String, Path), ReadAt),
    responses((status = 200, description = "the document", body = Object),
        (status = 404, description = "there is none", body = shapes::ErrorBody)))]
pub async fn get_row(State(server): State<Shared>, row: Row, Url(at): Url<ReadAt>) -> Answer {
    let options = ReadOptions { as_of: at.as_of, valid_as_of: at.valid_as_of };
    let read = move |database: &Database| {
        database.get(&row.coll, &row.id, &options)?.ok_or_else(|| {
            Refusal::new(Code::DocumentNotFound, "there is no such document, then and there")
        })
    };
    read_document(&server, &row.served.database, read).await.map(json)
}

/// Deletes a document by its path.
#[utoipa::path(delete, path = "/v1/databases/{name}/rows/{coll}/{id}", tag = "documents",
    params(("name" = String, Path), ("coll" = String, Path), ("id" = String, Path), DeleteQuery),
    responses((status = 200, description = "{ok, seq, head}", body = shapes::Written)))]
pub async fn delete_row(
    State(server): State<Shared>,
    row: Row,
    Url(query): Url<DeleteQuery>,
) -> Answer {
    let DeleteQuery { client, nonce, idem, if_seq } = query;
    let options = WriteOptions { client, nonce, idem, if_seq, ..WriteOptions::default() };
    let write = async move {
        let Row { served, coll, id } = &row;
        Ok(ok(&served.database.delete_later(coll, id, &options).await?))
    };
    server.write(true, write).await.map(json)
}

/// Deletes a document, with everything that a write may say.
#[utoipa::path(post, path = "/v1/databases/{name}/delete", tag = "documents",
    params(("name" = String, Path)), request_body = DeleteBody,
    responses((status = 200, description = "{ok, seq, head}", body = shapes::Written)))]
pub async fn delete(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let is_short = body.is_short();
    let write = async move {
        let mut delete: DeleteBody = body.read()?;
        let options = delete.options();
        let deleted = served.database.delete_later(&delete.coll, &delete.id, &options);
        Ok(ok(&deleted.await?))
    };
    server.write(is_short, write).await.map(json)
}

/// Lets a document expire in `ttl_s` seconds.
#[utoipa::path(post, path = "/v1/databases/{name}/expire", tag = "documents",
    params(("name" = String, Path)), request_body = ExpireBody,
    responses((status = 200, description = "{ok, found, seq, head}: whether there is such a document", body = shapes::Expired)))]
pub async fn expire(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let call = move || {
        let mut expire: ExpireBody = body.read()?;
        let ttl_s = expire.ttl_s.take().ok_or_else(|| Refusal::invalid("ttl_s is missing"))?;
        let options = expire.options();
        let found = served.database.expire(&expire.coll, &expire.id, ttl_s, &options)?;
        let position = position_members(&position(&served.database)?);
        Ok(format!(r#"{{"ok":true,"found":{found},{position}}}"#))
    };
    server.run(call).await.map(json)
}

/// Reads one document: at once where nothing is in the way, since handing a call to another thread costs
/// more than the call.
async fn read_document(
    server: &Shared,
    database: &Database,
    read: impl FnOnce(&Database) -> Result<String> + Send + 'static,
) -> Result<String> {
    if !database.would_wait(false) {
        return read(database);
    }
    let database = database.clone();
    server.read(move || read(&database)).await
}
