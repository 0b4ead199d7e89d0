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
/// Most ranges of old seqs that the op of a repair names; the log that it keeps has them all.
pub const REPAIR_RANGES_COUNT_MAX: usize = 1_000;
/// Most indexes of one database: every write looks at those of its collection, and every opening at all.
pub const INDEXES_COUNT_MAX: usize = 1_000;
/// Longest query text, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a WHERE or HAVING expression.
pub const EXPRESSION_DEPTH_MAX: usize = 128;
/// Most comparisons, and other tests, in all conditions of one query.
pub const CONDITIONS_COUNT_MAX: usize = 10_000;
/// Most sort keys, group keys or aggregates of one query: the key of a row is as long as all of them.
pub const KEYS_COUNT_MAX: usize = 64;
/// Most words of one SEARCH.
pub const SEARCH_WORDS_COUNT_MAX: usize = 1_000;
/// Most memory that one query holds to sort, to group and to search, in bytes, unless it is given another bound.
pub const QUERY_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Most values in one IN list, and most parameters of one query.
pub const LIST_VALUES_COUNT_MAX: usize = 100_000;
/// Documents that are found under one hold of the views' lock before the clock is asked.
pub const SCAN_CHUNK_COUNT: usize = 1_024;
/// Entries of two sets of views that are compared under one hold of the views' lock: well below a millisecond.
pub const COMPARED_AT_ONCE_COUNT: usize = 256;
/// Ops that are read and folded anew under one hold of it.
pub const REFOLDED_AT_ONCE_COUNT: usize = 32;
/// Documents that a query reaches at the most which is run at once, on a thread that others wait for: about
/// half a millisecond.
pub const AT_ONCE_DOCUMENTS_COUNT_MAX: usize = 1_024;
/// Bytes of texts that such a query looks at before it gives up: some hundreds of microseconds.
pub const AT_ONCE_TEXT_BYTES_MAX: usize = 1 << 20;
/// Largest time to live, in seconds: 1,000 years, so that no expiry overflows a double's second.
pub const TTL_SECONDS_MAX: f64 = 31_557_600_000.0;
/// Largest checkpoint that is written or read: it is held in memory whole.
pub const CHECKPOINT_BYTES_MAX: u64 = 8 << 30;
/// Ops since the last checkpoint from which on closing saves another: folding as many takes a few
/// hundredths of a second, so that below it nobody waits for opening.
pub const CHECKPOINT_ON_CLOSE_OPS_MIN: u64 = 10_000;
/// Shortest key that encrypts a new database, in bytes: nobody guesses 128 bits.
pub const TMK_BYTES_MIN: usize = 16;
/// Longest `key.enc` that is looked into, in bytes: one of ours has 160.
pub const KEY_FILE_BYTES_MAX: usize = 4_096;
/// Longest `meta.json`, in bytes: many more index definitions than a database can use.
pub const META_FILE_BYTES_MAX: u64 = 16 << 20;
/// Most seals under one session's key; then a new session begins. AES-GCM stays far from its bounds.
pub const SEALS_PER_SESSION_MAX: u64 = 1 << 32;
/// Most session keys held ready; a log has one for each opening that wrote.
pub const SESSION_KEYS_COUNT_MAX: usize = 1_024;
/// Longest envelope of a line: base64 takes four bytes for three, and something stands around it.
pub const ENVELOPE_BYTES_MAX: usize = LINE_BYTES_MAX / 3 * 4 + 256;
/// Shortest chunk of a file, in bytes, but for its last: what cutting by content may not go below.
pub const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Mean length of a chunk, in bytes: measured on versions of source trees, chunks four times as long find a
/// fiftieth of what these find in common, and shorter ones cost more memory for each byte stored.
pub const CHUNK_BYTES_MEAN: usize = 16 << 10;
/// Longest chunk, in bytes.
pub const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Chunks that are compressed together, in bytes: what a reader of one chunk reads. In the warm tier.
pub const FRAME_WARM_BYTES: usize = 1 << 20;
/// The same in the cold tier: the longer, the more there is to find again.
pub const FRAME_COLD_BYTES: usize = 4 << 20;
/// Most chunks in one frame.
pub const FRAME_CHUNKS_COUNT_MAX: usize = 4_096;
/// Length of a pack from which on a new one is begun, in bytes: what a compaction may have to copy to give
/// back one chunk.
pub const PACK_BYTES_MAX: u64 = 256 << 20;
/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 30;
/// Most damaged chunks that one report lists: the rest is counted. A pack that is gone may be thousands.
pub const FILE_DAMAGES_COUNT_MAX: usize = 1_000;
/// Longest list of a file's chunks, in bytes, which is held in memory whole.
pub const MANIFEST_BYTES_MAX: usize = 160 << 20;
/// Decoded frames that one reader of a file keeps, in bytes: more than two cold ones.
pub const FRAME_CACHE_BYTES: usize = 9 << 20;
/// Largest chunk of NEDB 1.x, in bytes: a bound for what its compressed text may become.
pub const LEGACY_CHUNK_BYTES_MAX: usize = 64 << 20;
/// Most memory that an xz chunk of NEDB 1.x may ask for, in KiB: twice what the largest preset does.
pub const LEGACY_XZ_MEMORY_KIB: u32 = 128 << 10;
