//! A database in memory, made of log lines that are folded as they are written.

use std::fmt::Write;

use parking_lot::RwLock;

use crate::document::write_with_member;
use crate::error::Result;
use crate::instant::{self, Bound};
use crate::json::{Path, write_string};
use crate::log::{Body, Fields, LogReader, encode_line, normalize};
use crate::op::Seq;
use crate::query::algebra::Query;
use crate::query::{Params, Rows, execute, parse};
use crate::snapshot::{IndexKind, Snapshot, SnapshotOptions};
use crate::views::State;
use crate::views::index::CollectionIndexes;

/// A database in memory.
pub(super) struct Fixture {
    state: RwLock<State>,
    pub(super) now_seconds: f64,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture { state: RwLock::new(State::new(LogReader::memory())), now_seconds: 1_000.0 }
    }

    /// Appends an op and folds it; returns its seq.
    pub(super) fn append(&self, op: &str, payload: &str, caused_by: &[Seq]) -> Seq {
        let mut state = self.state.write();
        let seq = state.views.seq + 1;
        let body = Body {
            seq,
            client: "test",
            nonce: seq + 1,
            op,
            payload,
            ts: 1.0,
            caused_by,
            ..Body::default()
        };
        let mut line = String::new();
        let encoded = encode_line(&body, &state.head, &mut String::new(), &mut line).unwrap();
        state.head = encoded.hash;
        state.log.push_line(&line);
        let normalized = normalize(line.trim_end().as_bytes()).unwrap();
        let op = Fields::split(&normalized).unwrap().to_op().unwrap();
        crate::fold::fold(&mut state.views, &op);
        seq
    }

    /// Puts a document given without its `_id`.
    pub(super) fn put(&self, collection: &str, id: &str, document: &str) -> Seq {
        self.put_caused(collection, id, document, &[])
    }

    pub(super) fn put_caused(
        &self,
        collection: &str,
        id: &str,
        document: &str,
        causes: &[Seq],
    ) -> Seq {
        self.append("put", &put_payload(collection, id, document), causes)
    }

    pub(super) fn delete(&self, collection: &str, id: &str) -> Seq {
        self.append(
            "delete",
            &format!(r#"{{"coll":"{collection}","id":"{id}","key":"{collection}:{id}"}}"#),
            &[],
        )
    }

    pub(super) fn link(&self, from: &str, relation: &str, to: &str) -> Seq {
        self.append("link", &format!(r#"{{"frm":"{from}","rel":"{relation}","to":"{to}"}}"#), &[])
    }

    /// Puts several documents in one op, each with its causes.
    pub(super) fn transaction(&self, puts: &[(&str, &str, &[Seq])]) -> Seq {
        let mut items = String::new();
        for (collection, id, causes) in puts {
            let payload = put_payload(collection, id, "{}");
            let separator = if items.is_empty() { "" } else { "," };
            let causes = match causes.is_empty() {
                true => String::new(),
                false => format!(r#""caused_by":{causes:?},"#).replace(' ', ""),
            };
            write!(items, r#"{separator}{{{causes}"op":"put","payload":{payload}}}"#).unwrap();
        }
        self.append("tx", &format!(r#"{{"items":[{items}]}}"#), &[])
    }

    pub(super) fn index(&self, collection: &str, kind: IndexKind, path: &str) {
        let mut state = self.state.write();
        let collection = state.views.documents.add_collection(collection);
        let mut indexes = CollectionIndexes::default();
        for (owner, kind, path) in state.views.indexes.definitions() {
            if owner == collection {
                indexes.add(kind, path);
            }
        }
        indexes.add(kind, Path::parse(path));
        crate::fold::backfill(&state, collection, &mut indexes).unwrap();
        state.views.indexes.replace(collection, indexes);
    }

    /// Runs a query and returns its rows.
    pub(super) fn query(&self, nql: &str) -> Vec<String> {
        let query = parse(nql, &Params::none()).unwrap_or_else(|error| panic!("{nql}: {error}"));
        self.run(&query).unwrap_or_else(|error| panic!("{nql}: {error}")).into_texts()
    }

    /// Runs a query of the algebra.
    pub(super) fn run(&self, query: &Query) -> Result<Rows> {
        let valid_at = query.at.valid_as_of.as_deref();
        let options = SnapshotOptions {
            as_of: query.at.as_of,
            valid_at: valid_at.map(|text| instant::parse(text, Bound::At).unwrap()),
            now_seconds: self.now_seconds,
        };
        execute(&mut Snapshot::open(self.state.read(), &options), query)
    }

    /// Runs a query and returns the ids of its rows.
    pub(super) fn ids(&self, nql: &str) -> Vec<String> {
        let id = Path::parse("_id");
        let rows = self.query(nql);
        let ids =
            rows.iter().map(|row| id.pick(row).unwrap_or("none").trim_matches('"').to_owned());
        ids.collect()
    }

    /// Runs EXPLAIN and returns the operators of its steps.
    pub(super) fn operators(&self, nql: &str) -> Vec<String> {
        let operator = Path::parse("operator");
        let rows = self.query(&format!("EXPLAIN {nql}"));
        rows.iter().map(|row| operator.pick(row).unwrap().trim_matches('"').to_owned()).collect()
    }
}

fn put_payload(collection: &str, id: &str, document: &str) -> String {
    let mut stored = String::new();
    let canonical = crate::json::canonicalize(document).unwrap();
    write_with_member(&canonical, "_id", |out| write_string(id, out), &mut stored);
    let mut payload = format!(r#"{{"coll":"{collection}","doc":{stored},"id":"#);
    write_string(id, &mut payload);
    write!(payload, r#","key":"#).unwrap();
    write_string(&format!("{collection}:{id}"), &mut payload);
    payload.push('}');
    payload
}
