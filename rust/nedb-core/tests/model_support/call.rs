//! A script's steps, with everything relative made absolute: what the databases are told.

use super::model::{Model, Point};
use super::script::{BatchItem, Change, Edge, IfSeq, Options, Step, Target};
use super::script::{COLLECTIONS, IDS, RELATIONS, object_text};
use nedb_core::WriteOptions;
use serde_json::{Value, json};

/// What a database is told.
#[derive(Clone, Debug)]
pub enum Call {
    Put { target: (String, String), document: String, options: WriteOptions },
    PutMany { collection: String, documents: Vec<(String, String)>, options: WriteOptions },
    Delete { target: (String, String), options: WriteOptions },
    Link { edge: [String; 3], options: WriteOptions },
    Unlink { edge: [String; 3], options: WriteOptions },
    Batch { items: Vec<(Value, WriteOptions)>, options: WriteOptions },
    Expire { target: (String, String), ttl_s: f64 },
    Update { target: (String, String), change: Change, options: WriteOptions },
    Sweep,
    Tick(f64),
    CreateIndex { collection: usize, index: usize },
    Checkpoint,
    Reopen { without_checkpoints: bool },
}

fn names(target: Target) -> (String, String) {
    match target {
        Target::Good(collection, id) => (COLLECTIONS[collection].to_owned(), IDS[id].to_owned()),
        Target::BadCollection => ("c:d".to_owned(), "p".to_owned()),
        Target::BadId => ("c".to_owned(), String::new()),
    }
}

fn nodes(edge: Edge) -> [String; 3] {
    let node =
        |(collection, id): (usize, usize)| format!("{}:{}", COLLECTIONS[collection], IDS[id]);
    let from = if edge.is_bad { "nowhere".to_owned() } else { node(edge.from) };
    [from, RELATIONS[edge.relation].to_owned(), node(edge.to)]
}

impl Model {
    /// Says what a step means in the state that it meets.
    pub fn resolve(&self, step: &Step) -> Call {
        let given = |options: &Options, target: &(String, String)| self.options(options, target);
        let nowhere = (String::new(), String::new());
        match step {
            Step::Put { target, document, fields, options } => {
                let target = names(*target);
                let is_odd = !document.is_empty();
                let document = if is_odd { (*document).to_owned() } else { object_text(fields) };
                Call::Put { options: given(options, &target), target, document }
            }
            Step::PutMany { collection, documents, options } => {
                let text =
                    |(id, fields): &(usize, Vec<_>)| (IDS[*id].to_owned(), object_text(fields));
                let documents = documents.iter().map(text).collect();
                let collection = COLLECTIONS[*collection].to_owned();
                Call::PutMany { collection, documents, options: given(options, &nowhere) }
            }
            Step::Delete { target, options } => {
                let target = names(*target);
                Call::Delete { options: given(options, &target), target }
            }
            Step::Link { edge, options } => {
                Call::Link { edge: nodes(*edge), options: given(options, &nowhere) }
            }
            Step::Unlink { edge, options } => {
                Call::Unlink { edge: nodes(*edge), options: given(options, &nowhere) }
            }
            Step::Batch { items, options } => {
                let items = items.iter().map(|item| self.resolve_item(item)).collect();
                Call::Batch { items, options: given(options, &nowhere) }
            }
            Step::Expire { target, ttl_s } => {
                Call::Expire { target: names(*target), ttl_s: *ttl_s }
            }
            Step::Update { target, change, options } => {
                let target = names(*target);
                Call::Update { options: given(options, &target), target, change: *change }
            }
            Step::Sweep => Call::Sweep,
            Step::Tick(seconds) => Call::Tick(*seconds),
            Step::CreateIndex { collection, index } => {
                Call::CreateIndex { collection: *collection, index: *index }
            }
            Step::Checkpoint => Call::Checkpoint,
            Step::Reopen { without_checkpoints } => {
                Call::Reopen { without_checkpoints: *without_checkpoints }
            }
        }
    }

    fn resolve_item(&self, item: &BatchItem) -> (Value, WriteOptions) {
        let place = |target: (usize, usize)| names(Target::Good(target.0, target.1));
        let edge_item = |op: &str, edge: Edge| {
            let [from, relation, to] = nodes(edge);
            (json!({"op": op, "frm": from, "rel": relation, "to": to}), WriteOptions::default())
        };
        match item {
            BatchItem::Put { target, fields, options } => {
                let target = place(*target);
                let document: Value = serde_json::from_str(&object_text(fields)).expect("JSON");
                let item = json!({"op": "put", "coll": target.0, "id": target.1, "doc": document});
                (item, self.options(options, &target))
            }
            BatchItem::Delete { target, options } => {
                let target = place(*target);
                let item = json!({"op": "delete", "coll": target.0, "id": target.1});
                (item, self.options(options, &target))
            }
            BatchItem::Link(edge) => edge_item("link", *edge),
            BatchItem::Unlink(edge) => edge_item("unlink", *edge),
        }
    }

    fn options(&self, options: &Options, target: &(String, String)) -> WriteOptions {
        let own = self.head() + 1;
        WriteOptions {
            client: options.client.map(str::to_owned),
            nonce: options.nonce,
            idem: options.idem.map(str::to_owned),
            ttl_seconds: options.ttl_s,
            caused_by: options.causes_back.iter().map(|back| own - back).collect(),
            evidence: options.evidence.map(str::to_owned),
            confidence: options.confidence,
            valid_from: options.valid.0.map(str::to_owned),
            valid_to: options.valid.1.map(str::to_owned),
            if_seq: options.if_seq.map(|if_seq| match if_seq {
                IfSeq::Current => self.current_seq(&target.0, &target.1),
                IfSeq::Absent => -1,
                IfSeq::Zero => 0,
            }),
        }
    }

    /// Returns the seq of what is there now; -1 for nothing.
    pub fn current_seq(&self, collection: &str, id: &str) -> i64 {
        self.get(collection, id, Point::default()).map_or(-1, |version| version.seq)
    }
}
