//! What answers look like, for the document that describes the paths.
//!
//! Answers are written as text around the texts of documents, and no value is made of them; these types say their
//! shape and nothing else. That they say it right is what the tests of the server hold them to.

#![allow(dead_code, reason = "the document is made of them, and no answer is")]

use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Declares answers: the members of each, and behind them where the log stood.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub struct $name {
            $($(#[$member_doc])* $member: $kind,)*
            /// The seq that the answer belongs to; -1 before the first op.
            #[schema(minimum = -1)]
            seq: i64,
            /// The hash after that op.
            #[schema(min_length = 64, max_length = 64)]
            head: String,
        }
    )*};
}

/// A document, an op or a row as it is stored.
type Text = serde_json::Map<String, serde_json::Value>;

shapes! {
    /// A write that gives nothing back but its place.
    Written { ok: bool, }
    Put { ok: bool, #[schema(value_type = Object)] doc: Text, }
    PutMany { ok: bool, #[schema(value_type = Vec<Object>)] docs: Vec<Text>, }
    Batch {
        ok: bool,
        /// For each item the document as stored, or null.
        #[schema(value_type = Vec<Option<Object>>)]
        results: Vec<Option<Text>>,
    }
    Got { #[schema(value_type = Option<Object>, required)] doc: Option<Text>, }
    Expired { ok: bool, /** Whether there is such a document. */ found: bool, }
    RowList { #[schema(value_type = Vec<Object>)] rows: Vec<Text>, count: u64, }
    NodeList { nodes: Vec<String>, count: u64, }
    ChangeList {
        #[schema(value_type = Vec<Object>)]
        changes: Vec<Text>,
        /// Whether there are more after them.
        more: bool,
    }
    OpList { #[schema(value_type = Vec<Object>)] log: Vec<Text>, }
    Verified {
        ok: bool,
        report: VerifyReport,
        /// Whether replaying the log gives what queries are answered from; only when asked for.
        #[schema(nullable = false)]
        deterministic: Option<bool>,
        /// What checking the bytes of files found; only when asked for.
        #[schema(nullable = false)]
        files: Option<VerifyFilesReport>,
    }
    Swept { ok: bool, deleted: u64, }
    Flushed { ok: bool, #[schema(minimum = -1)] durable_seq: i64, }
    BackedUp {
        ok: bool,
        /// Relative to the directory of backups.
        path: String,
        log_bytes: u64,
        /// What was left out; nothing without `skip_damaged_files`.
        damage: Vec<FileDamage>,
        damage_count: u64,
    }
    FilePut { ok: bool, file: FileVersion, }
    FileNames { files: Vec<String>, count: u64, }
    FileVersions { versions: Vec<FileVersion>, count: u64, }
    FileRoot { root: String, }
    FileProved { proof: FileProof, }
    FileCosts { stats: CompressionStats, }
    Compacted { ok: bool, report: CompactReport, }
    /// A database in the list.
    Summary { name: String, rows: u64, collections: BTreeMap<String, u64>, }
    Detail {
        name: String,
        rows: u64,
        collections: BTreeMap<String, u64>,
        /// Collection, field, kind.
        indexes: Vec<Vec<String>>,
        integrity: Integrity,
        read_only: bool,
        /// The newest ops; null where they cannot be read.
        #[schema(value_type = Option<Vec<Object>>, required)]
        log: Option<Vec<Text>>,
    }
}

/// What is known of a log's integrity.
#[derive(ToSchema)]
pub struct Integrity {
    ok: bool,
    /// How far the last verification came; null before it.
    #[schema(required)]
    verified_seq: Option<i64>,
}

#[derive(ToSchema)]
pub struct VerifyReport {
    ok: bool,
    op_count: u64,
    head: String,
    /// The first op that is wrong, where and why; null when none is.
    #[schema(value_type = Option<Object>, required)]
    damage: Option<Text>,
    /// What is wrong with what was derived from the log: the file, its seq, and why; null when nothing is.
    #[schema(value_type = Option<Object>, required)]
    derived_damage: Option<Text>,
    warnings: Vec<String>,
}

#[derive(ToSchema)]
pub struct FileVersion {
    version: u64,
    root: String,
    /// Its length; null for a file of NEDB 1.x.
    #[schema(required)]
    size: Option<u64>,
    tier: String,
    seq: i64,
}

#[derive(ToSchema)]
pub struct FileProof {
    leaf: String,
    /// A hash and its side, `L` or `R`, nearest first.
    path: Vec<Vec<String>>,
    root: String,
}

#[derive(ToSchema)]
pub struct CompressionStats {
    tier: String,
    unique_chunks: u64,
    dedup_hits: u64,
    logical_bytes: u64,
    stored_bytes: u64,
    ratio: f64,
}

#[derive(ToSchema)]
pub struct FileDamage {
    name: String,
    version: u64,
    tier: String,
    seq: i64,
    /// Counted from 0; null for the list of chunks.
    #[schema(required)]
    chunk: Option<u64>,
    reason: String,
}

#[derive(ToSchema)]
pub struct VerifyFilesReport {
    ok: bool,
    version_count: u64,
    chunk_count: u64,
    logical_bytes: u64,
    damage: Vec<FileDamage>,
    damage_count: u64,
    unreferenced_chunk_count: u64,
    unreferenced_frame_count: u64,
    unreferenced_bytes: u64,
}

#[derive(ToSchema)]
pub struct CompactReport {
    kept_chunk_count: u64,
    removed_chunk_count: u64,
    rewritten_pack_count: u64,
    before_bytes: u64,
    after_bytes: u64,
    damage: Vec<FileDamage>,
    damage_count: u64,
}

#[derive(ToSchema)]
pub struct Created {
    database: Summary,
}

#[derive(ToSchema)]
pub struct DatabaseList {
    databases: Vec<Listed>,
    ready: bool,
}

/// A database that is open, or why it is not.
#[derive(ToSchema)]
pub struct Listed {
    name: String,
    #[schema(nullable = false)]
    seq: Option<i64>,
    #[schema(nullable = false)]
    head: Option<String>,
    #[schema(nullable = false)]
    rows: Option<u64>,
    #[schema(nullable = false)]
    collections: Option<BTreeMap<String, u64>>,
    /// `opening` or `failed`, where it is not open.
    #[schema(nullable = false)]
    state: Option<String>,
    #[schema(nullable = false)]
    error: Option<ErrorDetail>,
}

#[derive(ToSchema)]
pub struct Dropped {
    dropped: bool,
}

/// An index was made, or was there.
#[derive(ToSchema)]
pub struct Done {
    ok: bool,
}

#[derive(ToSchema)]
pub struct Health {
    ok: bool,
    service: String,
    version: String,
    live: bool,
    ready: bool,
    /// Not where a token is set.
    #[schema(nullable = false)]
    databases: Option<Vec<String>>,
}

/// Why a request got no answer.
#[derive(ToSchema)]
pub struct ErrorBody {
    error: ErrorDetail,
}

#[derive(ToSchema)]
pub struct ErrorDetail {
    /// Stable; docs/errors.md and docs/nedbd.md list them.
    code: String,
    message: String,
    /// Where in a query.
    #[schema(nullable = false)]
    position: Option<ErrorPosition>,
}

#[derive(ToSchema)]
pub struct ErrorPosition {
    line: u64,
    column: u64,
    offset: u64,
}
