//! Every version of every file: which bytes, not the bytes themselves.
//!
//! In: the ops that put files, in order. Out: the version that a name and a number, or a seq, stand for.
//!
//! Invariants:
//! * Versions of a name stand in the order of their ops.
//! * A version goes by the number that its op says. NEDB 1.x counted each tier for itself, so that two
//!   versions may have one number: then the tier tells them apart.

use super::codec::{Malformed, Reader, Writer};
use super::names::Names;
use super::pieces::{Comparison, cost, numbered, within};
use crate::hash::Hash;
use crate::op::{FileContent, PutFile, Seq, Tier};

const IS_COLD: u8 = 1;
const HAS_CONTENT: u8 = 1 << 1;
/// What a saved version is at least: flags, file, seq, number and root.
const VERSION_BYTES_MIN: usize = 36;

/// One version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    pub seq: Seq,
    pub number: u64,
    pub tier: Tier,
    pub root: Hash,
    /// None for a file of NEDB 1.x.
    pub content: Option<FileContent>,
}

/// All files.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Files {
    names: Names,
    versions: Vec<Vec<FileVersion>>,
}

impl Files {
    /// Adds a version.
    pub fn put(&mut self, seq: Seq, put: &PutFile<'_>) {
        let file = self.names.add(&put.name) as usize;
        if file == self.versions.len() {
            self.versions.push(Vec::new());
        }
        if let Some(versions) = self.versions.get_mut(file) {
            let PutFile { version: number, tier, root, content, .. } = *put;
            versions.push(FileVersion { seq, number, tier, root, content });
        }
    }

    /// Returns the versions of a file up to a seq, oldest first; none for a name that is no file's.
    pub fn versions(&self, name: &str, seq_max: Seq) -> &[FileVersion] {
        let file = self.names.find(name).and_then(|file| self.versions.get(file as usize));
        file.map_or(&[], |versions| up_to(versions, seq_max))
    }

    /// Returns the names of the files that there are at a seq, in order of their first version.
    pub fn names(&self, seq_max: Seq) -> impl Iterator<Item = &str> {
        let is_there = move |versions: &Vec<FileVersion>| !up_to(versions, seq_max).is_empty();
        let there = self.versions.iter().enumerate().filter(move |(_, it)| is_there(it));
        there.map(|(file, _)| self.names.text(file as u32))
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons() -> Vec<Comparison<Files>> {
        let mut all = within(|it: &Files| &it.names, vec![Names::comparison()]);
        all.push(numbered(
            |it: &Files| it.versions.len(),
            |mine, theirs, at| {
                let versions = mine.versions.get(at)?;
                cost(theirs.versions.get(at) == Some(versions), versions.len())
            },
        ));
        all
    }

    /// Appends the names, and the versions in the order in which they were put.
    pub fn encode(&self, out: &mut Writer) {
        self.names.encode(out);
        let files = self.versions.iter().enumerate();
        let mut order: Vec<(u32, &FileVersion)> = files
            .flat_map(|(file, versions)| versions.iter().map(move |it| (file as u32, it)))
            .collect();
        order.sort_by_key(|(_, version)| version.seq);
        out.count(order.len());
        let mut before = 0;
        for (file, version) in order {
            let FileVersion { seq, number, tier, root, content } = version;
            let cold = if *tier == Tier::Cold { IS_COLD } else { 0 };
            out.byte(cold | if content.is_some() { HAS_CONTENT } else { 0 });
            out.unsigned(file.into());
            out.rise(before, *seq);
            out.unsigned(*number);
            out.bytes(root);
            if let Some(FileContent { size_bytes, manifest }) = content {
                out.unsigned(*size_bytes);
                out.bytes(manifest);
            }
            before = *seq;
        }
    }

    /// Reads what `encode` wrote.
    pub fn decode(input: &mut Reader<'_>, last_seq: Seq) -> Result<Files, Malformed> {
        let names = Names::decode(input)?;
        let count = input.count(VERSION_BYTES_MIN)?;
        let mut versions: Vec<Vec<FileVersion>> = vec![Vec::new(); names.count() as usize];
        let mut seq = 0;
        for _ in 0..count {
            let flags = input.byte()?;
            if flags & !(IS_COLD | HAS_CONTENT) != 0 {
                return Err(Malformed("a file has unknown flags"));
            }
            let file = versions.get_mut(input.small()? as usize);
            let file = file.ok_or(Malformed("a version is of no file"))?;
            seq = input.rise(seq, last_seq)?;
            let (number, root) = (input.unsigned()?, input.hash()?);
            let content = match flags & HAS_CONTENT {
                0 => None,
                _ => Some(FileContent { size_bytes: input.unsigned()?, manifest: input.hash()? }),
            };
            let tier = if flags & IS_COLD == 0 { Tier::Warm } else { Tier::Cold };
            file.push(FileVersion { seq, number, tier, root, content });
        }
        if versions.iter().any(Vec::is_empty) {
            return Err(Malformed("a file has no version"));
        }
        Ok(Files { names, versions })
    }

    /// Returns every version of every file.
    pub fn all(&self) -> impl Iterator<Item = (&str, &FileVersion)> {
        let files = self.versions.iter().enumerate();
        files.flat_map(move |(file, versions)| {
            versions.iter().map(move |version| (self.names.text(file as u32), version))
        })
    }
}

/// Returns the number for a version that follows others.
pub(crate) fn next_number(versions: &[FileVersion]) -> u64 {
    versions.iter().map(|version| version.number).max().map_or(0, |last| last.saturating_add(1))
}

fn up_to(versions: &[FileVersion], seq_max: Seq) -> &[FileVersion] {
    let count = versions.partition_point(|version| version.seq <= seq_max);
    versions.get(..count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn put(files: &mut Files, seq: Seq, name: &str, version: u64, tier: Tier) {
        let name = Cow::Borrowed(name);
        files.put(seq, &PutFile { name, version, tier, root: [seq as u8; 32], content: None });
    }

    #[test]
    fn versions_are_those_up_to_the_seq_and_names_come_in_order_of_their_first() {
        let mut files = Files::default();
        put(&mut files, 2, "b", 0, Tier::Warm);
        put(&mut files, 5, "a", 0, Tier::Cold);
        put(&mut files, 7, "b", 1, Tier::Cold);
        assert_eq!(files.versions("b", 6).len(), 1);
        assert_eq!(files.versions("b", 7).iter().map(|it| it.seq).collect::<Vec<_>>(), [2, 7]);
        assert!(files.versions("a", 4).is_empty() && files.versions("c", 9).is_empty());
        assert_eq!(files.names(9).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(files.names(4).collect::<Vec<_>>(), ["b"]);
        assert_eq!(files.all().count(), 3);
        assert_eq!(next_number(files.versions("b", 9)), 2);
        assert_eq!(next_number(files.versions("c", 9)), 0);
    }

    #[test]
    fn the_next_number_is_above_those_of_both_tiers() {
        let mut files = Files::default();
        for (seq, number, tier) in [(0, 0, Tier::Warm), (1, 1, Tier::Warm), (2, 0, Tier::Cold)] {
            put(&mut files, seq, "a", number, tier);
        }
        assert_eq!(next_number(files.versions("a", 9)), 2);
    }
}
