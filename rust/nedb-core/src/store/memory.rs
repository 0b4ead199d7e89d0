//! The log of a database in memory: text in segments that never move.
//!
//! In: one line at a time. Out: slices of them.
//!
//! Invariants:
//! * A line lies in one segment whole, so that a slice of it is a plain `&str`.
//! * A segment is never grown past its capacity, so that no text is ever copied.

/// Capacity of the first segment; each further one is twice as large, up to the largest.
const SEGMENT_BYTES_FIRST: usize = 64 << 10;
const SEGMENT_BYTES_LARGEST: usize = 64 << 20;

/// Lines in memory, addressed by byte offset like a file.
#[derive(Debug, Default)]
pub(crate) struct MemoryText {
    segments: Vec<Segment>,
    len_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    text: String,
}

impl MemoryText {
    /// Appends text that ends a line, and returns the offset of its first byte.
    pub fn append(&mut self, text: &str) -> u64 {
        let offset = self.len_bytes;
        if !self.segments.last().is_some_and(|last| last.has_room_for(text.len())) {
            self.segments.push(Segment {
                start: offset,
                text: String::with_capacity(self.next_capacity_bytes().max(text.len())),
            });
        }
        if let Some(last) = self.segments.last_mut() {
            last.text.push_str(text);
        }
        self.len_bytes += text.len() as u64;
        offset
    }

    /// Returns the text at an offset, or None where no single segment holds it.
    pub fn slice(&self, offset_bytes: u64, len_bytes: usize) -> Option<&str> {
        let after = self.segments.partition_point(|segment| segment.start <= offset_bytes);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let start = usize::try_from(offset_bytes - segment.start).ok()?;
        segment.text.get(start..start.checked_add(len_bytes)?)
    }

    /// Appends up to `bytes_max` bytes from an offset on; fewer only at the end.
    pub fn copy_from(&self, offset_bytes: u64, bytes_max: usize, out: &mut Vec<u8>) {
        let first = self.segments.partition_point(|segment| segment.start <= offset_bytes);
        let mut offset = offset_bytes;
        let mut left = bytes_max;
        for segment in self.segments.iter().skip(first.saturating_sub(1)) {
            if left == 0 {
                break;
            }
            let start = usize::try_from(offset - segment.start).unwrap_or(usize::MAX);
            let rest = segment.text.as_bytes().get(start..).unwrap_or_default();
            let part = rest.get(..left.min(rest.len())).unwrap_or_default();
            out.extend_from_slice(part);
            offset += part.len() as u64;
            left -= part.len();
        }
    }

    fn next_capacity_bytes(&self) -> usize {
        let doublings = self.segments.len().min(10) as u32;
        (SEGMENT_BYTES_FIRST << doublings).min(SEGMENT_BYTES_LARGEST)
    }
}

impl Segment {
    fn has_room_for(&self, bytes: usize) -> bool {
        self.text.capacity() - self.text.len() >= bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_at_its_offset() {
        let mut text = MemoryText::default();
        let lines: Vec<String> =
            (0..2_000).map(|n| format!("{n} {}\n", "é".repeat(n % 90))).collect();
        let offsets: Vec<u64> = lines.iter().map(|line| text.append(line)).collect();
        for (line, offset) in lines.iter().zip(offsets) {
            assert_eq!(text.slice(offset, line.len()), Some(line.as_str()));
        }
        assert_eq!(text.slice(text.len_bytes, 1), None);
        let whole = lines.concat();
        for (offset, count) in [(0, whole.len()), (0, 10), (65_000, 2_000), (70_000, usize::MAX)] {
            let mut copied = Vec::new();
            text.copy_from(offset, count, &mut copied);
            let start = offset as usize;
            let end = start.saturating_add(count).min(whole.len());
            assert!(copied == whole.as_bytes()[start..end], "{count} bytes from {offset}");
        }
    }

    #[test]
    fn a_line_larger_than_a_segment_has_one_of_its_own() {
        let mut text = MemoryText::default();
        let large = "x".repeat(3 * SEGMENT_BYTES_FIRST);
        text.append("small\n");
        let offset = text.append(&large);
        assert_eq!(text.slice(offset, large.len()), Some(large.as_str()));
    }
}
