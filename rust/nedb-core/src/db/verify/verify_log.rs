//! Every hash, every link and every payload of the log, and what is derived from it, checked.

use super::known_log::KnownLog;
use crate::db::database::Database;
use crate::db::open_report::{DerivedDamage, OpenReport, write_damage, write_derived, write_texts};
use crate::error::{Error, Result};
use crate::json::write_string;
use crate::log::{Damage, Verification, read_log_bytes, verify};
use crate::op::Seq;

/// What checking a log found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Whether the log and what is derived from it hold: there is neither of the two damages.
    pub ok: bool,
    /// How many ops from the start hold.
    pub op_count: u64,
    /// The hash after the last of them.
    pub head: String,
    /// What is wrong with the log: the first op that does not hold.
    pub damage: Option<Damage>,
    /// What is wrong with what was derived from it: a sealed checkpoint file that is another, or views that came from
    /// one that no op seals and that are not those of the log. Nothing is lost by it.
    pub derived_damage: Option<DerivedDamage>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl VerifyReport {
    /// Returns the report as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"damage\":");
        write_damage(self.damage.as_ref(), &mut out);
        out.push_str(",\"derived_damage\":");
        write_derived(self.derived_damage.as_ref(), &mut out);
        out.push_str(",\"head\":");
        write_string(&self.head, &mut out);
        out.push_str(&format!(",\"ok\":{},\"op_count\":{},\"warnings\":", self.ok, self.op_count));
        write_texts(&self.warnings, &mut out);
        out.push('}');
        out
    }
}

impl Database {
    /// Reads the log again and tells whether every hash, every link and every payload holds, and what is derived
    /// from it too: a checkpoint file must have the hash that its op says, and views that came from one that no op
    /// seals must be those that the log says. The bytes of files, of which the log holds the roots, are not read:
    /// that is `verify_files`.
    ///
    /// Cost: one hash an op, on all cores; once after opening from a checkpoint that no op seals, that of
    /// `verify_determinism`. Errors: `DatabaseClosed`, `StorageError`, `IntegrityError` where the log changed meanwhile.
    pub fn verify(&self) -> Result<bool> {
        Ok(self.verify_report()?.ok)
    }

    /// Does what `verify` does, and says what does not hold, where and why: the log, or what is derived from it. A
    /// checkpoint file that is broken and was not used is a warning.
    ///
    /// Errors: as `verify`.
    pub fn verify_report(&self) -> Result<VerifyReport> {
        // What reads have met is in the log and found again, or it was the views that were wrong.
        let report = self.opening_report();
        let (_, found, damage) = self.verify_log(&report)?;
        let mut warnings = report.warnings;
        let derived_damage = self.derived_damage(damage.is_none(), &mut warnings)?;
        if let Some((seq, key)) = found.uncovered {
            warnings.push(format!("op {seq} has a member {key:?} that no hash covers"));
        }
        warnings.sort();
        warnings.dedup();
        Ok(VerifyReport {
            ok: damage.is_none() && derived_damage.is_none(),
            op_count: found.op_count,
            head: found.head,
            damage,
            derived_damage,
            warnings,
        })
    }

    /// Checks the log, and nothing but the log; returns what is known of it, and the first damage.
    pub(in crate::db) fn verify_log(
        &self,
        report: &OpenReport,
    ) -> Result<(KnownLog, Verification, Option<Damage>)> {
        let known = self.known_log()?;
        // Beside damage the end is that of the file: what is wrong is still there to be named.
        let end_bytes = match (&report.damage, &known.bytes) {
            (Some(_), Some(bytes)) => {
                bytes.len_bytes().map_err(|error| Error::storage("read the log", error))?
            }
            _ => known.end_bytes,
        };
        // The lock is held for one chunk at a time, and not at all for a log on a disk.
        let mut read = |offset, bytes_max, out: &mut _| match &known.bytes {
            Some(bytes) => {
                self.inner.engine.check_open()?;
                read_log_bytes(&**bytes, offset, bytes_max, out)
            }
            None => self.inner.engine.read()?.log.read_bytes(offset, bytes_max, out),
        };
        let found = verify(end_bytes, &self.inner.protection, &mut read)?;
        if let Some(damage) = &found.damage {
            self.inner.engine.read_though_closed()?.log.note_damage(damage);
        }
        let is_known = found.head == known.head && found.op_count as Seq == known.seq + 1;
        // The first of all is named.
        let is_other = (!is_known && found.damage.is_none()).then(|| Damage {
            seq: found.op_count as Seq,
            offset_bytes: end_bytes,
            reason: "the log is no longer the one that was opened: it holds other ops".to_owned(),
        });
        let is_gone = self.inner.engine.check_in_place().err().map(|error| Damage {
            seq: found.op_count as Seq,
            offset_bytes: end_bytes,
            reason: error.to_string(),
        });
        let damages = report.damage.iter().chain(&found.damage).chain(&is_other).chain(&is_gone);
        let damage = damages.min_by_key(|damage| damage.seq).cloned();
        Ok((known, found, damage))
    }
}
