//! The naive database: a list of ops. Every answer is worked out anew from the whole list.

use super::value::{Object, instant_ms};
use serde_json::Value;

/// One accepted op.
#[derive(Clone, Debug)]
pub struct Op {
    pub items: Vec<Item>,
    pub is_batch: bool,
    pub client: String,
    pub nonce: i64,
    pub idem: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub kind: Kind,
    pub causes: Vec<i64>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Put { collection: String, id: String, stored: Object },
    Delete { collection: String, id: String },
    Link { from: String, relation: String, to: String },
    Unlink { from: String, relation: String, to: String },
    Checkpoint,
}

/// One version of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub collection: String,
    pub id: String,
    pub seq: i64,
    pub item: usize,
    pub stored: Object,
}

/// Where in time a read looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point<'a> {
    pub as_of: Option<i64>,
    pub valid: Option<&'a str>,
}

#[derive(Debug, Default)]
pub struct Model {
    pub ops: Vec<Op>,
    pub now: f64,
}

impl Version {
    /// Returns the document as it is handed out.
    pub fn row(&self) -> Object {
        let mut row = self.stored.clone();
        row.insert("_seq".to_owned(), self.seq.into());
        row
    }

    pub fn node(&self) -> String {
        format!("{}:{}", self.collection, self.id)
    }

    pub fn expires_at(&self) -> Option<f64> {
        self.stored.get("_expires_at").and_then(Value::as_f64)
    }

    fn is_expired(&self, now: f64) -> bool {
        self.expires_at().is_some_and(|expires_at| expires_at <= now)
    }

    fn is_valid_at(&self, date: &str) -> bool {
        let at = instant_ms(date, false).expect("questions have good dates");
        let bound = |name: &str, is_end: bool| {
            let text = self.stored.get(name).and_then(Value::as_str);
            text.map(|text| instant_ms(text, is_end).expect("bad dates are refused"))
        };
        bound("_valid_from", false).is_none_or(|from| from <= at)
            && bound("_valid_to", true).is_none_or(|to| at <= to)
    }
}

impl Model {
    pub fn head(&self) -> i64 {
        self.ops.len() as i64 - 1
    }

    /// Returns the last seq that a read counts.
    pub fn seq_of(&self, point: Point<'_>) -> i64 {
        point.as_of.map_or(self.head(), |seq| seq.min(self.head()))
    }

    fn items_up_to(&self, seq: i64) -> impl Iterator<Item = (i64, usize, &Item)> {
        let ops = self.ops.iter().zip(0..).take_while(move |(_, at)| *at <= seq);
        ops.flat_map(|(op, seq)| op.items.iter().enumerate().map(move |(at, item)| (seq, at, item)))
    }

    /// Returns the lives of a collection that have not ended at a seq, each with its versions.
    pub fn lives(&self, collection: &str, seq: i64) -> Vec<Vec<Version>> {
        let mut lives: Vec<Vec<Version>> = Vec::new();
        for (seq, item, Item { kind, .. }) in self.items_up_to(seq) {
            match kind {
                Kind::Put { collection: of, id, stored } if of == collection => {
                    let (collection, stored) = (of.clone(), stored.clone());
                    let version = Version { collection, id: id.clone(), seq, item, stored };
                    match lives.iter_mut().find(|life| life[0].id == *id) {
                        Some(life) => life.push(version),
                        None => lives.push(vec![version]),
                    }
                }
                Kind::Delete { collection: of, id } if of == collection => {
                    lives.retain(|life| life[0].id != *id);
                }
                _ => {}
            }
        }
        lives
    }

    /// Returns the documents of a collection at a place in time, in order of creation.
    pub fn documents(&self, collection: &str, point: Point<'_>) -> Vec<Version> {
        let is_head = point.as_of.is_none();
        let mut lives = self.lives(collection, self.seq_of(point));
        // At HEAD an expired document is absent, as it is once it is swept.
        lives.retain(|life| !is_head || !life[life.len() - 1].is_expired(self.now));
        let seen = |life: Vec<Version>| match point.valid {
            None => life.last().cloned(),
            Some(date) => life.into_iter().rev().find(|version| version.is_valid_at(date)),
        };
        let versions = lives.into_iter().filter_map(seen);
        versions.filter(|version| !is_head || !version.is_expired(self.now)).collect()
    }

    /// Returns a document at a place in time.
    pub fn get(&self, collection: &str, id: &str, point: Point<'_>) -> Option<Version> {
        self.documents(collection, point).into_iter().find(|version| version.id == id)
    }

    /// Returns the documents whose end has come, soonest first.
    pub fn due(&self) -> Vec<Version> {
        let collections = super::script::COLLECTIONS.iter();
        let lives = collections.flat_map(|collection| self.lives(collection, self.head()));
        let current = lives.filter_map(|life| life.last().cloned());
        let mut due: Vec<Version> = current.filter(|it| it.is_expired(self.now)).collect();
        due.sort_by(|left, right| {
            let order = left.expires_at().partial_cmp(&right.expires_at()).expect("no NaN");
            order.then((left.seq, left.item).cmp(&(right.seq, right.item)))
        });
        due
    }

    /// Returns the edges that are live at a seq, in the order linked: from, relation, to.
    pub fn edges(&self, seq: i64) -> Vec<[&str; 3]> {
        let mut edges: Vec<[&str; 3]> = Vec::new();
        for (_, _, Item { kind, .. }) in self.items_up_to(seq) {
            match kind {
                Kind::Link { from, relation, to } if !edges.contains(&[from, relation, to]) => {
                    edges.push([from, relation, to]);
                }
                Kind::Unlink { from, relation, to } => {
                    edges.retain(|edge| *edge != [from, relation, to]);
                }
                _ => {}
            }
        }
        edges
    }

    pub fn neighbors(&self, node: &str, relation: &str, seq: i64) -> Vec<String> {
        let edges = self.edges(seq).into_iter();
        let ours = edges.filter(|[from, of, _]| (*from, *of) == (node, relation));
        ours.map(|[_, _, to]| to.to_owned()).collect()
    }

    pub fn inbound(&self, node: &str, relation: &str, seq: i64) -> Vec<String> {
        let edges = self.edges(seq).into_iter();
        let ours = edges.filter(|[_, of, to]| (*to, *of) == (node, relation));
        ours.map(|[from, _, _]| from.to_owned()).collect()
    }

    /// Returns the versions that an op wrote, in item order.
    pub fn written_by(&self, seq: i64) -> Vec<Version> {
        let Some(op) = self.ops.get(seq as usize) else { return Vec::new() };
        let versions = op.items.iter().enumerate().filter_map(|(item, it)| match &it.kind {
            Kind::Put { collection, id, stored } => {
                let (collection, id) = (collection.clone(), id.clone());
                Some(Version { collection, id, seq, item, stored: stored.clone() })
            }
            _ => None,
        });
        versions.collect()
    }

    /// Returns every version of a document that was ever written, up to a seq.
    pub fn history(&self, collection: &str, id: &str, seq: i64) -> Vec<Version> {
        let all = (0..=seq).flat_map(|seq| self.written_by(seq));
        all.filter(|version| version.collection == collection && version.id == id).collect()
    }

    /// Walks from rows to what caused them.
    pub fn causes_of(&self, starts: &[Version]) -> Vec<Version> {
        let own =
            |version: &Version| self.ops[version.seq as usize].items[version.item].causes.clone();
        let mut queue: Vec<i64> = starts.iter().flat_map(own).collect();
        let mut reached = Vec::new();
        let mut at = 0;
        while at < queue.len() {
            let seq = queue[at];
            if !queue[..at].contains(&seq) {
                reached.extend(self.written_by(seq));
                let items = self.ops[seq as usize].items.iter();
                queue.extend(items.flat_map(|item| item.causes.clone()));
            }
            at += 1;
        }
        reached.retain(|version| !starts.contains(version));
        reached
    }

    /// Walks from rows, from every version of their documents, to what they caused.
    pub fn effects_of(&self, rows: &[Version], seq_max: i64) -> Vec<Version> {
        let history = |row: &Version| self.history(&row.collection, &row.id, seq_max);
        let starts: Vec<Version> = rows.iter().flat_map(history).collect();
        let mut queue: Vec<i64> = starts.iter().map(|version| version.seq).collect();
        let mut reached: Vec<Version> = Vec::new();
        let mut at = 0;
        while at < queue.len() {
            if !queue[..at].contains(&queue[at]) {
                for (seq, number, item) in self.items_up_to(seq_max) {
                    if item.causes.contains(&queue[at]) {
                        let written = self.written_by(seq);
                        reached.extend(written.into_iter().filter(|it| it.item == number));
                        queue.push(seq);
                    }
                }
            }
            at += 1;
        }
        let mut distinct: Vec<Version> = Vec::new();
        for version in reached {
            if !starts.contains(&version) && !distinct.contains(&version) {
                distinct.push(version);
            }
        }
        distinct
    }
}
