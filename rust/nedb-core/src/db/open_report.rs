//! What opening found, and what was found since to be damaged: of the log, and of what is derived from it.

use crate::json::write_string;
use crate::log::Damage;
use crate::op::Seq;
use crate::views::{Checkpoint, State};
use std::path::PathBuf;

/// What opening a database found.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    /// How many ops the log holds.
    pub op_count: u64,
    /// The last op of the checkpoint that was loaded; None when the whole log was folded.
    pub checkpoint_seq: Option<Seq>,
    /// How many bytes of a crash tail were cut; 0 after a clean stop.
    pub cut_bytes: u64,
    /// Where they are kept.
    pub cut_file: Option<PathBuf>,
    /// Why the database opened for reading only, if it did; or the first line that was found not to hold
    /// since, by a read or by `verify`, behind a checkpoint or where something changed the log.
    pub damage: Option<Damage>,
    /// What `verify` has found to be wrong with the views that were loaded, while the log is right.
    pub derived_damage: Option<DerivedDamage>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl OpenReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"checkpoint_seq\":");
        match self.checkpoint_seq {
            Some(seq) => out.push_str(&seq.to_string()),
            None => out.push_str("null"),
        }
        out.push_str(&format!(",\"cut_bytes\":{},\"cut_file\":", self.cut_bytes));
        match &self.cut_file {
            Some(path) => write_string(&path.to_string_lossy(), &mut out),
            None => out.push_str("null"),
        }
        out.push_str(",\"damage\":");
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"derived_damage\":");
        write_derived(self.derived_damage.as_ref(), &mut out);
        out.push_str(&format!(",\"op_count\":{},\"warnings\":", self.op_count));
        write_texts(&self.warnings, &mut out);
        out.push('}');
        out
    }
}

/// Appends a damage as JSON, or null.
pub(in crate::db) fn write_damage(damage: Option<&Damage>, out: &mut String) {
    match damage {
        None => out.push_str("null"),
        Some(damage) => {
            out.push_str(&format!("{{\"offset_bytes\":{},\"reason\":", damage.offset_bytes));
            write_string(&damage.reason, out);
            out.push_str(&format!(",\"seq\":{}}}", damage.seq));
        }
    }
}

/// Appends a list of texts as JSON.
pub(in crate::db) fn write_texts(texts: &[String], out: &mut String) {
    out.push('[');
    for (place, text) in texts.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(text, out);
    }
    out.push(']');
}

/// A checkpoint file that is not what the log says, or views that came from one. The log is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedDamage {
    /// The name of the file.
    pub file: String,
    /// The last op that the file says it covers.
    pub seq: Seq,
    /// What is wrong, in a sentence.
    pub reason: String,
}

impl DerivedDamage {
    pub(in crate::db) fn new(seq: Seq, reason: String) -> DerivedDamage {
        DerivedDamage { file: Checkpoint::file_name(seq), seq, reason }
    }

    /// Returns what was noted of a state whose views are wrong, if it was.
    pub(in crate::db) fn noted_in(state: &State) -> Option<DerivedDamage> {
        let seq = state.unsealed_seq?;
        state.wrong_views.clone().map(|reason| DerivedDamage::new(seq, reason))
    }
}

/// Appends a derived damage as JSON, or null.
pub(in crate::db) fn write_derived(damage: Option<&DerivedDamage>, out: &mut String) {
    let Some(DerivedDamage { file, seq, reason }) = damage else { return out.push_str("null") };
    out.push_str("{\"file\":");
    write_string(file, out);
    out.push_str(",\"reason\":");
    write_string(reason, out);
    out.push_str(&format!(",\"seq\":{seq}}}"));
}
