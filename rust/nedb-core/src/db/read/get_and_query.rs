//! Get, query, neighbours, ops.

use crate::db::check;
use crate::db::database::Database;
use crate::db::options::{QueryOptions, ReadOptions};
use crate::document::write_with_seq;
use crate::error::{Error, Result};
use crate::instant::{Bound, Instant};
use crate::op::Seq;
use crate::query::{self, Params, Rows, algebra};
use crate::read_budget::LOOK_OVERHEAD;
use crate::snapshot::{EdgeCursor, Snapshot, SnapshotOptions, may_expire};
use crate::views::State;
use parking_lot::RwLockReadGuard;
use std::ops::Range;

impl Database {
    /// Returns a document, with `_seq`, or None where there is none at that place in time.
    ///
    /// Cost: two look-ups and a slice; on a disk a read where the text is not cached.
    /// Errors: `InvalidArgument` for a date that is none, `DatabaseClosed`, `StorageError`,
    /// `IntegrityError`.
    pub fn get(&self, collection: &str, id: &str, options: &ReadOptions) -> Result<Option<String>> {
        let mut out = String::new();
        Ok(self.get_into(collection, id, options, &mut out)?.then_some(out))
    }

    /// Appends a document, with `_seq`, to `out`; false where there is none.
    ///
    /// Errors: as `get`.
    pub fn get_into(
        &self,
        collection: &str,
        id: &str,
        options: &ReadOptions,
        out: &mut String,
    ) -> Result<bool> {
        let mut snapshot = self.snapshot(options.as_of, options.valid_as_of.as_deref())?;
        let Some(document) = snapshot.find(collection, id) else { return Ok(false) };
        let seq = snapshot.seq_of(document);
        snapshot.with_text(document, 1, |text, _| write_with_seq(text, seq, out))?;
        Ok(true)
    }

    /// Runs an NQL query and returns its rows as JSON texts.
    ///
    /// Errors: `NqlError` with the place in the text, `DatabaseClosed`, `StorageError`,
    /// `IntegrityError`, `LimitExceeded`.
    pub fn query(&self, nql: &str, params: &Params) -> Result<Rows> {
        self.run(&query::parse(nql, params)?)
    }

    /// Runs an NQL query that may take only so much.
    ///
    /// Errors: as `query`, and `LimitExceeded`, `Cancelled`, `TimedOut`.
    pub fn query_with(&self, nql: &str, params: &Params, options: &QueryOptions) -> Result<Rows> {
        let query = query::parse(nql, params)?;
        if query.explain {
            return self.run_with(&query, options);
        }
        let rows = self.run_with(&bounded(query, options), options)?;
        at_most(rows, options)
    }

    /// Runs a query as `query_with` does where that is sure to be quick: it reaches few documents, all of
    /// their texts are in memory, and nobody is waited for. None where it is not: then `query_with`
    /// answers, on a thread that may wait.
    ///
    /// Cost: at most about a millisecond, and reading the query. Errors: as `query_with`.
    pub fn query_at_once(
        &self,
        nql: &str,
        params: &Params,
        options: &QueryOptions,
    ) -> Result<Option<Rows>> {
        let query = query::parse(nql, params)?;
        if query.explain {
            return Ok(None);
        }
        let query = bounded(query, options);
        let valid_at = check::date("valid_as_of", query.at.valid_as_of.as_deref(), Bound::At)?;
        self.inner.engine.check_open()?;
        let Some(state) = self.inner.engine.try_read() else { return Ok(None) };
        let mut snapshot = self.snapshot_of(state, query.at.as_of, valid_at);
        snapshot.set_budget(options.budget());
        match query::execute_at_once(&mut snapshot, &query) {
            Some(rows) => at_most(rows?, options).map(Some),
            None => Ok(None),
        }
    }

    /// Runs a query of any front end.
    ///
    /// Errors: as `query`.
    pub fn run(&self, query: &algebra::Query) -> Result<Rows> {
        self.run_with(query, &QueryOptions::default())
    }

    fn run_with(&self, query: &algebra::Query, options: &QueryOptions) -> Result<Rows> {
        let mut snapshot = self.snapshot(query.at.as_of, query.at.valid_as_of.as_deref())?;
        snapshot.set_budget(options.budget());
        query::execute(&mut snapshot, query)
    }

    /// Returns the nodes that a node links to, in the order linked.
    ///
    /// Errors: `InvalidArgument` for a node that is none, `DatabaseClosed`.
    pub fn neighbors(&self, node: &str, relation: &str, as_of: Option<Seq>) -> Result<Vec<String>> {
        self.neighbors_within(node, relation, as_of, 0..usize::MAX)
    }

    /// Returns a part of what `neighbors` does: the nodes at some places, which are counted from 0.
    ///
    /// Cost: a step for each that stands before the end of the part. Errors: as `neighbors`.
    pub fn neighbors_within(
        &self,
        node: &str,
        relation: &str,
        as_of: Option<Seq>,
        places: Range<usize>,
    ) -> Result<Vec<String>> {
        check::node(node)?;
        let mut snapshot = self.snapshot(as_of, None)?;
        let (mut part, mut cursor) = (Part::new(places), EdgeCursor::default());
        while part.take(snapshot.neighbors(node, relation, cursor), &mut cursor) {
            snapshot.go_on_after(AT_A_TIME_COUNT * LOOK_OVERHEAD)?;
        }
        Ok(part.texts)
    }

    /// Returns the nodes that link to a node, in the order linked.
    ///
    /// Errors: as `neighbors`.
    pub fn inbound(&self, node: &str, relation: &str, as_of: Option<Seq>) -> Result<Vec<String>> {
        self.inbound_within(node, relation, as_of, 0..usize::MAX)
    }

    /// Returns a part of what `inbound` does: the nodes at some places, which are counted from 0.
    ///
    /// Cost and errors: as `neighbors_within`.
    pub fn inbound_within(
        &self,
        node: &str,
        relation: &str,
        as_of: Option<Seq>,
        places: Range<usize>,
    ) -> Result<Vec<String>> {
        check::node(node)?;
        let mut snapshot = self.snapshot(as_of, None)?;
        let (mut part, mut cursor) = (Part::new(places), EdgeCursor::default());
        while part.take(snapshot.inbound(node, relation, cursor), &mut cursor) {
            snapshot.go_on_after(AT_A_TIME_COUNT * LOOK_OVERHEAD)?;
        }
        Ok(part.texts)
    }

    /// Returns the seq of the last op; -1 for an empty database.
    pub fn seq(&self) -> Seq {
        self.inner.engine.seq()
    }

    /// Returns the hash after the last op, 64 characters of hex: a commitment to the whole history.
    pub fn head(&self) -> String {
        self.inner.engine.position().1
    }

    /// Returns an op as canonical JSON text, or None for a seq that is not in the log.
    ///
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub fn op(&self, seq: Seq) -> Result<Option<String>> {
        let state = self.inner.engine.read()?;
        if seq < 0 || seq > state.views.seq {
            return Ok(None);
        }
        state.log.with_fields(seq, |fields| fields.to_canonical()).map(Some)
    }

    /// Returns the collections that hold a document, in order of their first one's creation.
    ///
    /// Errors: `DatabaseClosed`.
    pub fn collections(&self) -> Result<Vec<String>> {
        let snapshot = self.snapshot(None, None)?;
        Ok(snapshot.collections().into_iter().map(str::to_owned).collect())
    }

    pub(in crate::db) fn snapshot(
        &self,
        as_of: Option<Seq>,
        valid_as_of: Option<&str>,
    ) -> Result<Snapshot<'_>> {
        let valid_at = check::date("valid_as_of", valid_as_of, Bound::At)?;
        Ok(self.snapshot_of(self.inner.engine.read()?, as_of, valid_at))
    }

    fn snapshot_of<'s>(
        &'s self,
        state: RwLockReadGuard<'s, State>,
        as_of: Option<Seq>,
        valid_at: Option<Instant>,
    ) -> Snapshot<'s> {
        // Asking the time costs as much as a read, and only an expiry needs it.
        let needs_time = as_of.is_none() && may_expire(&state, valid_at);
        let now_seconds = if needs_time { self.inner.options.clock.now_seconds() } else { 0.0 };
        Snapshot::open(state, &SnapshotOptions { as_of, valid_at, now_seconds })
    }
}

/// Edges that are looked at before writers are let in.
const AT_A_TIME_COUNT: usize = 1_024;

/// The part of a list of nodes that is asked for, as the list is walked.
struct Part {
    places: Range<usize>,
    next_place: usize,
    texts: Vec<String>,
}

impl Part {
    fn new(places: Range<usize>) -> Part {
        Part { places, next_place: 0, texts: Vec::new() }
    }

    /// Takes some of the nodes that come next; tells whether there may be more of the part.
    fn take<'n>(
        &mut self,
        nodes: impl Iterator<Item = (EdgeCursor, &'n str)>,
        cursor: &mut EdgeCursor,
    ) -> bool {
        let mut left_count = AT_A_TIME_COUNT;
        for (after, node) in nodes {
            if self.next_place >= self.places.end {
                return false;
            }
            if self.next_place >= self.places.start {
                self.texts.push(node.to_owned());
            }
            self.next_place += 1;
            *cursor = after;
            left_count -= 1;
            if left_count == 0 {
                return true;
            }
        }
        false
    }
}

/// Returns a query whose rows are looked for up to the bound, and one more, which tells that there are more.
fn bounded(query: algebra::Query, options: &QueryOptions) -> algebra::Query {
    match options.rows_count_max {
        Some(rows_count_max) => query.with_limit(rows_count_max.saturating_add(1)),
        None => query,
    }
}

/// Returns rows that are as many as they may be.
fn at_most(rows: Rows, options: &QueryOptions) -> Result<Rows> {
    match options.rows_count_max {
        Some(rows_count_max) if rows.len() > rows_count_max => Err(Error::limit(format!(
            "the query has more than {rows_count_max} rows, which is the most that are answered at once; use \
             LIMIT and OFFSET"
        ))),
        _ => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_max(rows_count_max: usize) -> QueryOptions {
        QueryOptions { rows_count_max: Some(rows_count_max), ..QueryOptions::default() }
    }

    use crate::Tier;
    use crate::db::{Options, WriteOptions};
    use crate::error::ErrorCode;
    use crate::limits::AT_ONCE_TEXT_BYTES_MAX;
    use crate::snapshot::IndexKind;

    fn filled(path: &std::path::Path, count: usize) -> Database {
        let database = Database::open(path, Options::default()).unwrap();
        let documents: Vec<_> =
            (0..count).map(|n| (n.to_string(), format!("{{\"n\":{n}}}"))).collect();
        database.put_many("c", &documents, &WriteOptions::default()).unwrap();
        drop(database);
        Database::open(path, Options::default()).unwrap()
    }

    #[test]
    fn a_bound_of_rows_stops_the_query_and_changes_none_below_it() {
        let directory = tempfile::tempdir().unwrap();
        let database = filled(directory.path(), 5_000);
        let query = |nql: &str, most| database.query_with(nql, &Params::none(), &rows_max(most));
        let read_before = database.statistics().cache_miss_count;
        for nql in ["FROM c", "FROM c WHERE n >= 0", "FROM c WHERE n >= 0 LIMIT 4000 OFFSET 5"] {
            let error = query(nql, 10).unwrap_err();
            assert_eq!(error.code(), ErrorCode::LimitExceeded, "{nql}");
            assert!(error.to_string().contains("more than 10 rows"));
        }
        let read_count = database.statistics().cache_miss_count - read_before;
        assert!(read_count < 100, "{read_count} texts were read for 11 rows");
        for nql in [
            "FROM c LIMIT 10",
            "FROM c WHERE n > 4989",
            "FROM c ORDER BY n DESC LIMIT 3",
            "FROM c GROUP BY n LIMIT 2",
            "FROM c WHERE n < 0",
            "EXPLAIN FROM c WHERE n > 7",
        ] {
            let whole = database.query(nql, &Params::none()).unwrap();
            assert_eq!(query(nql, 10).unwrap(), whole, "{nql}");
        }
        assert_eq!(query("FROM c", 5_000).unwrap().len(), 5_000);
        assert_eq!(query("FROM c", usize::MAX).unwrap().len(), 5_000);
        assert_eq!(query("FROM c WHERE n < 0", 0).unwrap().len(), 0);
        assert_eq!(query("FROM c ORDER BY n", 10).unwrap_err().code(), ErrorCode::LimitExceeded);
    }

    #[test]
    fn a_part_of_a_list_is_what_stands_at_its_places() {
        let database = Database::in_memory(Options::default()).unwrap();
        let options = WriteOptions::default();
        for n in 0..5 {
            database.link("c:a", "to", &format!("c:{n}"), &options).unwrap();
            database.link(&format!("c:{n}"), "from", "c:a", &options).unwrap();
            database.put_file(&format!("f{n}"), b"x", Tier::Warm, &options).unwrap();
            database.put_file("f0", b"y", Tier::Warm, &options).unwrap();
        }
        let nodes = database.neighbors("c:a", "to", None).unwrap();
        assert_eq!((nodes.len(), &nodes), (5, &database.inbound("c:a", "from", None).unwrap()));
        let (files, versions) =
            (database.files(None).unwrap(), database.file_versions("f0", None).unwrap());
        assert_eq!((files.len(), versions.len()), (5, 6));
        for places in [0..0, 0..1, 0..5, 1..3, 4..usize::MAX, 5..9, 7..usize::MAX] {
            let (first, last) = (places.start.min(5), places.end.min(5));
            let out = database.neighbors_within("c:a", "to", None, places.clone()).unwrap();
            assert_eq!(out, nodes[first..last]);
            let back = database.inbound_within("c:a", "from", None, places.clone()).unwrap();
            assert_eq!(back, nodes[first..last]);
            assert_eq!(database.files_within(None, places.clone()).unwrap(), files[first..last]);
            let (first, last) = (places.start.min(6), places.end.min(6));
            let found = database.file_versions_within("f0", None, places).unwrap();
            assert_eq!(found, versions[first..last]);
        }
        let early = database.neighbors_within("c:a", "to", Some(4), 1..9).unwrap();
        assert_eq!(early, ["c:1"]);
        let refused = database.inbound_within("a", "to", None, 0..1).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_query_is_run_at_once_where_it_is_quick_and_then_as_ever() {
        let directory = tempfile::tempdir().unwrap();
        let database = filled(directory.path(), 5_000);
        database.create_index("c", "n", IndexKind::Ordered).unwrap();
        drop(database);
        // Making the index has read every text.
        let database = Database::open(directory.path(), Options::default()).unwrap();
        let at_once = |nql: &str| database.query_at_once(nql, &Params::none(), &rows_max(50));
        let read_count = || database.statistics().cache_miss_count;
        for nql in [
            "FROM c WHERE n = 7",
            "FROM c WHERE n > 7 ORDER BY n LIMIT 3",
            "FROM c WHERE n < 90 GROUP BY _id COUNT HAVING count > 1",
        ] {
            let read_before = read_count();
            assert_eq!(at_once(nql).unwrap(), None, "{nql}: its texts are not in memory");
            assert_eq!(read_count(), read_before);
            let rows = database.query(nql, &Params::none()).unwrap();
            assert_eq!(at_once(nql).unwrap(), Some(rows), "{nql}");
        }
        for nql in ["FROM c WHERE n >= 0 AND _id != 'x'", "EXPLAIN FROM c WHERE n = 7"] {
            database.query(nql, &Params::none()).unwrap();
            assert_eq!(at_once(nql).unwrap(), None, "{nql}");
        }
        let error = at_once("FROM c WHERE n < 51").unwrap_err();
        assert_eq!(error.code(), ErrorCode::LimitExceeded);
        assert_eq!(at_once("FROM").unwrap_err().code(), ErrorCode::NqlError);
    }

    #[test]
    fn a_query_over_long_texts_is_not_run_at_once() {
        let database = Database::in_memory(Options::default()).unwrap();
        let bytes = AT_ONCE_TEXT_BYTES_MAX / 8;
        let document = format!("{{\"n\":1,\"text\":\"{}\"}}", "x".repeat(bytes));
        for id in 0..8 {
            let id = id.to_string();
            database.put("c", &id, &document, &WriteOptions::default()).unwrap();
        }
        let at_once =
            |nql: &str| database.query_at_once(nql, &Params::none(), &rows_max(50)).unwrap();
        assert_eq!(at_once("FROM c WHERE n = 1"), None);
        assert_eq!(at_once("FROM c WHERE n = 1 LIMIT 3").map(|rows| rows.len()), Some(3));
    }

    /// Makes a database as a fork has it: opened by another process.
    fn forked(mut database: Database) -> Database {
        let inner = std::sync::Arc::get_mut(&mut database.inner).unwrap();
        std::sync::Arc::get_mut(&mut inner.engine).unwrap().pretend_fork();
        database
    }

    #[test]
    fn a_fork_reads_what_is_there_and_is_refused_where_the_views_are_held_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { read_only: true, ..Options::default() };
        filled(folder.path(), 10).close().unwrap();
        for database in [
            filled(folder.path(), 0),
            Database::open(folder.path(), options).unwrap(),
            Database::in_memory(Options::default()).unwrap(),
        ] {
            let expected = database.get("c", "1", &ReadOptions::default()).unwrap();
            let database = forked(database);
            let get = || database.get("c", "1", &ReadOptions::default());
            assert_eq!(get().unwrap(), expected);
            let held = database.inner.engine.hold_state();
            for refused in [
                get().map(drop),
                database.query("FROM c", &Params::none()).map(drop),
                database.verify_determinism().map(drop),
                database.position().map(drop),
            ] {
                let error = refused.unwrap_err();
                assert_eq!(error.code(), ErrorCode::DatabaseLocked);
                assert!(error.to_string().contains("a fork of it"), "{error}");
            }
            assert!(database.open_report().damage.is_none());
            drop(held);
            assert_eq!(get().unwrap(), expected);
        }
    }
}
