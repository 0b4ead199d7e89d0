//! Get, query, neighbours, ops.

use super::Database;
use super::check;
use super::options::ReadOptions;
use crate::document::write_with_seq;
use crate::error::Result;
use crate::instant::Bound;
use crate::op::Seq;
use crate::query::{self, Params, Rows, algebra};
use crate::snapshot::{Snapshot, SnapshotOptions, may_expire};

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
        let snapshot = self.snapshot(options.as_of, options.valid_as_of.as_deref())?;
        let Some(document) = snapshot.find(collection, id) else { return Ok(false) };
        write_with_seq(&snapshot.text(document)?, snapshot.seq_of(document), out);
        Ok(true)
    }

    /// Runs an NQL query and returns its rows as JSON texts.
    ///
    /// Errors: `NqlError` with the place in the text, `DatabaseClosed`, `StorageError`,
    /// `IntegrityError`, `LimitExceeded`.
    pub fn query(&self, nql: &str, params: &Params) -> Result<Rows> {
        self.run(&query::parse(nql, params)?)
    }

    /// Runs a query of any front end.
    ///
    /// Errors: as `query`.
    pub fn run(&self, query: &algebra::Query) -> Result<Rows> {
        let mut snapshot = self.snapshot(query.at.as_of, query.at.valid_as_of.as_deref())?;
        query::execute(&mut snapshot, query)
    }

    /// Returns the nodes that a node links to, in the order linked.
    ///
    /// Errors: `InvalidArgument` for a node that is none, `DatabaseClosed`.
    pub fn neighbors(&self, node: &str, relation: &str, as_of: Option<Seq>) -> Result<Vec<String>> {
        check::node(node)?;
        Ok(self.snapshot(as_of, None)?.neighbors(node, relation))
    }

    /// Returns the nodes that link to a node, in the order linked.
    ///
    /// Errors: as `neighbors`.
    pub fn inbound(&self, node: &str, relation: &str, as_of: Option<Seq>) -> Result<Vec<String>> {
        check::node(node)?;
        Ok(self.snapshot(as_of, None)?.inbound(node, relation))
    }

    /// Returns the seq of the last op; -1 for an empty database.
    pub fn seq(&self) -> Seq {
        self.inner.state.read().views.seq
    }

    /// Returns the hash after the last op, 64 characters of hex: a commitment to the whole history.
    pub fn head(&self) -> String {
        self.inner.state.read().head.clone()
    }

    /// Returns an op as canonical JSON text, or None for a seq that is not in the log.
    ///
    /// Errors: `DatabaseClosed`, `StorageError`, `IntegrityError`.
    pub fn op(&self, seq: Seq) -> Result<Option<String>> {
        let state = self.inner.read_state()?;
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

    pub(super) fn snapshot(
        &self,
        as_of: Option<Seq>,
        valid_as_of: Option<&str>,
    ) -> Result<Snapshot<'_>> {
        let valid_at = check::date("valid_as_of", valid_as_of, Bound::At)?;
        let state = self.inner.read_state()?;
        // Asking the time costs as much as a read, and only an expiry needs it.
        let needs_time = as_of.is_none() && may_expire(&state, valid_at);
        let now_seconds = if needs_time { self.inner.options.clock.now_seconds() } else { 0.0 };
        Ok(Snapshot::open(state, &SnapshotOptions { as_of, valid_at, now_seconds }))
    }
}
