//! List, make, describe, drop.

use super::fields::{position, position_members};
use super::upkeep::newest;
use crate::databases::{Served, Verified};
use crate::http::answer::{Answer, created, error_text, json};
use crate::http::request::{At, JsonBody, Name, Url};
use crate::http::shapes;
use crate::init::{Init, quoted};
use crate::refusal::{Code, Result};
use crate::server::Shared;
use axum::extract::State;
use nedb_core::{Database, ErrorCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Ops in the description of a database.
const RECENT_COUNT: usize = 10;

/// A database to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBody<'a> {
    /// 1 to 64 letters, digits, `-` and `_`, not beginning with `-`.
    name: String,
    /// What it begins with: `{"indexes": [[coll, field, kind]], "seed": {coll: [doc]}, "links": [[frm, rel,
    /// to]]}`, all of it or no database.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    init: Option<Init<'a>>,
}

/// How a database is dropped.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// Drop it also where it could not be opened and nobody has seen what is in it.
    force: bool,
}

/// Lists all databases.
#[utoipa::path(get, path = "/v1/databases", tag = "databases",
    responses((status = 200, description = "{databases: [{name, seq, head, rows, collections}]}; one that is not open has a state instead", body = shapes::DatabaseList)))]
pub async fn list(State(server): State<Shared>) -> Answer {
    let shared = server.clone();
    let call = move || {
        let databases = &shared.databases;
        if shared.config.read_only {
            databases.look_around();
        }
        let lines: Vec<String> =
            databases.names().iter().filter_map(|name| line(&shared, name)).collect();
        Ok(format!(r#"{{"databases":[{}],"ready":{}}}"#, lines.join(","), databases.is_ready()))
    };
    server.read(call).await.map(json)
}

/// Makes a database.
#[utoipa::path(post, path = "/v1/databases", tag = "databases", request_body = CreateBody,
    responses((status = 201, description = "{database: {name, seq, head, rows, collections}}", body = shapes::Created),
        (status = 409, description = "there is one of that name", body = shapes::ErrorBody)))]
pub async fn create(State(server): State<Shared>, body: JsonBody) -> Answer {
    let shared = server.clone();
    let call = move || {
        let body: CreateBody<'_> = body.read()?;
        let init = body.init.unwrap_or_default();
        let served = shared.databases.create(&body.name, &init)?;
        let summary = summary(&served.name, &served.database)?;
        Ok(format!(r#"{{"database":{{{summary}}}}}"#))
    };
    server.run(call).await.map(created)
}

/// Describes a database: its indexes, its integrity, its newest ops.
#[utoipa::path(get, path = "/v1/databases/{name}", tag = "databases",
    params(("name" = String, Path)),
    responses((status = 200, description = "{name, seq, head, rows, collections, indexes, integrity, read_only, log}", body = shapes::Detail),
        (status = 404, description = "there is none", body = shapes::ErrorBody)))]
pub async fn detail(State(server): State<Shared>, At(served): At) -> Answer {
    server.read(move || described(&served)).await.map(json)
}

/// Drops a database and removes its files; one that could not be opened is refused with what opening it said,
/// unless `force` is true.
#[utoipa::path(delete, path = "/v1/databases/{name}", tag = "databases",
    params(("name" = String, Path), RemoveQuery),
    responses((status = 200, description = "{dropped: true}", body = shapes::Dropped)))]
pub async fn remove(
    State(server): State<Shared>,
    Name(name): Name,
    Url(query): Url<RemoveQuery>,
) -> Answer {
    let shared = server.clone();
    let call = move || {
        shared.databases.remove(&name, query.force)?;
        Ok(r#"{"dropped":true}"#.to_owned())
    };
    server.run(call).await.map(json)
}

/// Returns what the list says of a database; None when it was dropped meanwhile.
fn line(server: &Shared, name: &str) -> Option<String> {
    let summarized = server.databases.get(name).and_then(|it| summary(name, &it.database));
    match summarized {
        Ok(summary) => Some(format!("{{{summary}}}")),
        Err(refusal) if refusal.code == Code::DatabaseNotFound => None,
        Err(refusal) if refusal.code == Code::NotReady => {
            Some(format!(r#"{{"name":{},"state":"opening"}}"#, quoted(name)))
        }
        Err(refusal) => {
            let error = error_text(&refusal);
            // The error's own object, without its outer braces, is a member of this one.
            let error = error.trim_start_matches('{').strip_suffix('}').unwrap_or_default();
            Some(format!(r#"{{"name":{},"state":"failed",{error}}}"#, quoted(name)))
        }
    }
}

/// Returns the members that stand for a database.
fn summary(name: &str, database: &Database) -> Result<String> {
    let position = position_members(&position(database)?);
    let counts = database.document_counts()?;
    let rows: u64 = counts.iter().map(|(_, count)| count).sum();
    let collections: Vec<String> =
        counts.iter().map(|(name, count)| format!("{}:{count}", quoted(name))).collect();
    let (name, collections) = (quoted(name), collections.join(","));
    Ok(format!(r#""name":{name},{position},"rows":{rows},"collections":{{{collections}}}"#))
}

fn described(served: &Served) -> Result<String> {
    let database = &served.database;
    let summary = summary(&served.name, database)?;
    let indexes: Vec<String> = database
        .indexes()?
        .iter()
        .map(|(collection, field, kind)| {
            format!(r#"[{},{},"{}"]"#, quoted(collection), quoted(field), kind.as_str())
        })
        .collect();
    let log = match newest(database, database.seq(), RECENT_COUNT) {
        Ok(log) => Some(log),
        // The rest is worth knowing all the same, and this above all.
        Err(refusal) if refusal.code == Code::Engine(ErrorCode::IntegrityError) => None,
        Err(refusal) => return Err(refusal),
    };
    let (indexes, integrity) = (indexes.join(","), integrity(served, log.is_some()));
    let (read_only, log) = (database.is_read_only(), log.as_deref().unwrap_or("null"));
    Ok(format!(
        r#"{{{summary},"indexes":[{indexes}],"integrity":{integrity},"read_only":{read_only},"log":{log}}}"#
    ))
}

/// Returns what is known of the log's integrity: what the last verification found, or what opening did.
fn integrity(served: &Served, is_log_read: bool) -> String {
    match served.last_verified() {
        Some(Verified { ok, seq }) => {
            format!(r#"{{"ok":{},"verified_seq":{seq}}}"#, ok && is_log_read)
        }
        None => {
            let is_whole = served.database.open_report().damage.is_none() && is_log_read;
            format!(r#"{{"ok":{is_whole},"verified_seq":null}}"#)
        }
    }
}
