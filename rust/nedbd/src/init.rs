//! What a new database begins with: indexes, documents, links.
//!
//! In: the `init` of a request, as texts. Out: ops in a database that nobody sees yet, which is why they
//! need not be a transaction: one line that holds a thousand documents is read whole for each of them.

use crate::refusal::{Refusal, Result};
use nedb_core::{Database, INDEXES_COUNT_MAX, IndexKind, Value, WriteOptions};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Most documents and links together that a new database begins with: nobody else makes or drops one meanwhile.
const ENTRIES_COUNT_MAX: usize = 100_000;

/// What a new database begins with.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Init<'a> {
    /// Collection, field, kind.
    indexes: Vec<(String, String, String)>,
    /// Documents by collection; each names itself in `_id` or `id`.
    #[serde(borrow)]
    seed: BTreeMap<String, Vec<&'a RawValue>>,
    /// From, relation, to.
    links: Vec<(String, String, String)>,
}

impl Init<'_> {
    /// Checks how much it is, before anything is made of it.
    ///
    /// Errors: `LIMIT_EXCEEDED`.
    pub fn check(&self) -> Result<()> {
        if self.indexes.len() > INDEXES_COUNT_MAX {
            return Err(Refusal::limit(format!(
                "init.indexes has {} entries, and a database has at most {INDEXES_COUNT_MAX} indexes",
                self.indexes.len()
            )));
        }
        let count = self.seed.values().map(Vec::len).sum::<usize>() + self.links.len();
        if count > ENTRIES_COUNT_MAX {
            return Err(Refusal::limit(format!(
                "init has {count} documents and links, and at most {ENTRIES_COUNT_MAX} are taken; write the \
                 others once the database is there"
            )));
        }
        Ok(())
    }

    /// Puts everything into an empty database, one op each.
    ///
    /// Errors: `INVALID_ARGUMENT`, and those of the engine; some of it may be there then.
    pub fn apply(&self, database: &Database) -> Result<()> {
        let indexes = self.indexes.iter().map(|(collection, field, kind)| {
            Ok((collection.as_str(), field.as_str(), IndexKind::parse(kind)?))
        });
        database.create_indexes(&indexes.collect::<Result<Vec<_>>>()?)?;
        let options = WriteOptions::default();
        for (collection, documents) in &self.seed {
            let named =
                |text: &&RawValue| Ok((id_of(collection, text.get())?, text.get().to_owned()));
            let documents: Vec<(String, String)> =
                documents.iter().map(named).collect::<Result<_>>()?;
            database.put_many(collection, &documents, &options)?;
        }
        for (from, relation, to) in &self.links {
            database.link(from, relation, to, &options)?;
        }
        Ok(())
    }
}

/// Finds the id of a document: its `_id`, or its `id` as in NEDB 1.x.
fn id_of(collection: &str, document: &str) -> Result<String> {
    let value = Value::parse(document)?;
    let id = value.get("_id").or_else(|| value.get("id")).and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| {
        let message = "a document to begin with needs its id, a string, in \"_id\" or \"id\"";
        Refusal::invalid(format!("init.seed.{collection}: {message}"))
    })
}

/// Spells a text as a JSON string.
pub fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nedb_core::{Options, ReadOptions};

    fn applied(text: &str) -> Result<Database> {
        let database = Database::in_memory(Options::default()).unwrap();
        let init: Init<'_> = serde_json::from_str(text).unwrap();
        init.apply(&database).map(|()| database)
    }

    #[test]
    fn what_the_seeds_show_is_there() {
        let database = applied(
            r#"{"indexes": [["users", "status", "eq"], ["orders", "total", "ordered"]],
                "seed": {"users": [{"id": "u1", "name": "Ada"}], "orders": [{"_id": "o\"1", "total": 1e2}]},
                "links": [["users:u1", "placed", "orders:o\"1"]]}"#,
        )
        .unwrap();
        assert_eq!((database.seq(), database.indexes().unwrap().len()), (2, 2));
        let user = database.get("users", "u1", &ReadOptions::default()).unwrap().unwrap();
        assert_eq!(user, r#"{"_id":"u1","_seq":1,"id":"u1","name":"Ada"}"#);
        assert_eq!(database.neighbors("users:u1", "placed", None).unwrap(), ["orders:o\"1"]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(applied("{}").unwrap().seq(), -1);
    }

    #[test]
    fn what_it_begins_with_is_bounded() {
        let init = |indexes: usize, documents: usize, links: usize| Init {
            indexes: vec![("c".to_owned(), "f".to_owned(), "eq".to_owned()); indexes],
            seed: BTreeMap::from([("c".to_owned(), vec![RawValue::NULL; documents])]),
            links: vec![("c:a".to_owned(), "to".to_owned(), "c:b".to_owned()); links],
        };
        assert!(
            init(INDEXES_COUNT_MAX, ENTRIES_COUNT_MAX / 2, ENTRIES_COUNT_MAX / 2).check().is_ok()
        );
        assert!(init(INDEXES_COUNT_MAX + 1, 0, 0).check().is_err());
        assert!(init(0, ENTRIES_COUNT_MAX, 1).check().is_err());
    }

    #[test]
    fn one_wrong_thing_refuses_all() {
        for text in [
            r#"{"seed": {"users": [{"id": "a"}, {"name": "no id"}]}}"#,
            r#"{"seed": {"users": [{"id": 5}]}}"#,
            r#"{"indexes": [["users", "status", "fast"]]}"#,
            r#"{"links": [["users", "placed", "orders:1"]]}"#,
        ] {
            assert!(applied(text).is_err(), "{text}");
        }
    }
}
