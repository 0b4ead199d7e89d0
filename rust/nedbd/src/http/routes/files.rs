//! Files: put, get, and what is known of them.

use super::fields::{Part, position, position_members, position_of, strings};
use crate::databases::Served;
use crate::http::answer::{Answer, created, json};
use crate::http::range::{Wanted, is_known, wanted};
use crate::http::request::{At, FilePath, Url};
use crate::http::shapes;
use crate::http::stream::{download, upload};
use crate::refusal::{Code, Refusal, Result};
use crate::server::Shared;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use nedb_core::{FileAt, FileInfo, Tier, WriteOptions};
use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

/// What the write of a file may say: what every write may, but `ttl_s` and `if_seq`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PutFileQuery {
    /// `warm`, compressed quickly, or `cold`, as much as possible; `warm` when left out.
    tier: Option<String>,
    /// Who writes; `local` when left out.
    client: Option<String>,
    /// A number above the client's last; the next when left out.
    nonce: Option<i64>,
    /// A key that makes a retry return the result of the first call.
    idem: Option<String>,
    /// Seqs of the ops that caused this one, with commas between.
    #[serde(deserialize_with = "seqs")]
    #[param(value_type = Option<String>)]
    caused_by: Vec<i64>,
    /// What the write rests on.
    evidence: Option<String>,
    /// How sure the writer is, from 0 to 1.
    confidence: Option<f64>,
    /// From when on it is true: an ISO 8601 date or instant.
    valid_from: Option<String>,
    /// Until when it is true.
    valid_to: Option<String>,
}

/// Which version of a file is meant; the last when nothing is said.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// Its number; -1 is the last, -2 the one before.
    version: Option<i64>,
    /// `warm` or `cold`, where NEDB 1.x gave two versions one number.
    tier: Option<String>,
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
}

/// Which chunk of a version of a file is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProofQuery {
    /// Counted from 0.
    chunk: u64,
    /// Its number; -1 is the last, -2 the one before.
    version: Option<i64>,
    /// `warm` or `cold`, where NEDB 1.x gave two versions one number.
    tier: Option<String>,
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
}

/// At which seq files or versions are listed, and how many.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The last seq that counts; the head when left out.
    as_of: Option<i64>,
    /// Most that are answered; the bound of the server when left out, and more than that are refused.
    limit: Option<usize>,
    /// How many are left out before them.
    offset: Option<usize>,
}

/// Which tier is meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TierQuery {
    /// `warm` or `cold`; `warm` when left out.
    tier: Option<String>,
}

/// Writes a version of a file. The body is its bytes; they are on the disk before the answer.
#[utoipa::path(put, path = "/v1/databases/{name}/files/{file}", tag = "files",
    params(("name" = String, Path), ("file" = String, Path), PutFileQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, description = "{ok, file: {version, root, size, tier, seq}, seq, head}", body = shapes::FilePut)))]
pub async fn put_file(
    State(server): State<Shared>,
    FilePath { served, file }: FilePath,
    Url(query): Url<PutFileQuery>,
    body: Body,
) -> Answer {
    let (tier, options) = query.split()?;
    let database = served.database.clone();
    let name = file.clone();
    let begin = move || Ok(database.file_writer(&name, tier, &options)?);
    let version = upload(&server, body, begin).await?;
    let answer = move || {
        let database = &served.database;
        let mut versions = database.file_versions(&file, None)?;
        versions.retain(|it| it.version == version);
        let info =
            versions.pop().ok_or_else(|| nedb_core::Error::integrity("a version is gone"))?;
        let position = position_members(&position_of(database, info.seq)?);
        Ok(format!(r#"{{"ok":true,"file":{},{position}}}"#, info.to_json()))
    };
    server.step(answer).await.map(created)
}

/// Reads a version of a file, or a part of it.
#[utoipa::path(get, path = "/v1/databases/{name}/files/{file}", tag = "files",
    params(("name" = String, Path), ("file" = String, Path), FileQuery),
    responses((status = 200, description = "the bytes; ETag is the root", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "the bytes of one range", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 304, description = "the client has them: If-None-Match names the root"),
        (status = 416, description = "the range begins behind the end", body = shapes::ErrorBody)))]
pub async fn get_file(
    State(server): State<Shared>,
    FilePath { served, file }: FilePath,
    Url(query): Url<FileQuery>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let at = query.at()?;
    let place = server.file_place().await?;
    let open = move || Ok(served.database.open_file(&file, &at)?);
    let reader = server.read(open).await?;
    let (info, size_bytes) = (reader.info().clone(), reader.size_bytes());
    let tag = format!("\"{}\"", info.root);
    if is_known(&headers, &tag) {
        return described(StatusCode::NOT_MODIFIED, &info, Body::empty());
    }
    let part = match wanted(&headers, &tag, size_bytes) {
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
        Wanted::Nothing => return Ok(not_satisfiable(size_bytes)),
    };
    let bytes = part.clone().unwrap_or(0..size_bytes);
    let length = bytes.end - bytes.start;
    let body = match method == Method::HEAD {
        true => Body::empty(),
        false => download(&server, reader, bytes, place).await?,
    };
    let mut response = described(StatusCode::OK, &info, body)?;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1);
        response.headers_mut().insert(CONTENT_RANGE, header(&range)?);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Lists the names of the files, in order of their first version.
#[utoipa::path(get, path = "/v1/databases/{name}/files", tag = "files",
    params(("name" = String, Path), ListQuery),
    responses((status = 200, description = "{files, count, seq, head}", body = shapes::FileNames)))]
pub async fn files(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<ListQuery>,
) -> Answer {
    let part = Part::of(&server, query.limit, query.offset);
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let names = served.database.files_within(query.as_of, part.places())?;
        part.check(names.len())?;
        Ok(format!(r#"{{"files":{},"count":{},{position}}}"#, strings(&names), names.len()))
    };
    server.read(call).await.map(json)
}

/// Lists the versions of a file, oldest first; none for a name that is no file's.
#[utoipa::path(get, path = "/v1/databases/{name}/files/{file}/versions", tag = "files",
    params(("name" = String, Path), ("file" = String, Path), ListQuery),
    responses((status = 200, description = "{versions: [{version, root, size, tier, seq}], count, seq, head}", body = shapes::FileVersions)))]
pub async fn file_versions(
    State(server): State<Shared>,
    FilePath { served, file }: FilePath,
    Url(query): Url<ListQuery>,
) -> Answer {
    let part = Part::of(&server, query.limit, query.offset);
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let versions = served.database.file_versions_within(&file, query.as_of, part.places())?;
        part.check(versions.len())?;
        let texts: Vec<String> = versions.iter().map(FileInfo::to_json).collect();
        let (texts, count) = (texts.join(","), versions.len());
        Ok(format!(r#"{{"versions":[{texts}],"count":{count},{position}}}"#))
    };
    server.read(call).await.map(json)
}

/// Gives the root of the tree over the chunks of a version of a file.
#[utoipa::path(get, path = "/v1/databases/{name}/files/{file}/root", tag = "files",
    params(("name" = String, Path), ("file" = String, Path), FileQuery),
    responses((status = 200, description = "{root, seq, head}", body = shapes::FileRoot)))]
pub async fn file_root(
    State(server): State<Shared>,
    FilePath { served, file }: FilePath,
    Url(query): Url<FileQuery>,
) -> Answer {
    let at = query.at()?;
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let root = served.database.file_root(&file, &at)?;
        Ok(format!(r#"{{"root":"{root}",{position}}}"#))
    };
    server.read(call).await.map(json)
}

/// Proves that a chunk is part of a version of a file.
#[utoipa::path(get, path = "/v1/databases/{name}/files/{file}/proof", tag = "files",
    params(("name" = String, Path), ("file" = String, Path), ProofQuery),
    responses((status = 200, description = "{proof: {leaf, path: [[hash, L or R]], root}, seq, head}", body = shapes::FileProved)))]
pub async fn file_proof(
    State(server): State<Shared>,
    FilePath { served, file }: FilePath,
    Url(query): Url<ProofQuery>,
) -> Answer {
    let ProofQuery { chunk, version, tier, as_of } = query;
    let at = FileQuery { version, tier, as_of }.at()?;
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let proof = served.database.file_proof(&file, chunk, &at)?.to_json();
        Ok(format!(r#"{{"proof":{proof},{position}}}"#))
    };
    server.read(call).await.map(json)
}

/// Counts what the files of a tier cost.
#[utoipa::path(get, path = "/v1/databases/{name}/compression_stats", tag = "files",
    params(("name" = String, Path), TierQuery),
    responses((status = 200, description = "{stats: {tier, unique_chunks, dedup_hits, logical_bytes, stored_bytes, ratio}, seq, head}", body = shapes::FileCosts)))]
pub async fn compression_stats(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<TierQuery>,
) -> Answer {
    let tier = tier_of(query.tier.as_deref())?.unwrap_or_default();
    let call = move || {
        let position = position_members(&position(&served.database)?);
        let stats = served.database.compression_stats(tier)?.to_json();
        Ok(format!(r#"{{"stats":{stats},{position}}}"#))
    };
    server.run(call).await.map(json)
}

/// Gives back the room of chunks that no op refers to.
#[utoipa::path(post, path = "/v1/databases/{name}/compact_blobs", tag = "files",
    params(("name" = String, Path)),
    responses((status = 200, description = "{ok, report, seq, head}", body = shapes::Compacted)))]
pub async fn compact_blobs(State(server): State<Shared>, At(served): At) -> Answer {
    server.run(move || compacted(&served)).await.map(json)
}

fn compacted(served: &Served) -> Result<String> {
    let report = served.database.compact_blobs()?.to_json();
    let position = position_members(&position(&served.database)?);
    Ok(format!(r#"{{"ok":true,"report":{report},{position}}}"#))
}

impl PutFileQuery {
    fn split(self) -> Result<(Tier, WriteOptions)> {
        let tier = tier_of(self.tier.as_deref())?.unwrap_or_default();
        let options = WriteOptions {
            client: self.client,
            nonce: self.nonce,
            idem: self.idem,
            ttl_seconds: None,
            caused_by: self.caused_by,
            evidence: self.evidence,
            confidence: self.confidence,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            if_seq: None,
        };
        Ok((tier, options))
    }
}

impl FileQuery {
    fn at(&self) -> Result<FileAt> {
        let tier = tier_of(self.tier.as_deref())?;
        Ok(FileAt { version: self.version, tier, as_of: self.as_of })
    }
}

fn tier_of(text: Option<&str>) -> Result<Option<Tier>> {
    Ok(text.map(Tier::parse).transpose()?)
}

/// Reads numbers with commas between.
fn seqs<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<i64>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let numbers = text.split(',').filter(|it| !it.is_empty()).map(str::parse);
    numbers
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| de::Error::custom("seqs with commas between"))
}

/// Makes the answer that gives a version, or says of it all but its bytes.
fn described(status: StatusCode, info: &FileInfo, body: Body) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // It may be kept, and must be asked for again: there may be a newer version.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(ETAG, header(&format!("\"{}\"", info.root))?);
    let named = HeaderName::from_static;
    headers.insert(named("nedb-file-version"), HeaderValue::from(info.version));
    headers.insert(named("nedb-file-seq"), HeaderValue::from(info.seq));
    headers.insert(named("nedb-file-tier"), HeaderValue::from_static(info.tier.as_str()));
    Ok(response)
}

fn not_satisfiable(size_bytes: u64) -> Response {
    let message = format!("the range begins behind the end of a file of {size_bytes} bytes");
    let mut response = Refusal::new(Code::RangeNotSatisfiable, message).into_response();
    if let Ok(value) = header(&format!("bytes */{size_bytes}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Refusal::new(Code::Internal, "a header that is none"))
}
