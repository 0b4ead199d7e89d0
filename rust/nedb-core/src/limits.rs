//! Every bound of the system, with its unit and its reason.
//!
//! Exceeding one is a typed error, not an allocation.

/// Longest line of the log that is read or written: a line is held in memory whole.
pub const LINE_BYTES_MAX: usize = 64 << 20;
/// Longest document text accepted by a write: leaves room in a line for escapes and provenance.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of a written document: keeps every recursive walk within a small stack.
pub const NESTING_DEPTH_MAX: usize = 128;
/// Deepest nesting of a line of NEDB 1.x, which the verifier walks without recursion.
pub const LEGACY_NESTING_DEPTH_MAX: usize = 1_000;
/// Longest collection name, id, client, idempotency key or relation, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 4_096;
/// Longest `evidence` text, in bytes of UTF-8.
pub const EVIDENCE_BYTES_MAX: usize = 64 << 10;
/// Most seqs in one `caused_by`.
pub const CAUSES_COUNT_MAX: usize = 10_000;
/// Most items in one transaction or one `put_many`.
pub const BATCH_ITEMS_COUNT_MAX: usize = 1_000_000;
/// Longest query text, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a WHERE or HAVING expression.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Most values in one IN list, and most parameters of one query.
pub const LIST_VALUES_COUNT_MAX: usize = 100_000;
/// Documents examined under one hold of the views' lock: a writer waits for one chunk at most.
pub const SCAN_CHUNK_COUNT: usize = 1_024;
/// Largest time to live, in seconds: 1,000 years, so that no expiry overflows a double's second.
pub const TTL_SECONDS_MAX: f64 = 31_557_600_000.0;
/// Shortest key that encrypts a new database, in bytes: nobody guesses 128 bits.
pub const TMK_BYTES_MIN: usize = 16;
/// Longest `key.enc` that is looked into, in bytes: one of ours has 160.
pub const KEY_FILE_BYTES_MAX: usize = 4_096;
/// Most seals under one session's key; then a new session begins. AES-GCM stays far from its bounds.
pub const SEALS_PER_SESSION_MAX: u64 = 1 << 32;
/// Most session keys held ready; a log has one for each opening that wrote.
pub const SESSION_KEYS_COUNT_MAX: usize = 1_024;
/// Longest envelope of a line: base64 takes four bytes for three, and something stands around it.
pub const ENVELOPE_BYTES_MAX: usize = LINE_BYTES_MAX / 3 * 4 + 256;
