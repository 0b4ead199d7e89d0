//! The store of chunks as a whole, over files in memory.

use super::chunks::{ChunkStore, FrameCache};
use super::compact::Live;
use super::frame::{Found, Head};
use super::manifest::Manifest;
use super::pack::name_of;
use super::writer::{BytesWriter, Written};
use crate::crypto::Protection;
use crate::error::{ErrorCode, Result};
use crate::hash::Hash;
use crate::op::Tier;
use crate::store::{BLOBS_NAME, Directory, MemoryFiles, OpenHow};
use bytes::some_text as bytes;
use std::path::Path;
use std::sync::Arc;

#[path = "../../tests/support/bytes.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod bytes;

fn directory() -> Directory {
    Directory::open(Arc::new(MemoryFiles::default()), Path::new("memory"), true).unwrap()
}

fn store(directory: &Directory) -> Arc<ChunkStore> {
    Arc::new(ChunkStore::new(directory.clone(), Arc::new(Protection::Plain), true))
}

fn write(store: &Arc<ChunkStore>, tier: Tier, content: &[u8]) -> Written {
    let mut writer = BytesWriter::new(store, tier).unwrap();
    for piece in content.chunks(100_000) {
        writer.write(piece).unwrap();
    }
    writer.finish().unwrap()
}

fn manifest(store: &ChunkStore, written: &Written) -> Result<Manifest> {
    Manifest::decode(&store.chunk(&written.manifest, &mut FrameCache::new()?)?)
}

fn read(store: &ChunkStore, written: &Written) -> Result<Vec<u8>> {
    let (mut content, mut cache) = (Vec::new(), FrameCache::new()?);
    for leaf in &manifest(store, written)?.leaves {
        store.with_chunk(leaf, &mut cache, |chunk| content.extend_from_slice(chunk))?;
    }
    Ok(content)
}

fn live(store: &ChunkStore, written: &[Written]) -> Result<Live> {
    let mut leaves = Vec::new();
    for written in written {
        leaves.push(written.manifest);
        leaves.extend(manifest(store, written)?.leaves);
    }
    Ok(Live { leaves, unlisted_bytes: None })
}

fn stored(directory: &Directory) -> u64 {
    let names = directory.list(BLOBS_NAME).unwrap();
    let len = |name: &String| {
        let file = directory.open_file(&format!("{BLOBS_NAME}/{name}"), OpenHow::Read).unwrap();
        file.len_bytes().unwrap()
    };
    names.iter().map(len).sum()
}

#[test]
fn what_is_written_is_read_in_both_tiers_and_after_reopening() {
    let directory = directory();
    for (at, count) in [0, 1, 5_000, 70_000, 3_000_000].into_iter().enumerate() {
        for tier in [Tier::Warm, Tier::Cold] {
            let content = bytes(count, at as u64);
            let written = write(&store(&directory), tier, &content);
            assert_eq!(written.size_bytes, count as u64);
            assert!(read(&store(&directory), &written).unwrap() == content);
        }
    }
}

#[test]
fn the_same_bytes_are_stored_once_also_after_reopening_and_in_another_tier() {
    let directory = directory();
    let content = bytes(1 << 20, 1);
    let first = write(&store(&directory), Tier::Warm, &content);
    let before = stored(&directory);
    assert!(before < 700_000, "{before}");
    for tier in [Tier::Warm, Tier::Cold] {
        assert_eq!(write(&store(&directory), tier, &content), first);
    }
    assert_eq!(stored(&directory), before);
    let mut edited = content.clone();
    edited.splice(500_000..500_000, *b"in between");
    write(&store(&directory), Tier::Warm, &edited);
    assert!(stored(&directory) - before < 100_000);
}

#[test]
fn a_frame_that_a_crash_has_torn_is_not_read_and_not_appended_to() {
    let directory = directory();
    let first = write(&store(&directory), Tier::Warm, &bytes(50_000, 1));
    let whole = stored(&directory);
    let second_content = bytes(200_000, 2);
    let second = write(&store(&directory), Tier::Warm, &second_content);
    let pack = directory.open_file(&name_of(1), OpenHow::Append).unwrap();
    for len in [whole + 1, whole + 30, stored(&directory) - 1] {
        pack.cut(len).unwrap();
        let store = store(&directory);
        assert_eq!(read(&store, &first).unwrap().len(), 50_000);
        assert_eq!(read(&store, &second).unwrap_err().code(), ErrorCode::IntegrityError);
        // Written again it goes into a pack of its own, and is whole.
        assert_eq!(write(&store, Tier::Warm, &second_content), second);
        assert!(read(&store, &second).unwrap() == second_content);
        assert_eq!(pack.len_bytes().unwrap(), len);
        for name in directory.list(BLOBS_NAME).unwrap().iter().filter(|name| *name != "000001.pack")
        {
            directory.remove(&format!("{BLOBS_NAME}/{name}")).unwrap();
        }
        pack.append(&vec![0; 300_000]).unwrap();
    }
}

#[test]
fn a_chunk_whose_bytes_never_reached_the_disk_is_not_relied_on() {
    let directory = directory();
    let content = bytes(60_000, 5);
    let written = write(&store(&directory), Tier::Warm, &content);
    // A crash may leave the head of a frame, and zeros in place of its body.
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    let head = whole.len() - 20_000;
    let mut torn = whole.clone();
    torn[head..].fill(0);
    directory.replace(&name_of(1), &torn).unwrap();
    let store = store(&directory);
    assert_eq!(read(&store, &written).unwrap_err().code(), ErrorCode::IntegrityError);
    assert_eq!(write(&store, Tier::Warm, &content), written);
    assert!(read(&store, &written).unwrap() == content);
}

#[test]
fn every_flipped_byte_is_an_error_or_changes_nothing() {
    let directory = directory();
    let content = bytes(30_000, 9);
    let written = write(&store(&directory), Tier::Warm, &content);
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    let mut error_count = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        directory.replace(&name_of(1), &flipped).unwrap();
        match read(&store(&directory), &written) {
            Ok(found) => assert!(found == content, "byte {at}"),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::IntegrityError, "byte {at}: {error}");
                error_count += 1;
            }
        }
    }
    assert!(error_count * 7 + 500 > whole.len(), "{error_count} of {} bytes", whole.len());
}

#[test]
fn a_compaction_removes_what_nothing_refers_to_and_keeps_the_rest() {
    let directory = directory();
    let store = store(&directory);
    let (kept, gone) = (bytes(400_000, 1), bytes(400_000, 2));
    let written = [write(&store, Tier::Warm, &kept), write(&store, Tier::Cold, &kept[..100_000])];
    write(&store, Tier::Warm, &gone);
    let before = stored(&directory);
    let report = store.compact(|| live(&store, &written)).unwrap();
    assert_eq!((report.before_bytes, report.after_bytes), (before, stored(&directory)));
    assert!(report.removed_chunk_count > 5 && report.rewritten_pack_count == 1, "{report:?}");
    assert!(report.after_bytes < before * 2 / 3, "{report:?}");
    for store in [&store, &super::tests::store(&directory)] {
        assert!(read(store, &written[0]).unwrap() == kept);
        assert!(read(store, &written[1]).unwrap() == kept[..100_000]);
    }
    let again = store.compact(|| live(&store, &written)).unwrap();
    assert_eq!((again.removed_chunk_count, again.rewritten_pack_count), (0, 0));
    assert!(read(&store, &write(&store, Tier::Warm, &gone)).unwrap() == gone);
}

#[test]
fn a_compaction_keeps_what_a_put_under_way_has_found_or_stored() {
    let directory = directory();
    let store = store(&directory);
    let (old, new) = (bytes(300_000, 1), bytes(2_500_000, 2));
    let garbage = write(&store, Tier::Warm, &old);
    let mut before = BytesWriter::new(&store, Tier::Warm).unwrap();
    before.write(&new).unwrap();
    let mut meanwhile = BytesWriter::new(&store, Tier::Warm).unwrap();
    let report = store
        .compact(|| {
            // What nothing refers to yet is found by a put that begins after the compaction did.
            meanwhile.write(&old)?;
            Ok(Live::default())
        })
        .unwrap();
    let (before, meanwhile) = (before.finish().unwrap(), meanwhile.finish().unwrap());
    assert!(read(&store, &before).unwrap() == new);
    assert_eq!(meanwhile, garbage);
    assert!(read(&store, &meanwhile).unwrap() == old, "{report:?}");
    assert!(read(&super::tests::store(&directory), &meanwhile).unwrap() == old);
}

/// Where the frames of a pack begin, and how long their heads are.
fn frames(pack: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Found::Head(head) = Head::parse(&pack[at..]) {
        found.push((at, head.head_bytes()));
        at += head.record_bytes();
    }
    assert_eq!(at, pack.len());
    found
}

fn flipped(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 1;
    bytes
}

#[test]
fn a_pack_in_which_something_that_is_referred_to_is_damaged_stays_as_it_is() {
    let directory = directory();
    let written = write(&store(&directory), Tier::Warm, &bytes(100_000, 1));
    write(&store(&directory), Tier::Warm, &bytes(100_000, 2));
    let live = |unlisted_bytes, more: Option<Hash>| {
        let mut live = live(&store(&directory), &[written]).unwrap();
        live.leaves.extend(more);
        Live { unlisted_bytes, ..live }
    };
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    let (sound, damaged) = (live(None, None), flipped(&whole, frames(&whole)[0].1 + 2_000));
    directory.replace(&name_of(1), &damaged).unwrap();
    for _ in 0..2 {
        let report = store(&directory).compact(|| Ok(sound.clone())).unwrap();
        assert_eq!((report.removed_chunk_count, report.rewritten_pack_count), (0, 0));
        assert!(!report.uncopied.reasons.is_empty());
        assert!(directory.read(&name_of(1)).unwrap().unwrap() == damaged);
        assert_eq!(directory.list(BLOBS_NAME).unwrap(), ["000001.pack"]);
    }
    // A chunk that is nowhere keeps nothing from being given back where packs are frames and nothing else.
    directory.replace(&name_of(1), &whole).unwrap();
    let missing = live(None, Some([7; 32]));
    let report = store(&directory).compact(|| Ok(missing)).unwrap();
    assert_eq!((report.uncopied.reasons.len(), report.rewritten_pack_count), (1, 1));
    assert_eq!(read(&store(&directory), &written).unwrap(), bytes(100_000, 1));
}

#[test]
fn where_a_list_cannot_be_read_what_may_be_on_it_is_kept() {
    let directory = directory();
    let written = write(&store(&directory), Tier::Warm, &bytes(100_000, 1));
    write(&store(&directory), Tier::Warm, &bytes(100_000, 2));
    for (unlisted_bytes, gives_back) in [(64 << 10, false), (1 << 40, false), (2_000, true)] {
        let mut live = live(&store(&directory), &[written]).unwrap();
        live.unlisted_bytes = Some(unlisted_bytes);
        let report = store(&directory).compact(|| Ok(live)).unwrap();
        assert_eq!(report.removed_chunk_count > 0, gives_back, "{unlisted_bytes}: {report:?}");
        assert_eq!(read(&store(&directory), &written).unwrap(), bytes(100_000, 1));
    }
}

#[test]
fn a_damaged_head_takes_its_frame_along_and_no_other() {
    let directory = directory();
    let contents: Vec<Vec<u8>> = (1..4).map(|seed| bytes(60_000, seed)).collect();
    let store_of = || store(&directory);
    let written: Vec<Written> =
        contents.iter().map(|content| write(&store_of(), Tier::Warm, content)).collect();
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    let places = frames(&whole);
    assert_eq!(places.len(), 6, "the chunks of each file, and its list");
    for (number, (start, head_bytes)) in places.iter().enumerate() {
        // Its magic, the number of its chunks, the length of its body, a name, the check.
        for at in [0, 10, 17, 21, head_bytes - 1] {
            directory.replace(&name_of(1), &flipped(&whole, start + at)).unwrap();
            for (file, written) in written.iter().enumerate() {
                let found = read(&store_of(), written);
                match file == number / 2 {
                    true => assert_eq!(found.unwrap_err().code(), ErrorCode::IntegrityError),
                    false => assert!(found.unwrap() == contents[file], "byte {at} of {number}"),
                }
            }
        }
    }
}

#[test]
fn a_frame_inside_a_damaged_one_hides_none_of_those_behind_it() {
    let directory = directory();
    // A pack put as a file: what is in it looks like frames, and its last one is cut off by the chunk's end.
    let inner = self::directory();
    for seed in 1..8 {
        write(&store(&inner), Tier::Warm, &bytes::noise(9_000, seed));
    }
    let pack = inner.read(&name_of(1)).unwrap().unwrap();
    let content = &pack[..pack.len() - 5_000];
    let first = write(&store(&directory), Tier::Warm, content);
    let second = write(&store(&directory), Tier::Warm, &bytes(60_000, 9));
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    directory.replace(&name_of(1), &flipped(&whole, 0)).unwrap();
    assert!(read(&store(&directory), &second).unwrap() == bytes(60_000, 9));
    assert!(manifest(&store(&directory), &first).is_ok(), "its list stands behind the damage");
}

#[test]
fn damage_of_a_chunk_leaves_the_list_of_the_chunks_beside_it() {
    let directory = directory();
    let content = bytes::noise(30_000, 1);
    let written = write(&store(&directory), Tier::Warm, &content);
    let whole = directory.read(&name_of(1)).unwrap().unwrap();
    let places = frames(&whole);
    directory.replace(&name_of(1), &flipped(&whole, places[0].1 + 5)).unwrap();
    let chunk_count = manifest(&store(&directory), &written).unwrap().leaves.len();
    assert!(chunk_count > 1 && read(&store(&directory), &written).is_err());
}

#[test]
fn a_reader_beside_a_writer_finds_what_was_written_since() {
    let directory = directory();
    let writer = store(&directory);
    let reader = ChunkStore::new(directory.clone(), Arc::new(Protection::Plain), false);
    let first = write(&writer, Tier::Warm, &bytes(10_000, 1));
    assert_eq!(read(&reader, &first).unwrap(), bytes(10_000, 1));
    let second = write(&writer, Tier::Warm, &bytes(10_000, 2));
    assert_eq!(read(&reader, &second).unwrap(), bytes(10_000, 2));
    writer.compact(|| live(&writer, &[second])).unwrap();
    assert_eq!(read(&reader, &first).unwrap(), bytes(10_000, 1), "its pack is open");
    assert_eq!(read(&reader, &second).unwrap(), bytes(10_000, 2));
}
