//! A database in memory, made of log lines that are folded as they are written.

use parking_lot::RwLock;

use crate::document::{Provenance, write_with_member};
use crate::error::Result;
use crate::instant::{self, Bound};
use crate::json::{Path, write_string};
use crate::log::{Fields, Header, LogReader, encode_line, normalize};
use crate::op::{Item, Items, OpKind, Put, Seq, TextPlace};
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
    fn append(&self, mut items: Items<'_>) -> Seq {
        let mut state = self.state.write();
        let seq = state.views.seq + 1;
        let caused_by = match &items {
            Items::One(item) => item.caused_by.to_vec(),
            Items::Many(_) => Vec::new(),
        };
        let header = Header {
            seq,
            client: "test",
            nonce: seq + 1,
            ts: 1.0,
            said: Provenance { caused_by: &caused_by, ..Provenance::default() },
            ..Header::default()
        };
        let mut line = String::new();
        let (head, mut scratch) = (state.head.clone(), String::new());
        state.head = encode_line(&header, &mut items, &head, &mut scratch, &mut line).unwrap();
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
        self.append(Items::One(put_item(collection, id, document, causes)))
    }

    pub(super) fn delete(&self, collection: &str, id: &str) -> Seq {
        self.append(Items::of(OpKind::Delete { collection: collection.into(), id: id.into() }))
    }

    pub(super) fn link(&self, from: &str, relation: &str, to: &str) -> Seq {
        self.link_caused(from, relation, to, &[])
    }

    pub(super) fn link_caused(&self, from: &str, relation: &str, to: &str, causes: &[Seq]) -> Seq {
        let (from, relation, to) = (from.into(), relation.into(), to.into());
        let kind = OpKind::Link { from, relation, to };
        self.append(Items::One(Item { kind, caused_by: causes.into() }))
    }

    /// Puts several documents in one op, each with its causes.
    pub(super) fn transaction(&self, puts: &[(&str, &str, &[Seq])]) -> Seq {
        let puts = puts.iter();
        let items = puts.map(|(collection, id, causes)| put_item(collection, id, "{}", causes));
        self.append(Items::Many(items.collect()))
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

fn put_item<'a>(collection: &'a str, id: &'a str, document: &str, causes: &'a [Seq]) -> Item<'a> {
    let mut stored = String::new();
    let canonical = crate::json::canonicalize(document).unwrap();
    write_with_member(&canonical, "_id", |out| write_string(id, out), &mut stored);
    // What the text says is read from the line again, as on opening.
    let put = Put {
        collection: collection.into(),
        id: id.into(),
        text: stored.into(),
        place: TextPlace::LEGACY,
        valid_from: None,
        valid_to: None,
        expires_at: None,
    };
    Item { kind: OpKind::Put(put), caused_by: causes.into() }
}
