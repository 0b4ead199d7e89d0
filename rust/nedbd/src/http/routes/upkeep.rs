//! Verify, log, checkpoint, sweep, flush, backup.

use super::fields::{ok, position, position_members, position_of};
use crate::databases::{Served, Verified};
use crate::directory::check_name;
use crate::http::answer::{Answer, json};
use crate::http::changes::PAGE_BYTES_MAX;
use crate::http::request::{At, JsonBody, Url};
use crate::http::shapes;
use crate::init::quoted;
use crate::refusal::Result;
use crate::server::Shared;
use axum::extract::State;
use nedb_core::{BackupOptions, BackupReport, Database, Receipt, Seq};
use serde::Deserialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::{IntoParams, ToSchema};

/// Ops in an answer of the log when none are asked for.
const LOG_COUNT: usize = 50;
/// Most ops in one answer of the log.
const LOG_COUNT_MAX: usize = 10_000;

/// How much of the log is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// 50 when left out, at most 10,000; fewer where they are long.
    limit: Option<usize>,
    /// Only ops before this one.
    before_seq: Option<i64>,
}

/// How much is verified.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// Also replay the log and compare the result with what queries are answered from.
    determinism: bool,
    /// Also read the bytes of every version of every file.
    files: bool,
}

/// What a checkpoint says.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointBody {
    note: Option<String>,
}

/// Which backup is made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupBody {
    /// The name of its directory: letters, digits, `-` and `_`; the time when left out.
    to: Option<String>,
    /// Leaves out chunks of files that are damaged, where otherwise there is no backup.
    skip_damaged_files: bool,
}

/// Reads the log again and checks every hash and link, and, when asked to, the bytes of files.
#[utoipa::path(get, path = "/v1/databases/{name}/verify", tag = "upkeep",
    params(("name" = String, Path), VerifyQuery),
    responses((status = 200, description = "{ok, seq, head, report}; with determinism, {deterministic} too; with files, {files} too", body = shapes::Verified)))]
pub async fn verify(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<VerifyQuery>,
) -> Answer {
    server.run(move || verified(&served, &query)).await.map(json)
}

/// Lists ops, newest first.
#[utoipa::path(get, path = "/v1/databases/{name}/log", tag = "upkeep",
    params(("name" = String, Path), LogQuery),
    responses((status = 200, description = "{log, seq, head}", body = shapes::OpList)))]
pub async fn log(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<LogQuery>,
) -> Answer {
    let limit = query.limit.unwrap_or(LOG_COUNT).min(LOG_COUNT_MAX);
    let call = move || {
        let position = position(&served.database)?;
        let last = query.before_seq.map_or(position.seq, |before| before.saturating_sub(1));
        let ops = newest(&served.database, last.min(position.seq), limit)?;
        Ok(format!(r#"{{"log":{ops},{}}}"#, position_members(&position)))
    };
    server.read(call).await.map(json)
}

/// Appends a checkpoint op.
#[utoipa::path(post, path = "/v1/databases/{name}/checkpoint", tag = "upkeep",
    params(("name" = String, Path)), request_body = Option<CheckpointBody>,
    responses((status = 200, description = "{ok, seq, head}", body = shapes::Written)))]
pub async fn checkpoint(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let call = move || {
        let body: CheckpointBody = body.read_if_any()?;
        let seq = served.database.checkpoint(body.note.as_deref())?;
        Ok(ok(&position_of(&served.database, seq)?))
    };
    server.run(call).await.map(json)
}

/// Deletes what has expired.
#[utoipa::path(post, path = "/v1/databases/{name}/sweep", tag = "upkeep",
    params(("name" = String, Path)),
    responses((status = 200, description = "{ok, deleted, seq, head}", body = shapes::Swept)))]
pub async fn sweep(State(server): State<Shared>, At(served): At) -> Answer {
    let call = move || {
        let deleted = served.database.sweep()?;
        let position = position_members(&position(&served.database)?);
        Ok(format!(r#"{{"ok":true,"deleted":{deleted},{position}}}"#))
    };
    server.run(call).await.map(json)
}

/// Waits until everything acknowledged is on the disk.
#[utoipa::path(post, path = "/v1/databases/{name}/flush", tag = "upkeep",
    params(("name" = String, Path)),
    responses((status = 200, description = "{ok, durable_seq, seq, head}", body = shapes::Flushed)))]
pub async fn flush(State(server): State<Shared>, At(served): At) -> Answer {
    let call = move || {
        served.database.flush()?;
        let durable_seq = served.database.durable_seq();
        let position = position_members(&position(&served.database)?);
        Ok(format!(r#"{{"ok":true,"durable_seq":{durable_seq},{position}}}"#))
    };
    server.run(call).await.map(json)
}

/// Copies the database as it is now, on the server, while writes go on.
#[utoipa::path(post, path = "/v1/databases/{name}/backup", tag = "upkeep",
    params(("name" = String, Path)), request_body = Option<BackupBody>,
    responses((status = 200, description = "{ok, path, seq, head, log_bytes, damage, damage_count}: path is relative to the directory of backups", body = shapes::BackedUp)))]
pub async fn backup(State(server): State<Shared>, At(served): At, body: JsonBody) -> Answer {
    let root = server.backups();
    let call = move || {
        let body: BackupBody = body.read_if_any()?;
        let to = body.to.unwrap_or_else(|| format!("at-{}", now_ms()));
        let options = BackupOptions { skip_damaged_files: body.skip_damaged_files };
        back_up(&served, &root, (&to, &options))
    };
    server.run(call).await.map(json)
}

fn verified(served: &Served, query: &VerifyQuery) -> Result<String> {
    let database = &served.database;
    let report = database.verify_report()?;
    let deterministic = query.determinism.then(|| database.verify_determinism()).transpose()?;
    let files = query.files.then(|| database.verify_files(&mut |_, _| Ok(()))).transpose()?;
    // The report is about the log as it stood when it began.
    let seq = report.op_count as Seq - 1;
    served.note_verified(Verified { ok: report.ok, seq });
    let position = position_members(&Receipt { seq, hash: report.head.clone() });
    let deterministic =
        deterministic.map_or(String::new(), |it| format!(r#","deterministic":{it}"#));
    let ok = report.ok && files.as_ref().is_none_or(|files| files.ok);
    let files = files.map_or(String::new(), |it| format!(r#","files":{}"#, it.to_json()));
    let report = report.to_json();
    Ok(format!(r#"{{"ok":{ok},{position},"report":{report}{deterministic}{files}}}"#))
}

/// Returns ops as a JSON array, from `last` downwards: so many, or one at least and as many as an answer holds.
pub fn newest(database: &Database, last: Seq, limit: usize) -> Result<String> {
    let (mut ops, mut bytes) = (Vec::new(), 0);
    let mut seq = last;
    while ops.len() < limit
        && bytes < PAGE_BYTES_MAX
        && let Some(op) = database.op(seq)?
    {
        bytes += op.len();
        ops.push(op);
        seq -= 1;
    }
    Ok(format!("[{}]", ops.join(",")))
}

fn back_up(served: &Served, root: &Path, (to, options): (&str, &BackupOptions)) -> Result<String> {
    check_name(to)?;
    let path = Path::new(&served.name).join(to);
    let report = served.database.backup_with(root.join(&path), options)?;
    let shown = quoted(&path.to_string_lossy());
    let BackupReport { seq, head, log_bytes, damages } = report;
    let (position, damage) = (position_members(&Receipt { seq, hash: head }), damages.to_members());
    Ok(format!(r#"{{"ok":true,"path":{shown},{damage},"log_bytes":{log_bytes},{position}}}"#))
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis())
}
