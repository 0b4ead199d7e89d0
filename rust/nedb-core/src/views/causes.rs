//! Which ops name an op as their cause: the way from a cause to its effects.
//!
//! The way back needs no view, since every op carries its causes.

use super::codec::{Malformed, Reader, Writer};
use super::pieces::{Comparison, cost, keyed};
use crate::op::Seq;
use rustc_hash::FxHashMap;

/// What a saved cause, and a saved effect, is at least.
const ENTRY_BYTES_MIN: usize = 2;

/// The effects of each op that has any.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Causes {
    effects: FxHashMap<Seq, Vec<(Seq, u32)>>,
}

impl Causes {
    /// Notes that an item of an op names causes.
    pub fn add(&mut self, causes: &[Seq], seq: Seq, item: u32) {
        for cause in causes {
            let effects = self.effects.entry(*cause).or_default();
            // A cause may be named twice in one list.
            if effects.last() != Some(&(seq, item)) {
                effects.push((seq, item));
            }
        }
    }

    /// Returns the ops, with their items, that name `cause`, in order, up to a seq.
    pub fn effects(&self, cause: Seq, seq_max: Seq) -> &[(Seq, u32)] {
        let Some(effects) = self.effects.get(&cause) else { return &[] };
        let count = effects.partition_point(|(seq, _)| *seq <= seq_max);
        effects.get(..count).unwrap_or_default()
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons(&self) -> Vec<Comparison<Causes>> {
        vec![keyed(
            self.effects.keys().copied().collect(),
            |it: &Causes| it.effects.len(),
            |mine, theirs, cause| {
                let effects = mine.effects.get(cause);
                cost(effects == theirs.effects.get(cause), effects.map_or(0, Vec::len))
            },
        )]
    }

    /// Appends all causes in order, each with its effects.
    pub fn encode(&self, out: &mut Writer) {
        let mut causes: Vec<Seq> = self.effects.keys().copied().collect();
        causes.sort_unstable();
        out.count(causes.len());
        for cause in causes {
            let effects = self.effects.get(&cause).map_or(&[][..], Vec::as_slice);
            // NEDB 1.x took any number for a cause.
            out.signed(cause);
            out.count(effects.len());
            let mut before = 0;
            for (seq, item) in effects {
                out.rise(before, *seq);
                out.unsigned((*item).into());
                before = *seq;
            }
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(input: &mut Reader<'_>, last_seq: Seq) -> Result<Causes, Malformed> {
        let count = input.count(ENTRY_BYTES_MIN)?;
        let mut loaded = Causes::default();
        loaded.effects.reserve(count);
        for _ in 0..count {
            let cause = input.signed()?;
            let effects = decode_effects(input, last_seq)?;
            if loaded.effects.insert(cause, effects).is_some() {
                return Err(Malformed("a cause is there twice"));
            }
        }
        Ok(loaded)
    }
}

fn decode_effects(input: &mut Reader<'_>, last_seq: Seq) -> Result<Vec<(Seq, u32)>, Malformed> {
    let count = input.count(ENTRY_BYTES_MIN)?;
    let mut effects: Vec<(Seq, u32)> = Vec::with_capacity(count);
    for _ in 0..count {
        let before = effects.last().copied();
        let seq = input.rise(before.map_or(0, |(seq, _)| seq), last_seq)?;
        let effect = (seq, input.small()?);
        if before.is_some_and(|before| before >= effect) {
            return Err(Malformed("effects are not in the order of the log"));
        }
        effects.push(effect);
    }
    Ok(effects)
}
