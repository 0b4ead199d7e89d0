//! What is damaged of files, and how it is told.

use crate::error::Error;
use crate::json::write_string;
use crate::limits::FILE_DAMAGES_COUNT_MAX;
use crate::op::{Seq, Tier};
use crate::snapshot::FileVersion;
use std::fmt;

/// A chunk of a version of a file that cannot be read, or the list of its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDamage {
    /// The file.
    pub name: String,
    /// The number of the version.
    pub version: u64,
    /// Its tier, since NEDB 1.x may have given two versions one number.
    pub tier: Tier,
    /// The op that put it.
    pub seq: Seq,
    /// The chunk, counted from 0; None for the list of chunks, without which none of them is found.
    pub chunk: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
}

impl FileDamage {
    pub(in crate::db) fn new(
        name: &str,
        version: &FileVersion,
        chunk: Option<usize>,
        error: &Error,
    ) -> Self {
        let FileVersion { number, tier, seq, .. } = *version;
        let chunk = chunk.map(|chunk| chunk as u64);
        FileDamage {
            name: name.to_owned(),
            version: number,
            tier,
            seq,
            chunk,
            reason: error.to_string(),
        }
    }

    fn write_json(&self, out: &mut String) {
        let FileDamage { name, version, tier, seq, chunk, reason } = self;
        let chunk = chunk.map_or("null".to_owned(), |chunk| chunk.to_string());
        out.push_str(&format!("{{\"chunk\":{chunk},\"name\":"));
        write_string(name, out);
        out.push_str(",\"reason\":");
        write_string(reason, out);
        let tier = tier.as_str();
        out.push_str(&format!(",\"seq\":{seq},\"tier\":\"{tier}\",\"version\":{version}}}"));
    }
}

impl fmt::Display for FileDamage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileDamage { name, version, chunk, reason, .. } = self;
        match chunk {
            Some(chunk) => write!(formatter, "chunk {chunk}")?,
            None => formatter.write_str("the list of chunks")?,
        }
        write!(formatter, " of version {version} of file {name:?} is damaged or missing: {reason}")
    }
}

/// What is damaged of files: how much, and the first of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDamages {
    /// How many chunks and lists of chunks, counted once for each version that has them.
    pub count: u64,
    /// The first `FILE_DAMAGES_COUNT_MAX` of them, file by file.
    pub list: Vec<FileDamage>,
}

impl FileDamages {
    pub(in crate::db) fn push(&mut self, damage: FileDamage) {
        self.count += 1;
        if self.list.len() < FILE_DAMAGES_COUNT_MAX {
            self.list.push(damage);
        }
    }

    /// Returns the members `"damage":[...]` and `"damage_count":n` of a report as JSON text.
    pub fn to_members(&self) -> String {
        let mut out = String::from("\"damage\":[");
        for (place, damage) in self.list.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            damage.write_json(&mut out);
        }
        out.push_str(&format!("],\"damage_count\":{}", self.count));
        out
    }
}
