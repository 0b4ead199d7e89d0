//! `expected.json` of a fixture: what a database that was written by a release holds.

use nedb_core::{Tmk, Value};
use std::fs;

/// What a fixture is expected to hold; its members are told in `make_1_2_2.py`.
pub struct Expected(Value);

impl Expected {
    /// Reads what a fixture is expected to hold.
    pub fn read(version: &str, name: &str) -> Expected {
        let path = super::fixtures(version).join(name).join("expected.json");
        let text = fs::read_to_string(path).unwrap();
        Expected(Value::parse(&text).unwrap())
    }

    /// Returns when it was read back.
    pub fn clock(&self) -> f64 {
        self.0.get("clock").unwrap().as_f64().unwrap()
    }

    /// Returns how many lines its log has.
    pub fn op_count(&self) -> i64 {
        self.0.get("ops").unwrap().as_f64().unwrap() as i64
    }

    /// Returns the hash of its last line.
    pub fn head(&self) -> &str {
        self.0.get("head").unwrap().as_str().unwrap()
    }

    /// Returns the key that opens it, of an encrypted one.
    pub fn tmk(&self) -> Option<Tmk> {
        let hex = self.0.get("tmk_hex").and_then(Value::as_str);
        hex.map(|hex| Tmk::from_hex(hex).unwrap())
    }

    /// Tells whether the check of log-format.md accepts it.
    pub fn verifies(&self) -> bool {
        self.0.get("verify") == Some(&Value::Bool(true))
    }

    /// Returns the documents at HEAD by collection and id.
    pub fn documents(&self) -> Vec<(String, String, Value)> {
        self.named("docs")
    }

    /// Returns the texts of the documents that few JSON readers can read.
    pub fn texts(&self) -> Vec<(String, String, Value)> {
        self.named("docs_text")
    }

    /// Returns the documents that are not there.
    pub fn absent(&self) -> Vec<(String, String)> {
        let absent = self.list("absent").iter().map(|name| split(name.as_str().unwrap()));
        absent.collect()
    }

    /// Returns the documents at older seqs; null where there is none.
    pub fn as_of(&self) -> Vec<(i64, Vec<(String, String, Value)>)> {
        let members = members(self.0.get("as_of"));
        members.iter().map(|(seq, documents)| (seq.parse().unwrap(), named(documents))).collect()
    }

    /// Returns node, relation and neighbours, of those that are text.
    pub fn neighbors(&self) -> Vec<(String, String, Vec<String>)> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let edges = self.list("neighbors").iter().filter_map(|edge| {
            let [from, relation, to] = elements(edge) else { return None };
            let to = elements(to).iter().map(text).collect::<Option<_>>()?;
            Some((text(from)?, text(relation)?, to))
        });
        edges.collect()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.0.get(key).map(elements).unwrap_or_default()
    }

    fn named(&self, key: &str) -> Vec<(String, String, Value)> {
        self.0.get(key).map(named).unwrap_or_default()
    }
}

fn named(documents: &Value) -> Vec<(String, String, Value)> {
    let with_name = |(name, value): &(String, Value)| {
        let (collection, id) = split(name);
        (collection, id, value.clone())
    };
    members(Some(documents)).iter().map(with_name).collect()
}

fn split(name: &str) -> (String, String) {
    let (collection, id) = name.split_once(':').unwrap();
    (collection.to_owned(), id.to_owned())
}

fn members(value: Option<&Value>) -> &[(String, Value)] {
    match value {
        Some(Value::Object(members)) => members,
        _ => &[],
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        _ => &[],
    }
}
