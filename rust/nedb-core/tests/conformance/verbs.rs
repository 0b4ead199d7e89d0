//! The verbs of a database, called with the arguments of a step.
//!
//! In: a verb's name and its arguments as text. Out: its answer as JSON text. Documents are handed
//! over as the text of the case.

use crate::case::Arguments;
use crate::expect::Answer;
use crate::files;
use crate::host::Outcome;
use nedb_core::{Database, Error, IndexKind, Params, ReadOptions, WriteOptions};
use serde_json::{Value, json};

/// Calls a verb.
pub fn call(database: &Database, verb: &str, args: &Arguments) -> Outcome {
    match verb {
        "put" | "put_many" | "delete" | "batch" | "link" | "unlink" | "expire" | "sweep"
        | "checkpoint" => call_write(database, verb, args),
        "get" | "query" | "neighbors" | "inbound" | "op" => call_read(database, verb, args),
        "put_file" | "get_file" | "file_equals" | "file_root" | "file_proof" | "verify_proof"
        | "files" | "file_versions" | "compression_stats" | "compact_blobs" | "verify_files" => {
            files::call(database, verb, args)
        }
        _ => call_rest(database, verb, args),
    }
}

/// Calls a verb that appends.
fn call_write(database: &Database, verb: &str, args: &Arguments) -> Outcome {
    let options = write_options(args)?;
    let (coll, id) = (args.text("coll")?.unwrap_or_default(), args.text("id")?.unwrap_or_default());
    Ok(match verb {
        "put" => {
            let document = args.json("doc")?.ok_or("put needs doc")?;
            database.put(&coll, &id, &document, &options).map(Answer::One)
        }
        "put_many" => {
            let documents = args.json("docs")?.ok_or("put_many needs docs")?;
            database.put_many_json(&coll, &documents, &options).map(Answer::Rows)
        }
        "delete" => database.delete(&coll, &id, &options).map(Answer::of),
        "batch" => {
            let items = args.json("items")?.ok_or("batch needs items")?;
            database.batch(&items, &options).map(Answer::Rows)
        }
        "link" | "unlink" => return call_relation(database, verb, args, &options),
        "expire" => {
            let ttl_seconds = number(args, "ttl_s")?.ok_or("expire needs ttl_s")?;
            let options = WriteOptions { ttl_seconds: None, ..options };
            database.expire(&coll, &id, ttl_seconds, &options).map(Answer::of)
        }
        "sweep" => database.sweep().map(Answer::of),
        _ => database.checkpoint(args.text("note")?.as_deref()).map(Answer::of),
    })
}

/// Calls `link` or `unlink`.
fn call_relation(
    database: &Database,
    verb: &str,
    args: &Arguments,
    options: &WriteOptions,
) -> Outcome {
    let (from, relation, to) = (args.required("frm")?, args.required("rel")?, args.required("to")?);
    Ok(match verb {
        "link" => database.link(&from, &relation, &to, options).map(Answer::of),
        _ => database.unlink(&from, &relation, &to, options).map(Answer::of),
    })
}

/// Calls a verb that reads documents, relations or ops.
fn call_read(database: &Database, verb: &str, args: &Arguments) -> Outcome {
    let as_of = integer(args, "as_of")?;
    Ok(match verb {
        "get" => {
            let options = ReadOptions { as_of, valid_as_of: args.text("valid_as_of")? };
            let document = database.get(&args.required("coll")?, &args.required("id")?, &options);
            document.map(|found| Answer::One(found.unwrap_or_else(|| "null".to_owned())))
        }
        "query" => query(database, &args.required("nql")?, args.json("params")?),
        "neighbors" => database
            .neighbors(&args.required("node")?, &args.required("rel")?, as_of)
            .map(Answer::of),
        "inbound" => {
            database.inbound(&args.required("node")?, &args.required("rel")?, as_of).map(Answer::of)
        }
        _ => {
            let op = database.op(integer(args, "seq")?.ok_or("op needs seq")?);
            op.map(|found| Answer::One(found.unwrap_or_else(|| "null".to_owned())))
        }
    })
}

/// Runs a query with its parameters.
fn query(database: &Database, nql: &str, params: Option<String>) -> Result<Answer, Error> {
    let params = match params {
        Some(text) => Params::from_json(&text)?,
        None => Params::none(),
    };
    database.query(nql, &params).map(|rows| Answer::Rows(rows.into_texts()))
}

/// Calls a verb about the database itself.
fn call_rest(database: &Database, verb: &str, args: &Arguments) -> Outcome {
    Ok(match verb {
        "create_index" => {
            let (coll, field) = (args.required("coll")?, args.required("field")?);
            IndexKind::parse(&args.required("kind")?)
                .and_then(|kind| database.create_index(&coll, &field, kind))
                .map(|()| Answer::nothing())
        }
        "indexes" => database.indexes().map(|indexes| {
            let listed =
                indexes.iter().map(|(coll, field, kind)| json!([coll, field, kind.as_str()]));
            Answer::of(listed.collect::<Vec<Value>>())
        }),
        "collections" => database.collections().map(Answer::of),
        "verify" => database.verify().map(Answer::of),
        "verify_determinism" => database.verify_determinism().map(Answer::of),
        "repair" => database.repair().map(|report| Answer::One(report.to_json())),
        "open_report" => Ok(Answer::One(database.open_report().to_json())),
        "read_only" => Ok(Answer::of(database.is_read_only())),
        "verify_report" => database.verify_report().map(|report| Answer::One(report.to_json())),
        "seq" => Ok(Answer::of(database.seq())),
        "durable_seq" => Ok(Answer::of(database.durable_seq())),
        "head" => Ok(Answer::of(database.head())),
        "encrypted" => Ok(Answer::of(database.is_encrypted())),
        "refresh" => database.refresh().map(Answer::of),
        "flush" => database.flush().map(|()| Answer::nothing()),
        _ => return Err(format!("the suite knows no verb {verb}")),
    })
}

/// Gathers the write options of a step.
pub fn write_options(args: &Arguments) -> Result<WriteOptions, String> {
    let caused_by = match args.value("caused_by")? {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => {
            serde_json::from_value(list).map_err(|error| format!("caused_by: {error}"))?
        }
    };
    Ok(WriteOptions {
        client: args.text("client")?,
        nonce: integer(args, "nonce")?,
        idem: args.text("idem")?,
        ttl_seconds: number(args, "ttl_s")?,
        caused_by,
        evidence: args.text("evidence")?,
        confidence: number(args, "confidence")?,
        valid_from: args.text("valid_from")?,
        valid_to: args.text("valid_to")?,
        if_seq: integer(args, "if_seq")?,
    })
}

/// Returns an argument that is an integer.
pub fn integer(args: &Arguments, name: &str) -> Result<Option<i64>, String> {
    match args.value(name)? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(format!("{name} must be an integer")),
    }
}

/// Returns an argument that is a number.
fn number(args: &Arguments, name: &str) -> Result<Option<f64>, String> {
    match args.value(name)? {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(format!("{name} must be a number")),
    }
}
