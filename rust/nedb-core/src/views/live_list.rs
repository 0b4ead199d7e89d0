//! An ordered list whose dead entries are dropped in bulk.

/// Ascending numbers, of which some have died. Dead ones are dropped once they are the majority, so
/// that a long history of births and deaths does not slow a walk over the living.
///
/// How many dead ones are still there depends on the way that led here, so two lists count as equal when
/// as many are alive: which ones they are is known elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveList {
    entries: Vec<u32>,
    dead_count: usize,
}

impl PartialEq for LiveList {
    fn eq(&self, other: &Self) -> bool {
        self.live_count() == other.live_count()
    }
}

impl LiveList {
    /// Makes a list of living entries, which must ascend.
    pub fn of_living(entries: Vec<u32>) -> Self {
        LiveList { entries, dead_count: 0 }
    }

    /// Adds an entry; it must be larger than all before it.
    pub fn push(&mut self, entry: u32) {
        self.entries.push(entry);
    }

    /// Notes that one entry has died; `is_live` tells the living.
    pub fn bury_one(&mut self, is_live: impl Fn(u32) -> bool) {
        self.dead_count += 1;
        if self.dead_count > 16 && self.dead_count * 2 > self.entries.len() {
            self.entries.retain(|entry| is_live(*entry));
            self.dead_count = 0;
        }
    }

    /// Returns how many are alive.
    pub fn live_count(&self) -> usize {
        self.entries.len() - self.dead_count
    }

    /// Returns the entries from `first` on, the dead among them included.
    pub fn from(&self, first: u32) -> &[u32] {
        let start = self.entries.partition_point(|entry| *entry < first);
        self.entries.get(start..).unwrap_or_default()
    }
}
