//! A full-text index as bytes: its terms in the order in which they were first seen, their postings, and
//! the sizes of the collection.
//!
//! The terms of a life's text now follow from the live postings.

use super::{CurrentText, Occurrence, SearchIndex, Size, Slot};
use crate::json::Path;
use crate::op::Seq;
use crate::views::codec::{Malformed, Reader, Writer};
use crate::views::ids::{Life, NO_END};
use crate::views::index::postings::{Ended, Live, Payload};
use crate::views::names::Names;

/// What a saved size is at least: a seq and two differences.
const SIZE_BYTES_MIN: usize = 3;

impl Payload for Occurrence {
    fn encode(&self, out: &mut Writer) {
        out.unsigned(self.count.into());
        out.unsigned(self.length.into());
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let occurrence = Occurrence { count: input.small()?, length: input.small()? };
        if occurrence.count == 0 || occurrence.count > occurrence.length {
            return Err(Malformed("a word stands in a text more often than the text has words"));
        }
        Ok(occurrence)
    }
}

impl SearchIndex {
    /// Appends terms, postings and sizes.
    pub fn encode(&self, lives: &[Life], out: &mut Writer) {
        self.terms.encode(out);
        for slot in &self.slots {
            slot.live.encode(lives, out);
            slot.ended.encode(lives, out);
        }
        out.count(self.sizes.len());
        let mut before = Size { seq: -1, document_count: 0, token_count: 0 };
        for size in &self.sizes {
            out.rise(before.seq, size.seq);
            out.signed(size.document_count.wrapping_sub(before.document_count) as i64);
            out.signed(size.token_count.wrapping_sub(before.token_count) as i64);
            before = *size;
        }
    }

    /// Reads what `encode` wrote, of an index on fields of a collection with these lives.
    pub fn decode(
        input: &mut Reader<'_>,
        fields: Vec<Path>,
        lives: &[Life],
        last_seq: Seq,
    ) -> Result<SearchIndex, Malformed> {
        let mut loaded = SearchIndex { terms: Names::decode(input)?, ..SearchIndex::new(fields) };
        loaded.slots.reserve_exact(loaded.terms.count() as usize);
        for _ in 0..loaded.terms.count() {
            let live = Live::decode(input, lives, last_seq)?;
            loaded.slots.push(Slot { live, ended: Ended::decode(input, lives, last_seq)? });
        }
        loaded.sizes = decode_sizes(input, last_seq)?;
        loaded.current = current_texts(&loaded.slots, lives)?;
        let token_count = loaded.current.iter().flatten().map(|text| u64::from(text.length)).sum();
        let now = loaded.size_at(last_seq);
        let document_count = loaded.current.iter().flatten().count() as u64;
        if (now.document_count, now.token_count) != (document_count, token_count) {
            return Err(Malformed("a full-text index miscounts its documents"));
        }
        Ok(loaded)
    }
}

fn decode_sizes(input: &mut Reader<'_>, last_seq: Seq) -> Result<Vec<Size>, Malformed> {
    let count = input.count(SIZE_BYTES_MIN)?;
    let mut sizes = Vec::with_capacity(count);
    let mut before = Size { seq: -1, document_count: 0, token_count: 0 };
    for _ in 0..count {
        let seq = input.rise(before.seq, last_seq)?;
        let document_count = before.document_count.checked_add_signed(input.signed()?);
        let token_count = before.token_count.checked_add_signed(input.signed()?);
        let (Some(document_count), Some(token_count), true) =
            (document_count, token_count, seq > before.seq)
        else {
            return Err(Malformed("a full-text index miscounts its documents"));
        };
        before = Size { seq, document_count, token_count };
        sizes.push(before);
    }
    Ok(sizes)
}

/// Gathers the terms of each life's text, ascending, from the live postings of each term.
fn current_texts(slots: &[Slot], lives: &[Life]) -> Result<Vec<Option<CurrentText>>, Malformed> {
    let mut term_counts = vec![0_u32; lives.len()];
    for (life, _) in slots.iter().flat_map(|slot| slot.live.iter()) {
        if let Some(count) = term_counts.get_mut(life as usize) {
            *count += 1;
        }
    }
    let mut found: Vec<(Vec<u32>, Option<u32>)> =
        term_counts.iter().map(|count| (Vec::with_capacity(*count as usize), None)).collect();
    for (term, slot) in slots.iter().enumerate() {
        for (life, posting) in slot.live.iter() {
            let length = posting.payload.length;
            let text = found.get_mut(life as usize);
            let text = text.filter(|(_, known)| known.is_none_or(|known| known == length));
            let (terms, known) = text.ok_or(Malformed("a text has two lengths"))?;
            terms.push(term as u32);
            *known = Some(length);
        }
    }
    let text = |(life, (terms, length)): (&Life, (Vec<u32>, Option<u32>))| {
        (life.end_seq == NO_END)
            .then(|| CurrentText { terms: terms.into_boxed_slice(), length: length.unwrap_or(0) })
    };
    Ok(lives.iter().zip(found).map(text).collect())
}
