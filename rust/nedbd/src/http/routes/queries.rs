//! NQL and indexes.

use super::fields::{position, position_members};
use crate::http::answer::{Answer, held_json, json};
use crate::http::request::{At, JsonBody};
use crate::http::shapes;
use crate::refusal::Result;
use crate::server::Shared;
use axum::extract::State;
use nedb_core::{Database, IndexKind, Params, QueryOptions, Rows};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Longest body of a query that is answered at once: the conditions of a longer one take their time for each
/// document.
const AT_ONCE_BODY_BYTES_MAX: usize = 1_024;

/// A query with the values of its parameters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryBody {
    nql: String,
    /// An array for `$1`, `$2`, …, or an object for `$name`.
    #[schema(value_type = Option<Object>)]
    params: Option<Box<RawValue>>,
}

/// An index to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexBody {
    coll: String,
    /// A name or a dotted path.
    field: String,
    /// `eq`, `ordered` or `search`.
    kind: String,
}

/// Runs an NQL query.
#[utoipa::path(post, path = "/v1/databases/{name}/query", tag = "queries",
    params(("name" = String, Path)), request_body = QueryBody,
    responses((status = 200, description = "{rows, count, seq, head}; everything up to seq is in the rows", body = shapes::RowList),
        (status = 400, description = "the query does not parse; the error has a position", body = shapes::ErrorBody)))]
pub async fn query(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let limits = &server.config.limits;
    let options = QueryOptions {
        rows_count_max: Some(limits.rows_count_max),
        answer_bytes_max: Some(limits.answer_bytes_max),
        memory_bytes_max: limits.query_memory_bytes_max,
        cancellation: None,
    };
    if let Some(text) = run_at_once(&served.database, &body, &options)? {
        return Ok(json(text));
    }
    let query = move |cancellation| {
        let options = QueryOptions { cancellation: Some(cancellation), ..options };
        run(&served.database, &body, &options)
    };
    let (text, _held_until_it_has_places) = server.query(query).await?;
    let places = server.answer_places(text.len()).await?;
    Ok(held_json(text, places))
}

/// Makes an index.
#[utoipa::path(post, path = "/v1/databases/{name}/index", tag = "queries",
    params(("name" = String, Path)), request_body = IndexBody,
    responses((status = 200, description = "{ok}", body = shapes::Done)))]
pub async fn index(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let call = move || {
        let index: IndexBody = body.read()?;
        let kind = IndexKind::parse(&index.kind)?;
        served.database.create_index(&index.coll, &index.field, kind)?;
        Ok(r#"{"ok":true}"#.to_owned())
    };
    server.run(call).await.map(json)
}

/// Answers a quick query on the thread of the connection: handing it to another costs more than the query.
/// None for one that may not be quick.
fn run_at_once(
    database: &Database,
    body: &JsonBody,
    options: &QueryOptions,
) -> Result<Option<String>> {
    if body.bytes_count() > AT_ONCE_BODY_BYTES_MAX {
        return Ok(None);
    }
    let QueryBody { nql, params } = body.read()?;
    let params = values(params.as_deref())?;
    // Before the rows: what stands after them may not be in them.
    let position = position_members(&position(database)?);
    let rows = database.query_at_once(&nql, &params, options)?;
    Ok(rows.map(|rows| rows_text(&rows, &position)))
}

fn run(database: &Database, body: &JsonBody, options: &QueryOptions) -> Result<String> {
    let QueryBody { nql, params } = body.read()?;
    let params = values(params.as_deref())?;
    let position = position_members(&position(database)?);
    let rows = database.query_with(&nql, &params, options)?;
    Ok(rows_text(&rows, &position))
}

fn values(params: Option<&RawValue>) -> Result<Params> {
    Ok(params.map_or(Ok(Params::none()), |text| Params::from_json(text.get()))?)
}

fn rows_text(rows: &Rows, position: &str) -> String {
    let bytes: usize = rows.iter().map(|row| row.len() + 1).sum();
    let mut text = String::with_capacity(bytes + 128);
    text.push_str(r#"{"rows":["#);
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(row);
    }
    text.push_str(&format!(r#"],"count":{},{position}}}"#, rows.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_rows() -> QueryOptions {
        QueryOptions { rows_count_max: Some(10), ..QueryOptions::default() }
    }

    use nedb_core::{Options, WriteOptions};

    #[test]
    fn what_is_answered_at_once_is_what_another_thread_would_answer() {
        let database = Database::in_memory(Options::default()).unwrap();
        for id in ["a", "b"] {
            database.put("c", id, r#"{"n":1}"#, &WriteOptions::default()).unwrap();
        }
        let short = JsonBody::from(r#"{"nql":"FROM c WHERE n = $1","params":[1]}"#.to_owned());
        let text = run(&database, &short, &ten_rows()).unwrap();
        assert!(text.contains(r#""_id":"b""#), "{text}");
        assert_eq!(run_at_once(&database, &short, &ten_rows()).unwrap(), Some(text));
        let long = format!(r#"{{"nql":"FROM c{}"}}"#, " ".repeat(AT_ONCE_BODY_BYTES_MAX));
        assert_eq!(run_at_once(&database, &JsonBody::from(long), &ten_rows()).unwrap(), None);
        let broken = JsonBody::from(r#"{"nql":"FROM"}"#.to_owned());
        let refusals = [
            run(&database, &broken, &ten_rows()),
            run_at_once(&database, &broken, &ten_rows()).map(|_| "".into()),
        ];
        for refusal in refusals {
            assert!(refusal.unwrap_err().position.is_some());
        }
    }
}
