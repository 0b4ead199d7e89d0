//! Several things as one op: all of them or none.
//!
//! In: a JSON array of items, as every language can make it. Out: what each item wrote.
//!
//! Invariants:
//! * A document occurs at most once, so that the order of items is no puzzle.
//! * Preconditions look at the state before the transaction.

use super::put::{Target, edge_kind, put_of, stored_text, written_by, written_texts};
use crate::db::check::{self, CheckedOptions};
use crate::db::database::Database;
use crate::db::options::WriteOptions;
use crate::document::{Provenance, write_with_seq};
use crate::engine::{Admitted, Draft, Group};
use crate::error::{Error, Result};
use crate::json::{canonicalize_within, elements, members, string_text};
use crate::limits::{BATCH_ITEMS_COUNT_MAX, NESTING_DEPTH_MAX};
use crate::op::{Item, Items, OpKind, Seq, kind};
use crate::views::State;
use std::borrow::Cow;
use std::collections::HashSet;

/// What stands around a document among a transaction's items: the list and the item.
const ITEMS_NESTING_DEPTH: usize = 2;

/// One thing that a transaction is to do.
#[derive(Debug)]
enum Step<'a> {
    Put { target: (Cow<'a, str>, Cow<'a, str>), document: &'a str },
    Delete { target: (Cow<'a, str>, Cow<'a, str>) },
    Edge { op: &'static str, from: Cow<'a, str>, relation: Cow<'a, str>, to: Cow<'a, str> },
}

impl Database {
    /// Does several things as one op: all of them, or none.
    ///
    /// `items` is a JSON array of objects: `{"op":"put","coll","id","doc"}` with any of `if_seq`,
    /// `ttl_s`, `caused_by`, `evidence`, `confidence`, `valid_from`, `valid_to`;
    /// `{"op":"delete","coll","id"}` with any of `if_seq`, `caused_by`, `evidence`, `confidence`;
    /// `{"op":"link"|"unlink","frm","rel","to"}` with any of the last three. Options of the whole:
    /// `client`, `nonce`, `idem`. Returns a JSON text for each item: the document as stored for a put,
    /// `null` for the rest.
    ///
    /// Errors: as `put`; `InvalidArgument` when a document occurs twice or an item is malformed.
    pub fn batch(&self, items: &str, options: &WriteOptions) -> Result<Vec<String>> {
        let canonical = canonical_items(items)?;
        let steps = Steps::read(&canonical, options)?;
        let checked = steps.checked(options)?;
        self.inner.engine.admit(|group| checked.stage(group).map(|(results, _)| results))
    }
}

/// A transaction's items, read.
pub(in crate::db) struct Steps<'t> {
    steps: Vec<Step<'t>>,
    options: Vec<WriteOptions>,
}

/// A transaction, checked but for what depends on the database.
pub(in crate::db) struct CheckedBatch<'t> {
    steps: &'t Steps<'t>,
    options: CheckedOptions<'t>,
    item_options: Vec<CheckedOptions<'t>>,
    said_of_items: Vec<Provenance<'t>>,
}

/// Returns a transaction's items as canonical text.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn canonical_items(items: &str) -> Result<Cow<'_, str>> {
    canonicalize_within(items, NESTING_DEPTH_MAX + ITEMS_NESTING_DEPTH)
}

impl<'t> Steps<'t> {
    /// Reads the items of a transaction with these options as a whole.
    ///
    /// Errors: `InvalidArgument`, `LimitExceeded`.
    pub fn read(canonical_items: &'t str, options: &WriteOptions) -> Result<Steps<'t>> {
        let (steps, item_options) = parse_items(canonical_items)?;
        check_batch(options, &steps)?;
        Ok(Steps { steps, options: item_options })
    }

    /// Checks the options of the whole and of each item.
    ///
    /// Errors: `InvalidArgument`, `LimitExceeded`.
    pub fn checked<'s>(&'s self, options: &'s WriteOptions) -> Result<CheckedBatch<'s>> {
        let item_options =
            self.options.iter().map(check::options).collect::<Result<Vec<CheckedOptions<'s>>>>()?;
        let said_of_items = item_options.iter().map(|it| it.origin.said.clone()).collect();
        let options = check::options(options)?;
        Ok(CheckedBatch { steps: self, options, item_options, said_of_items })
    }
}

impl CheckedBatch<'_> {
    /// Stages the transaction as one op; returns what each item wrote, as it is handed out.
    ///
    /// Errors: as `Group::stage`.
    pub fn stage<'a>(&'a self, group: &mut Group<'_, 'a>) -> Result<(Vec<String>, Admitted)> {
        let Steps { steps, options } = self.steps;
        let now = group.now_seconds();
        let items = steps.iter().zip(&self.item_options);
        let items = items.map(|(step, options)| step.item(options, now)).collect::<Result<_>>()?;
        let admitted = group.stage(Draft {
            origin: &self.options.origin,
            items: Items::Many(items),
            said_of_items: &self.said_of_items,
            if_seqs: preconditions(steps, options),
        })?;
        let results = match admitted {
            Admitted::New(seq) => {
                let items = group.last_staged_items().iter();
                items.map(|item| result(stored_text(item), seq)).collect()
            }
            Admitted::Replayed(seq) => group.with_state(|state| originals(state, seq, steps))?,
        };
        Ok((results, admitted))
    }
}

/// Returns what the items of an op wrote that did these steps, as it was handed out then.
fn originals(state: &State, seq: Seq, steps: &[Step<'_>]) -> Result<Vec<String>> {
    let mut written = written_texts(state, seq)?.into_iter();
    let original = |step: &Step<'_>| {
        let stored = written.next();
        let is_put = matches!(step, Step::Put { .. });
        let stored = is_put.then(|| written_by(seq, stored)).transpose()?;
        Ok(result(stored.as_deref(), seq))
    };
    steps.iter().map(original).collect()
}

fn result(stored: Option<&str>, seq: Seq) -> String {
    match stored {
        None => "null".to_owned(),
        Some(stored) => {
            let mut out = String::new();
            write_with_seq(stored, seq, &mut out);
            out
        }
    }
}

impl Step<'_> {
    fn document(&self) -> Option<(&str, &str)> {
        match self {
            Step::Put { target, .. } | Step::Delete { target } => Some((&target.0, &target.1)),
            Step::Edge { .. } => None,
        }
    }

    /// Makes the item that does it.
    ///
    /// Errors: `InvalidArgument`, `LimitExceeded`.
    fn item<'a>(&'a self, options: &'a CheckedOptions<'a>, now_seconds: f64) -> Result<Item<'a>> {
        let kind = match self {
            Step::Put { target, document } => {
                let target = Target::checked(&target.0, &target.1)?;
                OpKind::Put(put_of(&target, document, options, now_seconds)?)
            }
            Step::Delete { target } => Target::checked(&target.0, &target.1)?.deletion(),
            Step::Edge { op, from, relation, to } => {
                let edge = (&**from, &**relation, &**to);
                check::edge(edge)?;
                edge_kind(op, edge)
            }
        };
        Ok(Item { kind, caused_by: Cow::Borrowed(&options.given.caused_by) })
    }
}

fn preconditions<'s>(
    steps: &'s [Step<'_>],
    options: &[WriteOptions],
) -> Vec<(&'s str, &'s str, Seq)> {
    let with_options = steps.iter().zip(options);
    with_options
        .filter_map(|(step, options)| {
            let (collection, id) = step.document()?;
            options.if_seq.map(|seq| (collection, id, seq))
        })
        .collect()
}

fn check_batch(options: &WriteOptions, steps: &[Step<'_>]) -> Result<()> {
    let whole = WriteOptions {
        client: options.client.clone(),
        nonce: options.nonce,
        idem: options.idem.clone(),
        ..WriteOptions::default()
    };
    if *options != whole {
        return Err(Error::invalid(
            "a transaction as a whole takes client, nonce and idem; the rest stands in its items",
        ));
    }
    if steps.is_empty() {
        return Err(Error::invalid("a transaction needs at least one item"));
    }
    if steps.len() > BATCH_ITEMS_COUNT_MAX {
        return Err(Error::limit(format!(
            "a transaction has at most {BATCH_ITEMS_COUNT_MAX} items"
        )));
    }
    let mut seen = HashSet::new();
    match steps.iter().filter_map(Step::document).find(|document| !seen.insert(*document)) {
        Some((collection, id)) => Err(Error::invalid(format!(
            "{collection}:{id} occurs twice in one transaction; give its last state once"
        ))),
        None => Ok(()),
    }
}

fn parse_items(canonical: &str) -> Result<(Vec<Step<'_>>, Vec<WriteOptions>)> {
    if !canonical.starts_with('[') {
        return Err(Error::invalid("a transaction's items are a JSON array"));
    }
    let mut steps = Vec::new();
    let mut options = Vec::new();
    for (number, item) in elements(canonical).enumerate() {
        let (step, given) = parse_item(item).map_err(|error| {
            Error::new(
                error.code(),
                format!("item {number} of the transaction: {}", error.message()),
            )
        })?;
        steps.push(step);
        options.push(given);
    }
    Ok((steps, options))
}

fn parse_item(item: &str) -> Result<(Step<'_>, WriteOptions)> {
    if !item.starts_with('{') {
        return Err(Error::invalid("an item is a JSON object"));
    }
    let mut reader = ItemReader::default();
    for (key, value) in members(item) {
        reader.read(key, value)?;
    }
    let step = reader.step()?;
    match &step {
        Step::Put { .. } => {}
        Step::Delete { .. } => check::takes_no(&reader.options, kind::DELETE, true)?,
        Step::Edge { op, .. } => check::takes_no(&reader.options, op, false)?,
    }
    Ok((step, reader.options))
}

/// Collects the members of an item.
#[derive(Default)]
struct ItemReader<'t> {
    op: Option<Cow<'t, str>>,
    texts: [Option<Cow<'t, str>>; 5],
    document: Option<&'t str>,
    options: WriteOptions,
}

const TEXT_KEYS: [&str; 5] = ["coll", "id", "frm", "rel", "to"];

impl<'t> ItemReader<'t> {
    fn read(&mut self, key: &str, value: &'t str) -> Result<()> {
        if let Some(place) =
            TEXT_KEYS.iter().position(|text| *text == key).and_then(|at| self.texts.get_mut(at))
        {
            *place = Some(text_value(key, value)?);
            return Ok(());
        }
        if key == "op" {
            self.op = Some(text_value(key, value)?);
        } else if key == "doc" {
            self.document = Some(value);
        } else if value != "null" {
            read_option(key, value, &mut self.options)?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Step<'t>> {
        let op = self.op.take().ok_or_else(|| Error::invalid("an item needs an op"))?;
        let [collection, id, from, relation, to] = std::mem::take(&mut self.texts);
        let needed = |text: Option<Cow<'t, str>>, key: &str| {
            text.ok_or_else(|| Error::invalid(format!("{op} needs {key}")))
        };
        let edge = match op.as_ref() {
            kind::PUT | kind::DELETE => None,
            kind::LINK => Some(kind::LINK),
            kind::UNLINK => Some(kind::UNLINK),
            _ => {
                return Err(Error::invalid(format!(
                    "there is no op {op:?} in a transaction; there are put, delete, link and unlink"
                )));
            }
        };
        if let Some(edge) = edge {
            let (from, relation, to) =
                (needed(from, "frm")?, needed(relation, "rel")?, needed(to, "to")?);
            return Ok(Step::Edge { op: edge, from, relation, to });
        }
        let target = (needed(collection, "coll")?, needed(id, "id")?);
        if op == kind::DELETE {
            return Ok(Step::Delete { target });
        }
        let document = self.document.ok_or_else(|| Error::invalid("put needs doc"))?;
        Ok(Step::Put { target, document })
    }
}

/// Reads one of a write's options from canonical JSON.
///
/// Errors: `InvalidArgument` for another type or an unknown name.
pub(in crate::db) fn read_option(key: &str, value: &str, options: &mut WriteOptions) -> Result<()> {
    let number = || {
        value.parse::<f64>().map_err(|_| Error::invalid(format!("{key} is a number, not {value}")))
    };
    let text = || text_value(key, value).map(Cow::into_owned);
    match key {
        "client" => options.client = Some(text()?),
        "nonce" => options.nonce = Some(integer(key, value)?),
        "idem" => options.idem = Some(text()?),
        "if_seq" => options.if_seq = Some(integer(key, value)?),
        "ttl_s" => options.ttl_seconds = Some(number()?),
        "confidence" => options.confidence = Some(number()?),
        "evidence" => options.evidence = Some(text()?),
        "valid_from" => options.valid_from = Some(text()?),
        "valid_to" => options.valid_to = Some(text()?),
        "caused_by" if value.starts_with('[') => {
            options.caused_by =
                elements(value).map(|seq| integer("caused_by", seq)).collect::<Result<_>>()?;
        }
        "caused_by" => return Err(Error::invalid("caused_by is a list of seqs")),
        _ => return Err(Error::invalid(format!("there is no option {key:?}"))),
    }
    Ok(())
}

fn integer(key: &str, value: &str) -> Result<i64> {
    value.parse().map_err(|_| Error::invalid(format!("{key} is an integer, not {value}")))
}

fn text_value<'t>(key: &str, value: &'t str) -> Result<Cow<'t, str>> {
    string_text(value).ok_or_else(|| Error::invalid(format!("{key} is a string, not {value}")))
}
