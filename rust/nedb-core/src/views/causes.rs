//! Which ops name an op as their cause: the way from a cause to its effects.
//!
//! The way back needs no view, since every op carries its causes.

use crate::op::Seq;
use rustc_hash::FxHashMap;

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
}
