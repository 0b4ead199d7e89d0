//! What a repair did.

use crate::db::open_report::{write_damage, write_texts};
use crate::json::write_string;
use crate::log::Damage;
use std::path::PathBuf;

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// What was wrong with the log; None when it was right, and nothing was done to it.
    pub damage: Option<Damage>,
    /// How many bytes were taken off the log.
    pub cut_bytes: u64,
    /// How many ops from the damage on were kept, with new seqs, since the chain proves them.
    pub carried_op_count: u64,
    /// Where the damaged log is kept, whole.
    pub damaged_file: Option<PathBuf>,
    /// The checkpoint files that were removed, by name: they did not hold, or went beyond what was kept of the log.
    pub removed_checkpoints: Vec<String>,
}

impl RepairReport {
    /// Makes the report of a repair that had nothing to do to the log.
    pub(in crate::db) fn of_a_right_log() -> Self {
        RepairReport {
            damage: None,
            cut_bytes: 0,
            carried_op_count: 0,
            damaged_file: None,
            removed_checkpoints: Vec::new(),
        }
    }

    /// Makes the report of a repair that has cut the log.
    pub(in crate::db) fn of_a_cut(damage: Damage, cut_bytes: u64, damaged_file: PathBuf) -> Self {
        RepairReport {
            damage: Some(damage),
            cut_bytes,
            damaged_file: Some(damaged_file),
            ..RepairReport::of_a_right_log()
        }
    }

    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = format!(
            "{{\"carried_op_count\":{},\"cut_bytes\":{},\"damage\":",
            self.carried_op_count, self.cut_bytes
        );
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"damaged_file\":");
        match &self.damaged_file {
            Some(path) => write_string(&path.to_string_lossy(), &mut out),
            None => out.push_str("null"),
        }
        out.push_str(",\"removed_checkpoints\":");
        write_texts(&self.removed_checkpoints, &mut out);
        out.push('}');
        out
    }
}
