//! The verbs about files, called with the arguments of a step.
//!
//! In: a verb's name and its arguments. Out: its answer as JSON text; a file's bytes as a text.

use crate::case::Arguments;
use crate::expect::Answer;
use crate::host::Outcome;
use crate::verbs::{integer, write_options};
use nedb_core::{Database, Error, FileAt, FileInfo, FileProof, Result, Side, Tier};
use serde_json::Value;

/// Calls a verb.
pub fn call(database: &Database, verb: &str, args: &Arguments) -> Outcome {
    let name = args.text("name")?.unwrap_or_default();
    let at = match file_at(args)? {
        Ok(at) => at,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match verb {
        "put_file" => return put_file(database, &name, args),
        "get_file" => database.get_file(&name, &at).map(|data| Answer::of(text(data))),
        "file_equals" => {
            let wanted = args.required("text")?;
            database.get_file(&name, &at).map(|data| Answer::of(data == wanted.as_bytes()))
        }
        "file_root" => database.file_root(&name, &at).map(Answer::of),
        "file_proof" => {
            let chunk = integer(args, "chunk_index")?.ok_or("file_proof needs chunk_index")?;
            u64::try_from(chunk)
                .map_err(|_| Error::invalid("a chunk is a number from 0 on"))
                .and_then(|chunk| database.file_proof(&name, chunk, &at))
                .map(|proof| Answer::One(proof.to_json()))
        }
        "verify_proof" => Ok(Answer::of(Database::verify_proof(&proof(args)?))),
        "files" => database.files(at.as_of).map(Answer::of),
        "file_versions" => database.file_versions(&name, at.as_of).map(|versions| {
            let texts: Vec<String> = versions.iter().map(FileInfo::to_json).collect();
            Answer::One(format!("[{}]", texts.join(",")))
        }),
        "compression_stats" => database
            .compression_stats(at.tier.unwrap_or_default())
            .map(|stats| Answer::One(stats.to_json())),
        "verify_files" => {
            database.verify_files(&mut |_, _| Ok(())).map(|report| Answer::One(report.to_json()))
        }
        _ => database.compact_blobs().map(|report| Answer::One(report.to_json())),
    })
}

fn put_file(database: &Database, name: &str, args: &Arguments) -> Outcome {
    let (options, data) = (write_options(args)?, args.required("text")?);
    let tier = args.text("tier")?.map_or(Ok(Tier::default()), |tier| Tier::parse(&tier));
    let put = tier.and_then(|tier| {
        // What is long goes in as a stream.
        match data.len() {
            0..1000 => database.put_file(name, data.as_bytes(), tier, &options),
            _ => {
                let mut source = data.as_bytes();
                database.put_file_from(name, &mut source, tier, &options, &mut |_| Ok(()))
            }
        }
    });
    Ok(put.map(Answer::of))
}

fn file_at(args: &Arguments) -> std::result::Result<Result<FileAt>, String> {
    let (version, as_of) = (integer(args, "version")?, integer(args, "as_of")?);
    let tier = args.text("tier")?.map(|tier| Tier::parse(&tier)).transpose();
    Ok(tier.map(|tier| FileAt { version, tier, as_of }))
}

fn proof(args: &Arguments) -> std::result::Result<FileProof, String> {
    let step = |step: &Value| {
        let hash = step.get(0).and_then(Value::as_str)?;
        Some((hash.to_owned(), Side::parse(step.get(1)?.as_str()?)?))
    };
    let list = args.value("path")?.unwrap_or_default();
    let path: Option<Vec<_>> = list.as_array().into_iter().flatten().map(step).collect();
    Ok(FileProof {
        leaf: args.required("leaf")?,
        path: path.ok_or("path is a list of [hash, side]")?,
        root: args.required("root")?,
    })
}

fn text(data: Vec<u8>) -> String {
    String::from_utf8_lossy(&data).into_owned()
}
