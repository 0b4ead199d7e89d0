//! `SYNCED`: from where on it is in doubt that packs are on the disk.
//!
//! In: a place in the packs. Out: the same place, in the next process.
//!
//! A process that is killed leaves in the system's cache what it has written and not synced. The next one reads it
//! like anything else; and where a sync has failed before, the system may call it clean, so that no later sync puts
//! it on the disk. So a process says here from where on it writes, before it does, and how far it has come, after
//! each sync; what stands behind that place the next one writes once more before it relies on it.
//!
//! The file holds one text twice, as `LOCK` does: where a crash tore it, the place that comes first is one that was
//! true. It is not synced: a crash of the machine takes the cache along, and all doubt with it. Without the file
//! nothing is in doubt.
//!
//! Invariants:
//! * What stands before the place is on the disk, whoever has written it.

use crate::error::{Error, Result};
use crate::store::{
    Directory, OpenHow, SYNCED_NAME, StoredFile, TWICE_FILE_BYTES as FILE_BYTES, texts, twice,
};
use std::sync::Arc;

/// A place in the packs: they come in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PackPlace {
    pub pack: u32,
    pub offset_bytes: u64,
}

/// The file, and what it says.
#[derive(Debug, Default)]
pub(super) struct Synced {
    file: Option<Arc<dyn StoredFile>>,
    /// None where it says nothing, or may say something else.
    place: Option<PackPlace>,
}

impl Synced {
    /// Reads from where on the packs of a directory are in doubt; None where they are not.
    ///
    /// Errors: `StorageError`.
    pub fn read(&mut self, directory: &Directory) -> Result<Option<PackPlace>> {
        let bytes = directory.read(SYNCED_NAME)?.unwrap_or_default();
        self.place = texts(&bytes).filter_map(parse).min();
        Ok(self.place)
    }

    /// Says, unless it is said, that the packs are in doubt from a place on, before anything is written there.
    ///
    /// Cost: nothing where a place before it is said, else a write that is not synced. Errors: `StorageError`.
    pub fn doubt_from(&mut self, directory: &Directory, place: PackPlace) -> Result<()> {
        if self.place.is_some_and(|said| said <= place) {
            return Ok(());
        }
        self.write(directory, place)
    }

    /// Says that what stands before a place is on the disk; where that fails, it says less.
    pub fn sure_until(&mut self, directory: &Directory, place: PackPlace) {
        if self.place != Some(place) {
            let _said_or_not = self.write(directory, place);
        }
    }

    fn write(&mut self, directory: &Directory, place: PackPlace) -> Result<()> {
        // A write that fails may leave this place or the one before.
        self.place = None;
        let text = format!("{{\"bytes\":{},\"pack\":{}}}", place.offset_bytes, place.pack);
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => open(directory)?,
        };
        file.overwrite(0, twice(&text).as_bytes()).map_err(writing)?;
        self.file = Some(file);
        self.place = Some(place);
        Ok(())
    }
}

/// Opens the file to write over it; one that is not there, or was not written whole, is made.
fn open(directory: &Directory) -> Result<Arc<dyn StoredFile>> {
    let file = directory.open_file(SYNCED_NAME, OpenHow::Append)?;
    let held = usize::try_from(file.len_bytes().map_err(writing)?).unwrap_or(FILE_BYTES);
    if held < FILE_BYTES {
        file.append(" ".repeat(FILE_BYTES - held).as_bytes()).map_err(writing)?;
    }
    directory.open_file(SYNCED_NAME, OpenHow::Overwrite)
}

fn writing(error: std::io::Error) -> Error {
    Error::storage(format!("write {SYNCED_NAME}"), error)
}

fn parse(text: &str) -> Option<PackPlace> {
    let (bytes, pack) =
        text.trim_ascii_end().strip_prefix("{\"bytes\":")?.split_once(",\"pack\":")?;
    let pack = pack.strip_suffix('}')?;
    Some(PackPlace { pack: pack.parse().ok()?, offset_bytes: bytes.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryFiles;
    use std::path::Path;

    fn directory() -> Directory {
        Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true).unwrap()
    }

    fn place(pack: u32, offset_bytes: u64) -> PackPlace {
        PackPlace { pack, offset_bytes }
    }

    fn said(directory: &Directory) -> Option<PackPlace> {
        Synced::default().read(directory).unwrap()
    }

    #[test]
    fn what_is_said_is_found_by_the_next_and_a_later_place_does_not_take_doubt_back() {
        let directory = directory();
        let mut synced = Synced::default();
        assert_eq!(synced.read(&directory).unwrap(), None);
        for (from, expected) in
            [(place(3, 9), place(3, 9)), (place(4, 0), place(3, 9)), (place(2, 50), place(2, 50))]
        {
            synced.doubt_from(&directory, from).unwrap();
            assert_eq!(said(&directory), Some(expected));
        }
        synced.sure_until(&directory, place(u32::MAX, u64::MAX));
        assert_eq!(said(&directory), Some(place(u32::MAX, u64::MAX)));
        assert_eq!(directory.read(SYNCED_NAME).unwrap().unwrap().len(), FILE_BYTES);
    }

    #[test]
    fn a_torn_text_says_no_more_than_was_true() {
        let directory = directory();
        let mut synced = Synced::default();
        let mut text_of = |at| {
            synced.sure_until(&directory, at);
            directory.read(SYNCED_NAME).unwrap().unwrap()
        };
        let (older, newer) = (place(7, 99_999), place(12, 1_048));
        let (old_text, new_text) = (text_of(older), text_of(newer));
        for torn_at in 0..=FILE_BYTES {
            for (first, second) in [(&old_text, &new_text), (&new_text, &old_text)] {
                let torn = [&first[..torn_at], &second[torn_at..]].concat();
                directory.replace(SYNCED_NAME, &torn).unwrap();
                let said = said(&directory).unwrap();
                assert!(said <= newer, "torn at {torn_at}: {said:?}");
            }
        }
    }

    #[test]
    fn a_file_that_was_only_begun_says_nothing() {
        let directory = directory();
        for begun in ["", " ", "{\"bytes\":7,\"pack\":"] {
            directory.replace(SYNCED_NAME, begun.as_bytes()).unwrap();
            assert_eq!(said(&directory), None, "{begun:?}");
        }
        Synced::default().doubt_from(&directory, place(1, 2)).unwrap();
        assert_eq!(said(&directory), Some(place(1, 2)));
    }
}
