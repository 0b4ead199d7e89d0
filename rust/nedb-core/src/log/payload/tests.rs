//! Every kind of op, written and read again.

use crate::document::{Provenance, write_stored};
use crate::hash::{Hash, ZERO_HASH, digest};
use crate::instant::{self, Bound};
use crate::log::{Fault, Fields, Header, encode_line, normalize};
use crate::op::{
    Carried, FileContent, Item, Items, Nonce, Op, OpKind, Put, PutFile, Repair, Seq, TextPlace,
    Tier,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::borrow::Cow;

const SEQ: Seq = 9;

fn encode(
    items: &mut Items<'_>,
    said: &Provenance<'_>,
    said_of_items: &[Provenance<'_>],
) -> String {
    let header = Header {
        seq: SEQ,
        client: "c",
        nonce: 3,
        ts: 1.5,
        idem: Some("k"),
        said: said.clone(),
        said_of_items,
    };
    let mut line = String::new();
    encode_line(&header, items, ZERO_HASH, &mut String::new(), &mut line).unwrap();
    line
}

fn decode<T>(line: &str, look: impl FnOnce(&Fields<'_>, Op<'_>) -> T) -> Result<T, Fault> {
    let normalized = normalize(line.trim_end().as_bytes())?;
    let fields = Fields::split(&normalized)?;
    assert!(fields.has_right_hash());
    fields.to_op().map(|op| look(&fields, op))
}

fn put(collection: &'static str, id: &str, document: &str, said: &Provenance<'_>) -> Put<'static> {
    let mut text = String::new();
    write_stored(document, id, said, &mut text).unwrap();
    Put {
        collection: Cow::Borrowed(collection),
        id: Cow::Owned(id.to_owned()),
        text: Cow::Owned(text),
        place: TextPlace::LEGACY,
        valid_from: said.valid_from.and_then(|date| instant::parse(date, Bound::From)),
        valid_to: said.valid_to.and_then(|date| instant::parse(date, Bound::To)),
        expires_at: said.expires_at,
    }
}

fn said() -> Provenance<'static> {
    Provenance {
        caused_by: &[1, 4],
        confidence: Some(0.5),
        evidence: Some("a \"b\""),
        expires_at: Some(2.5),
        valid_from: Some("2020-01-01"),
        valid_to: Some("2021"),
    }
}

fn file(content: Option<FileContent>) -> OpKind<'static> {
    let root: Hash = digest(&[b"root"]);
    OpKind::PutFile(PutFile { name: "a\nb".into(), version: 2, tier: Tier::Cold, root, content })
}

/// One of each kind, with the payload that it has had since it was first written.
fn golden() -> Vec<(OpKind<'static>, String)> {
    let hex = |text: &str| crate::hash::to_hex(&digest(&[text.as_bytes()]));
    let content = FileContent { size_bytes: 7, manifest: digest(&[b"manifest"]) };
    let cut = Repair {
        cut_bytes: 5,
        damaged_file: "log.aof.damaged-9".into(),
        offset_bytes: 100,
        reason: "bad \"line\"".into(),
        synced_bytes: Some(200),
        carried: None,
    };
    let carried = Carried { op_count: 3, old_seqs: vec![(7, 8), (12, 12)], lost_cause_count: 1 };
    let carried = Repair { synced_bytes: None, carried: Some(carried), ..cut.clone() };
    let edge = || ("a:1".into(), "r".into(), "b:2".into());
    let (from, relation, to) = edge();
    let link = OpKind::Link { from, relation, to };
    let (from, relation, to) = edge();
    let unlink = OpKind::Unlink { from, relation, to };
    let views = || Some(Cow::Owned(hex("views")));
    [
        (
            OpKind::Put(put("c", "i\"d", r#"{"n": 1.50}"#, &said())),
            r#"{"coll":"c","doc":{"_caused_by":[1,4],"_confidence":0.5,"_evidence":"a \"b\"","_expires_at":2.5,"_id":"i\"d","_valid_from":"2020-01-01","_valid_to":"2021","n":1.5},"id":"i\"d","key":"c:i\"d"}"#.to_owned(),
        ),
        (
            OpKind::Delete { collection: "c".into(), id: "1".into() },
            r#"{"coll":"c","id":"1","key":"c:1"}"#.to_owned(),
        ),
        (link, r#"{"frm":"a:1","rel":"r","to":"b:2"}"#.to_owned()),
        (unlink, r#"{"frm":"a:1","rel":"r","to":"b:2"}"#.to_owned()),
        (
            file(Some(content)),
            format!(
                r#"{{"manifest":"{}","name":"a\nb","root":"{}","size":7,"tier":"cold","tree":1,"version":2}}"#,
                hex("manifest"),
                hex("root")
            ),
        ),
        (
            file(None),
            format!(r#"{{"name":"a\nb","root":"{}","tier":"cold","version":2}}"#, hex("root")),
        ),
        (
            OpKind::Checkpoint { note: "n".into(), views: None },
            r#"{"note":"n"}"#.to_owned(),
        ),
        (
            OpKind::Checkpoint { note: "n".into(), views: views() },
            format!(r#"{{"note":"n","views":"{}"}}"#, hex("views")),
        ),
        (
            OpKind::Repair(cut),
            r#"{"cut_bytes":5,"damaged_file":"log.aof.damaged-9","offset_bytes":100,"reason":"bad \"line\"","synced_bytes":200}"#.to_owned(),
        ),
        (
            OpKind::Repair(carried),
            r#"{"carried_op_count":3,"carried_seqs":[[7,8],[12,12]],"cut_bytes":5,"damaged_file":"log.aof.damaged-9","lost_cause_count":1,"offset_bytes":100,"reason":"bad \"line\""}"#.to_owned(),
        ),
        (OpKind::Encrypt { plain_op_count: 4 }, r#"{"plain_op_count":4}"#.to_owned()),
    ]
    .into()
}

#[test]
fn every_kind_is_written_as_ever_and_read_as_the_same() {
    let mut names = Vec::new();
    for (kind, payload) in golden() {
        names.extend(kind.name());
        let mut items = Items::One(Item { kind, caused_by: Cow::Borrowed(&[1, 4]) });
        let said = Provenance { caused_by: &[1, 4], ..Provenance::default() };
        let line = encode(&mut items, &said, &[]);
        assert!(line.contains(&format!(r#""payload":{payload},"prev_hash""#)), "{line}{payload}");
        decode(&line, |_, op| assert_eq!(op.items, items)).unwrap();
    }
    names.dedup();
    assert_eq!(
        names,
        ["put", "delete", "link", "unlink", "put_file", "checkpoint", "repair", "encrypt"]
    );
}

#[test]
fn a_transaction_says_of_each_item_what_was_said_of_it() {
    let said = said();
    let put = OpKind::Put(put("c", "1", "{}", &said));
    let delete = OpKind::Delete { collection: "c".into(), id: "2".into() };
    let items = [(put, said.caused_by), (delete, &[])];
    let items = items.map(|(kind, caused_by)| Item { kind, caused_by: Cow::Borrowed(caused_by) });
    let mut items = Items::Many(items.into());
    let line = encode(&mut items, &Provenance::default(), &[said, Provenance::default()]);
    let payload = concat!(
        r#""payload":{"items":[{"caused_by":[1,4],"confidence":0.5,"evidence":"a \"b\"","op":"put","payload":{"coll":"c","#,
        r#""doc":{"_caused_by":[1,4],"_confidence":0.5,"_evidence":"a \"b\"","_expires_at":2.5,"_id":"1","#,
        r#""_valid_from":"2020-01-01","_valid_to":"2021"},"id":"1","key":"c:1"},"valid_from":"2020-01-01","#,
        r#""valid_to":"2021"},{"op":"delete","payload":{"coll":"c","id":"2","key":"c:2"}}]},"prev_hash""#
    );
    assert!(line.contains(payload), "{line}");
    decode(&line, |_, op| assert_eq!(op.items, items)).unwrap();
}

#[test]
fn an_op_of_a_kind_that_is_not_known_is_not_written() {
    let mut line = String::new();
    let mut items = Items::of(OpKind::Unknown);
    let header = Header::default();
    encode_line(&header, &mut items, ZERO_HASH, &mut String::new(), &mut line).unwrap_err();
    assert_eq!(line, "");
}

fn text() -> impl Strategy<Value = Cow<'static, str>> {
    prop_oneof![any::<String>(), "[a-z\"\\\\:é\u{1F600}\u{7f}\n]{0,12}"].prop_map(Cow::Owned)
}

/// The name of a collection holds no colon.
fn collection() -> impl Strategy<Value = Cow<'static, str>> {
    text().prop_map(|name| Cow::Owned(name.replace(':', ";")))
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<Hash>()
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), any::<u64>()]
}

fn document() -> impl Strategy<Value = String> {
    vec(("[a-z_]{0,3}", text()), 0..4).prop_map(|members| {
        let members: serde_json::Map<String, serde_json::Value> = members
            .into_iter()
            .filter(|(key, _)| key != "_id")
            .map(|(key, value)| (key, value.into_owned().into()))
            .collect();
        serde_json::Value::Object(members).to_string()
    })
}

fn any_put() -> impl Strategy<Value = OpKind<'static>> {
    let date = || option::of(prop_oneof![Just("2020-02-29"), Just("1999")]);
    let ends = (option::of(0.0..1e12), date(), date());
    (collection(), text(), document(), ends).prop_map(|(collection, id, document, ends)| {
        let (expires_at, valid_from, valid_to) = ends;
        let said = Provenance { expires_at, valid_from, valid_to, ..Provenance::default() };
        let Put { text, place, valid_from, valid_to, .. } = put("", &id, &document, &said);
        OpKind::Put(Put {
            collection,
            id: id.clone(),
            text,
            place,
            valid_from,
            valid_to,
            expires_at,
        })
    })
}

fn any_repair() -> impl Strategy<Value = OpKind<'static>> {
    let range = (any::<Seq>(), any::<Seq>()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let carried =
        (count(), vec(range, 0..4), count()).prop_map(|(op_count, old_seqs, lost_cause_count)| {
            Carried { op_count, old_seqs, lost_cause_count }
        });
    let texts = (text(), text());
    (count(), count(), texts, option::of(count()), option::of(carried)).prop_map(
        |(cut_bytes, offset_bytes, (damaged_file, reason), synced_bytes, carried)| {
            let repair =
                Repair { cut_bytes, damaged_file, offset_bytes, reason, synced_bytes, carried };
            OpKind::Repair(repair)
        },
    )
}

/// An op of each kind but `Unknown`.
fn any_kind() -> impl Strategy<Value = OpKind<'static>> {
    let edge = || (text(), text(), text());
    let content = option::of((count(), hash()));
    let tier = prop_oneof![Just(Tier::Warm), Just(Tier::Cold)];
    prop_oneof![
        any_put(),
        (collection(), text()).prop_map(|(collection, id)| OpKind::Delete { collection, id }),
        edge().prop_map(|(from, relation, to)| OpKind::Link { from, relation, to }),
        edge().prop_map(|(from, relation, to)| OpKind::Unlink { from, relation, to }),
        (text(), count(), tier, hash(), content).prop_map(
            |(name, version, tier, root, content)| {
                let content =
                    content.map(|(size_bytes, manifest)| FileContent { size_bytes, manifest });
                OpKind::PutFile(PutFile { name, version, tier, root, content })
            }
        ),
        (text(), option::of(hash())).prop_map(|(note, views)| {
            let views = views.map(|hash| Cow::Owned(crate::hash::to_hex(&hash)));
            OpKind::Checkpoint { note, views }
        }),
        any_repair(),
        count().prop_map(|plain_op_count| OpKind::Encrypt { plain_op_count }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_of_any_op_is_read_as_the_same_op(
        items in vec((any_kind(), vec(any::<Seq>(), 0..3)), 1..4),
        is_transaction: bool,
    ) {
        let mut items: Vec<Item<'_>> = items
            .into_iter()
            .map(|(kind, caused_by)| Item { kind, caused_by: Cow::Owned(caused_by) })
            .collect();
        let causes = items[0].caused_by.to_vec();
        let said = Provenance { caused_by: &causes, ..Provenance::default() };
        let (mut items, said) = match is_transaction {
            true => (Items::Many(items), Provenance::default()),
            false => (Items::One(items.swap_remove(0)), said),
        };
        let line = encode(&mut items, &said, &[]);
        let expected = Op {
            seq: SEQ,
            client: "c".into(),
            nonce: Nonce::Integer(3),
            idem: Some("k".into()),
            items,
        };
        // Texts stand in the line where it is said.
        for item in expected.items.as_slice() {
            if let OpKind::Put(put) = &item.kind {
                let start = put.place.start as usize;
                prop_assert_eq!(&line[start..start + put.place.bytes as usize], &*put.text);
            }
        }
        decode(&line, |_, op| assert_eq!(op, expected)).unwrap();
    }
}
