//! Payloads, written.
//!
//! In: what an op does. Out: canonical text: keys sorted, compact.

use crate::document::{Provenance, write_integer, write_seqs};
use crate::hash::to_hex;
use crate::json::{write_double, write_string};
use crate::op::{Item, Items, OpKind, Put, PutFile, Repair, Seq, TextPlace, kind};

/// Appends the payload of an op, and notes in each put where its text stands in `out`. Each item of a transaction
/// says what stands at its place in `said`.
///
/// An item of a kind that is not known has no payload that could be written: `null` is, which is damage.
pub(in crate::log) fn write_payload(
    items: &mut Items<'_>,
    said: &[Provenance<'_>],
    out: &mut String,
) {
    match items {
        Items::One(item) => write_kind(&mut item.kind, out),
        Items::Many(items) => {
            out.push_str("{\"items\":[");
            let mut said = said.iter();
            for (place, item) in items.iter_mut().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_item(item, said.next().unwrap_or(&Provenance::default()), out);
            }
            out.push_str("]}");
        }
    }
}

fn write_item(item: &mut Item<'_>, said: &Provenance<'_>, out: &mut String) {
    out.push('{');
    if !item.caused_by.is_empty() {
        out.push_str("\"caused_by\":");
        write_seqs(&item.caused_by, out);
        out.push(',');
    }
    if let Some(confidence) = said.confidence {
        out.push_str("\"confidence\":");
        write_double(confidence, out);
        out.push(',');
    }
    if let Some(evidence) = said.evidence {
        write_text("\"evidence\":", evidence, out);
        out.push(',');
    }
    out.push_str("\"op\":\"");
    out.push_str(item.kind.name().unwrap_or(kind::TRANSACTION));
    out.push_str("\",\"payload\":");
    write_kind(&mut item.kind, out);
    for (label, date) in [(",\"valid_from\":", said.valid_from), (",\"valid_to\":", said.valid_to)]
    {
        if let Some(date) = date {
            write_text(label, date, out);
        }
    }
    out.push('}');
}

fn write_kind(kind: &mut OpKind<'_>, out: &mut String) {
    match kind {
        OpKind::Put(put) => write_put(put, out),
        OpKind::Delete { collection, id } => {
            write_text("{\"coll\":", collection, out);
            write_id_and_key(collection, id, out);
        }
        OpKind::Link { from, relation, to } | OpKind::Unlink { from, relation, to } => {
            write_text("{\"frm\":", from, out);
            write_text(",\"rel\":", relation, out);
            write_text(",\"to\":", to, out);
            out.push('}');
        }
        OpKind::PutFile(put) => write_put_file(put, out),
        OpKind::Checkpoint { note, views } => {
            write_text("{\"note\":", note, out);
            if let Some(views) = views {
                write_text(",\"views\":", views, out);
            }
            out.push('}');
        }
        OpKind::Repair(repair) => write_repair(repair, out),
        OpKind::Encrypt { plain_op_count } => {
            write_count("{\"plain_op_count\":", *plain_op_count, out);
            out.push('}');
        }
        OpKind::Unknown => out.push_str("null"),
    }
}

fn write_put(put: &mut Put<'_>, out: &mut String) {
    write_text("{\"coll\":", &put.collection, out);
    out.push_str(",\"doc\":");
    // LINE_BYTES_MAX is far below 4 GiB.
    put.place = TextPlace { start: out.len() as u32, bytes: put.text.len() as u32 };
    out.push_str(&put.text);
    write_id_and_key(&put.collection, &put.id, out);
}

/// Appends `id`, and `key`, which is the collection, a colon and the id.
fn write_id_and_key(collection: &str, id: &str, out: &mut String) {
    write_text(",\"id\":", id, out);
    write_text(",\"key\":", collection, out);
    // The collection's closing quote gives way to a colon and the id.
    out.pop();
    out.push(':');
    let id_start = out.len();
    write_string(id, out);
    out.remove(id_start);
    out.push('}');
}

fn write_put_file(put: &PutFile<'_>, out: &mut String) {
    out.push('{');
    if let Some(content) = &put.content {
        write_text("\"manifest\":", &to_hex(&content.manifest), out);
        out.push(',');
    }
    write_text("\"name\":", &put.name, out);
    write_text(",\"root\":", &to_hex(&put.root), out);
    if let Some(content) = &put.content {
        write_count(",\"size\":", content.size_bytes, out);
    }
    write_text(",\"tier\":", put.tier.as_str(), out);
    if put.content.is_some() {
        out.push_str(",\"tree\":1");
    }
    write_count(",\"version\":", put.version, out);
    out.push('}');
}

fn write_repair(repair: &Repair<'_>, out: &mut String) {
    let Repair { cut_bytes, damaged_file, offset_bytes, reason, synced_bytes, carried } = repair;
    out.push('{');
    if let Some(carried) = carried {
        write_count("\"carried_op_count\":", carried.op_count, out);
        out.push_str(",\"carried_seqs\":");
        write_ranges(&carried.old_seqs, out);
        out.push(',');
    }
    write_count("\"cut_bytes\":", *cut_bytes, out);
    write_text(",\"damaged_file\":", damaged_file, out);
    if let Some(carried) = carried {
        write_count(",\"lost_cause_count\":", carried.lost_cause_count, out);
    }
    write_count(",\"offset_bytes\":", *offset_bytes, out);
    write_text(",\"reason\":", reason, out);
    if let Some(synced_bytes) = synced_bytes {
        write_count(",\"synced_bytes\":", *synced_bytes, out);
    }
    out.push('}');
}

fn write_ranges(ranges: &[(Seq, Seq)], out: &mut String) {
    out.push('[');
    for (place, (first, last)) in ranges.iter().enumerate() {
        out.push_str(if place > 0 { ",[" } else { "[" });
        write_integer(*first, out);
        out.push(',');
        write_integer(*last, out);
        out.push(']');
    }
    out.push(']');
}

fn write_text(label: &str, text: &str, out: &mut String) {
    out.push_str(label);
    write_string(text, out);
}

fn write_count(label: &str, count: u64, out: &mut String) {
    out.push_str(label);
    out.push_str(&count.to_string());
}
