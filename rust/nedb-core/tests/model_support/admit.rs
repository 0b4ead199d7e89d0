//! What the naive database accepts, and what it answers to a write.
//!
//! A refusal names every code that would be right: where several things are wrong, which of them is
//! told is not part of the promise.

use super::call::Call;
use super::model::{Item, Kind, Model, Op, Point, Version};
use super::script::{Change, REPEATED_MEMBER};
use super::value::{Object, instant_ms};
use nedb_core::ErrorCode::{self, InvalidArgument};
use nedb_core::WriteOptions;
use serde_json::{Value, json};

/// What a write answers, or the codes with which it may be refused.
pub type Answer = Result<Value, Vec<ErrorCode>>;

const RESERVED: [&str; 8] = [
    "_seq",
    "_score",
    "_caused_by",
    "_evidence",
    "_confidence",
    "_valid_from",
    "_valid_to",
    "_expires_at",
];

impl Model {
    /// Does what a call says, and answers.
    pub fn apply(&mut self, call: &Call) -> Answer {
        match call {
            Call::Put { target, document, options } => self.put(target, document, options),
            Call::PutMany { collection, documents, options } => {
                self.put_many(collection, documents, options)
            }
            Call::Delete { target, options } => self.delete(target, options),
            Call::Link { edge, options } => {
                self.edge(edge, options, |[from, relation, to]| Kind::Link { from, relation, to })
            }
            Call::Unlink { edge, options } => {
                self.edge(edge, options, |[from, relation, to]| Kind::Unlink { from, relation, to })
            }
            Call::Batch { items, options } => self.batch(items, options),
            Call::Expire { target, ttl_s } => self.expire(target, *ttl_s),
            Call::Update { target, change, options } => self.update(target, *change, options),
            Call::Sweep => self.sweep(),
            Call::Checkpoint => self.one(Kind::Checkpoint, &WriteOptions::default(), &[]),
            Call::Tick(seconds) => {
                self.now += seconds;
                Ok(Value::Null)
            }
            Call::CreateIndex { .. } | Call::Reopen { .. } => Ok(Value::Null),
        }
    }

    fn put(&mut self, target: &(String, String), document: &str, options: &WriteOptions) -> Answer {
        check_options(options)?;
        check_target(target)?;
        let stored = stored(document, &target.1, options, self.now)?;
        let seq = self.one(put_kind(target, stored), options, &if_seq(target, options))?;
        Ok(self.results(seq.as_i64().expect("a seq")).remove(0))
    }

    fn put_many(
        &mut self,
        collection: &str,
        documents: &[(String, String)],
        options: &WriteOptions,
    ) -> Answer {
        if options.nonce.is_some() || options.idem.is_some() || options.if_seq.is_some() {
            return Err(vec![InvalidArgument]);
        }
        check_options(options)?;
        let before = self.ops.len();
        let put = |(id, document): &(String, String)| {
            self.put(&(collection.to_owned(), id.clone()), document, options)
        };
        let rows: Result<Vec<Value>, _> = documents.iter().map(put).collect();
        if rows.is_err() {
            self.ops.truncate(before);
        }
        rows.map(Value::Array)
    }

    fn delete(&mut self, target: &(String, String), options: &WriteOptions) -> Answer {
        check_takes_no_time(options)?;
        check_options(options)?;
        check_target(target)?;
        let (collection, id) = target.clone();
        self.one(Kind::Delete { collection, id }, options, &if_seq(target, options))
    }

    fn edge(
        &mut self,
        edge: &[String; 3],
        options: &WriteOptions,
        kind: impl FnOnce([String; 3]) -> Kind,
    ) -> Answer {
        check_takes_no_time(options)?;
        check_options(options)?;
        check_edge(edge)?;
        self.one(kind(edge.clone()), options, &[])
    }

    fn update(
        &mut self,
        target: &(String, String),
        change: Change,
        options: &WriteOptions,
    ) -> Answer {
        check_options(options)?;
        check_target(target)?;
        let current = self.get(&target.0, &target.1, Point::default());
        match change {
            Change::Keep => Ok(current.map_or(Value::Null, |version| version.row().into())),
            Change::Delete => self.delete(target, options).map(|_| Value::Null),
            Change::SetA(text) => {
                let document = with_a(current.map(|version| version.row()), text);
                self.put(target, &document, options)
            }
        }
    }

    fn expire(&mut self, target: &(String, String), ttl_s: f64) -> Answer {
        let options = WriteOptions { ttl_seconds: Some(ttl_s), ..WriteOptions::default() };
        check_options(&options)?;
        check_target(target)?;
        let Some(mut version) = self.get(&target.0, &target.1, Point::default()) else {
            return Ok(json!(false));
        };
        version.stored.insert("_expires_at".to_owned(), json!(self.now + ttl_s));
        let causes = version.stored.get("_caused_by").map(seqs).unwrap_or_default();
        let options = WriteOptions { caused_by: causes, ..options };
        self.one(put_kind(target, version.stored), &options, &[])?;
        Ok(json!(true))
    }

    fn sweep(&mut self) -> Answer {
        let due = self.due();
        let client = Some("__ttl__".to_owned());
        let options = WriteOptions { client, ..WriteOptions::default() };
        for Version { collection, id, .. } in due.clone() {
            self.one(Kind::Delete { collection, id }, &options, &[])?;
        }
        Ok(json!(due.len()))
    }

    fn batch(&mut self, calls: &[(Value, WriteOptions)], options: &WriteOptions) -> Answer {
        let mut items = Vec::new();
        let mut if_seqs = Vec::new();
        let mut seen: Vec<(String, String)> = Vec::new();
        for (call, options) in calls {
            check_options(options)?;
            let kind = self.batch_kind(call, options)?;
            if let Kind::Put { collection, id, .. } | Kind::Delete { collection, id } = &kind {
                let target = (collection.clone(), id.clone());
                if_seqs.extend(if_seq(&target, options));
                seen.push(target);
            }
            items.push(Item { kind, causes: options.caused_by.clone() });
        }
        let is_repeated = |at: usize| seen[..at].contains(&seen[at]);
        if items.is_empty() || (0..seen.len()).any(is_repeated) {
            return Err(vec![InvalidArgument]);
        }
        check_options(options)?;
        let seq = self.admit(true, items, options, &if_seqs)?;
        Ok(Value::Array(self.results(seq)))
    }

    fn batch_kind(&self, call: &Value, options: &WriteOptions) -> Result<Kind, Vec<ErrorCode>> {
        let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
        let target = (text("coll"), text("id"));
        let edge = [text("frm"), text("rel"), text("to")];
        match call["op"].as_str() {
            Some("put") => {
                let stored = stored(&call["doc"].to_string(), &target.1, options, self.now)?;
                Ok(put_kind(&target, stored))
            }
            Some("delete") => Ok(Kind::Delete { collection: target.0, id: target.1 }),
            op => {
                check_edge(&edge)?;
                let [from, relation, to] = edge;
                match op {
                    Some("link") => Ok(Kind::Link { from, relation, to }),
                    _ => Ok(Kind::Unlink { from, relation, to }),
                }
            }
        }
    }

    /// Admits an op of one item; answers its seq.
    fn one(&mut self, kind: Kind, options: &WriteOptions, if_seqs: &[Expected]) -> Answer {
        let items = vec![Item { kind, causes: options.caused_by.clone() }];
        self.admit(false, items, options, if_seqs).map(|seq| json!(seq))
    }

    /// Appends an op, or finds the one that its key stands for.
    fn admit(
        &mut self,
        is_batch: bool,
        items: Vec<Item>,
        options: &WriteOptions,
        if_seqs: &[Expected],
    ) -> Result<i64, Vec<ErrorCode>> {
        let first = self.ops.iter().position(|op| op.idem.is_some() && op.idem == options.idem);
        if let Some(seq) = first {
            let op = &self.ops[seq];
            let is_same = op.is_batch == is_batch && targets(&op.items) == targets(&items);
            return if is_same {
                Ok(seq as i64)
            } else {
                Err(vec![ErrorCode::IdempotencyConflict])
            };
        }
        let client = options.client.clone().unwrap_or_else(|| "local".to_owned());
        let ours = self.ops.iter().filter(|op| op.client == client);
        let last_nonce = ours.map(|op| op.nonce).max().unwrap_or(0);
        let own = self.ops.len() as i64;
        let mut refusals = Vec::new();
        if items.iter().flat_map(|item| &item.causes).any(|cause| !(0..own).contains(cause)) {
            refusals.push(InvalidArgument);
        }
        if options.nonce.is_some_and(|nonce| nonce <= last_nonce) {
            refusals.push(ErrorCode::ReplayError);
        }
        if if_seqs.iter().any(|(target, seq)| self.current_seq(&target.0, &target.1) != *seq) {
            refusals.push(ErrorCode::PreconditionFailed);
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let nonce = options.nonce.unwrap_or(last_nonce + 1);
        self.ops.push(Op { items, is_batch, client, nonce, idem: options.idem.clone() });
        Ok(own)
    }

    /// Returns what each item of an op wrote, as it was handed out.
    fn results(&self, seq: i64) -> Vec<Value> {
        let written = self.written_by(seq);
        let items = 0..self.ops[seq as usize].items.len();
        let row = |item| written.iter().find(|version| version.item == item).map(Version::row);
        items.map(|item| row(item).map_or(Value::Null, Value::Object)).collect()
    }
}

type Expected = ((String, String), i64);

fn if_seq(target: &(String, String), options: &WriteOptions) -> Vec<Expected> {
    options.if_seq.map(|seq| (target.clone(), seq)).into_iter().collect()
}

fn put_kind(target: &(String, String), stored: Object) -> Kind {
    Kind::Put { collection: target.0.clone(), id: target.1.clone(), stored }
}

fn seqs(list: &Value) -> Vec<i64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
}

/// What makes two writes the same write.
fn targets(items: &[Item]) -> Vec<(&'static str, String)> {
    let target = |item: &Item| match &item.kind {
        Kind::Put { collection, id, .. } => ("put", format!("{collection}:{id}")),
        Kind::Delete { collection, id } => ("delete", format!("{collection}:{id}")),
        Kind::Link { from, relation, to } => ("link", format!("{from} {relation} {to}")),
        Kind::Unlink { from, relation, to } => ("unlink", format!("{from} {relation} {to}")),
        Kind::Checkpoint => ("checkpoint", String::new()),
    };
    items.iter().map(target).collect()
}

/// Returns a document with another `a`, as an update writes it.
pub fn with_a(current: Option<Object>, text: &str) -> String {
    let mut document = current.unwrap_or_default();
    document.insert("a".to_owned(), serde_json::from_str(text).expect("JSON"));
    Value::Object(document).to_string()
}

/// Returns what is stored of a document.
fn stored(
    document: &str,
    id: &str,
    options: &WriteOptions,
    now: f64,
) -> Result<Object, Vec<ErrorCode>> {
    let Ok(Value::Object(mut stored)) = serde_json::from_str(document) else {
        return Err(vec![InvalidArgument]);
    };
    // serde_json takes the last of two members of one name; the log format has no such object.
    refuse_if(document == REPEATED_MEMBER)?;
    if stored.get("_id").is_some_and(|given| *given != *id) {
        return Err(vec![InvalidArgument]);
    }
    stored.retain(|name, _| !RESERVED.contains(&name.as_str()));
    stored.insert("_id".to_owned(), json!(id));
    let mut set = |name: &str, value: Option<Value>| {
        value.map(|value| stored.insert(name.to_owned(), value));
    };
    let causes = &options.caused_by;
    set("_caused_by", (!causes.is_empty()).then(|| json!(causes)));
    set("_evidence", options.evidence.as_ref().map(|it| json!(it)));
    set("_confidence", options.confidence.map(|it| json!(it)));
    set("_valid_from", options.valid_from.as_ref().map(|it| json!(it)));
    set("_valid_to", options.valid_to.as_ref().map(|it| json!(it)));
    set("_expires_at", options.ttl_seconds.map(|ttl_s| json!(now + ttl_s)));
    Ok(stored)
}

fn refuse_if(is_wrong: bool) -> Result<(), Vec<ErrorCode>> {
    if is_wrong { Err(vec![InvalidArgument]) } else { Ok(()) }
}

fn check_options(options: &WriteOptions) -> Result<(), Vec<ErrorCode>> {
    let date = |text: &Option<String>, is_end| text.as_ref().map(|it| instant_ms(it, is_end));
    let (from, to) = (date(&options.valid_from, false), date(&options.valid_to, true));
    let is_backward = matches!((from, to), (Some(Some(from)), Some(Some(to))) if to < from);
    refuse_if(
        options.nonce.is_some_and(|nonce| nonce < 1)
            || options.confidence.is_some_and(|it| !(0.0..=1.0).contains(&it))
            || options.ttl_seconds.is_some_and(|ttl_s| ttl_s <= 0.0)
            || from == Some(None)
            || to == Some(None)
            || is_backward,
    )
}

fn check_takes_no_time(options: &WriteOptions) -> Result<(), Vec<ErrorCode>> {
    let has_date = options.valid_from.is_some() || options.valid_to.is_some();
    refuse_if(has_date || options.ttl_seconds.is_some())
}

fn check_target(target: &(String, String)) -> Result<(), Vec<ErrorCode>> {
    refuse_if(target.0.contains(':') || target.0.is_empty() || target.1.is_empty())
}

fn check_edge(edge: &[String; 3]) -> Result<(), Vec<ErrorCode>> {
    refuse_if(!edge[0].contains(':') || !edge[2].contains(':'))
}
