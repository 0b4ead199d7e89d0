//! The LIKE pattern, prepared once and matched in about linear time.
//!
//! `%` stands for any characters, `_` for one, `\` takes the next character literally (at the end of
//! the pattern it stands for itself). Characters are Unicode scalar values; case counts.
//!
//! Between two `%` every character of the pattern takes exactly one of the text, so the leftmost
//! match of each piece is as good as any, and nothing is ever tried again.

use memchr::memmem::Finder;

/// A prepared pattern.
#[derive(Clone, Debug)]
pub(super) struct LikePattern {
    /// What stands between the `%`s, without empty pieces.
    pieces: Vec<Piece>,
    /// Whether the pattern begins with `%`.
    open_start: bool,
    /// Whether the pattern ends with `%`.
    open_end: bool,
    /// Whether there is a `%` at all.
    has_gap: bool,
}

/// A part of a pattern without `%`.
#[derive(Clone, Debug)]
enum Piece {
    /// Only literal characters.
    Literal(Box<Finder<'static>>),
    /// Literal characters and, as None, `_`.
    Mixed(Vec<Option<char>>),
}

impl LikePattern {
    /// Prepares a pattern; every text is one.
    pub(super) fn new(pattern: &str) -> LikePattern {
        let mut made =
            LikePattern { pieces: Vec::new(), open_start: false, open_end: false, has_gap: false };
        let mut piece = Vec::new();
        let mut characters = pattern.chars();
        let mut is_first = true;
        while let Some(character) = characters.next() {
            made.open_end = character == '%';
            match character {
                '%' => {
                    made.has_gap = true;
                    made.open_start |= is_first;
                    made.push(std::mem::take(&mut piece));
                }
                '_' => piece.push(None),
                '\\' => piece.push(Some(characters.next().unwrap_or('\\'))),
                other => piece.push(Some(other)),
            }
            is_first = false;
        }
        made.push(piece);
        made
    }

    fn push(&mut self, piece: Vec<Option<char>>) {
        if piece.is_empty() {
            return;
        }
        self.pieces.push(match piece.iter().copied().collect::<Option<String>>() {
            Some(literal) => Piece::Literal(Box::new(Finder::new(literal.as_bytes()).into_owned())),
            None => Piece::Mixed(piece),
        });
    }

    /// Returns whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut rest = text;
        let mut pieces = self.pieces.as_slice();
        if !self.has_gap {
            return match pieces {
                [] => text.is_empty(),
                [piece, ..] => piece.strip_prefix(text) == Some(""),
            };
        }
        if let ([first, others @ ..], false) = (pieces, self.open_start) {
            let Some(after) = first.strip_prefix(rest) else { return false };
            (rest, pieces) = (after, others);
        }
        if let ([others @ .., last], false) = (pieces, self.open_end) {
            let Some(before) = last.strip_suffix(rest) else { return false };
            (rest, pieces) = (before, others);
        }
        pieces.iter().all(|piece| match piece.skip_past(rest) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

impl Piece {
    /// Returns what follows the piece, if the text begins with it.
    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => text
                .as_bytes()
                .starts_with(finder.needle())
                .then(|| text.get(finder.needle().len()..))?,
            Piece::Mixed(pattern) => {
                let mut characters = text.chars();
                for expected in pattern {
                    let found = characters.next()?;
                    if expected.is_some_and(|expected| expected != found) {
                        return None;
                    }
                }
                Some(characters.as_str())
            }
        }
    }

    /// Returns what precedes the piece, if the text ends with it.
    fn strip_suffix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => {
                let start = text.len().checked_sub(finder.needle().len())?;
                text.as_bytes().ends_with(finder.needle()).then(|| text.get(..start))?
            }
            Piece::Mixed(pattern) => {
                let mut characters = text.chars();
                for expected in pattern.iter().rev() {
                    let found = characters.next_back()?;
                    if expected.is_some_and(|expected| expected != found) {
                        return None;
                    }
                }
                Some(characters.as_str())
            }
        }
    }

    /// Returns what follows the leftmost place where the piece matches.
    fn skip_past<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => {
                let start = finder.find(text.as_bytes())?;
                text.get(start + finder.needle().len()..)
            }
            Piece::Mixed(_) => text
                .char_indices()
                .find_map(|(start, _)| self.strip_prefix(text.get(start..).unwrap_or_default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        LikePattern::new(pattern).matches(text)
    }

    #[test]
    fn percent_stands_for_any_characters_and_underscore_for_one() {
        assert!(like("alice", "al%"));
        assert!(like("alice", "%ice"));
        assert!(like("alice", "%lic%"));
        assert!(like("alice", "a_ice"));
        assert!(like("alice", "a%_e"));
        assert!(like("", "%"));
        assert!(like("", ""));
        assert!(like("naïve", "na_ve"));
        assert!(!like("alice", "al"));
        assert!(!like("alice", "Al%"));
        assert!(!like("", "_"));
        assert!(!like("x", ""));
        assert!(!like("ab", "_"));
    }

    #[test]
    fn pieces_never_overlap() {
        assert!(!like("aba", "ab%ba"));
        assert!(like("abba", "ab%ba"));
        assert!(like("abcbc", "a%bc"));
        assert!(!like("ab", "%b%b"));
        assert!(like("xaybz", "%a_b%"));
    }

    #[test]
    fn backslash_takes_the_next_character_literally() {
        assert!(like("100%", "100\\%"));
        assert!(!like("1000", "100\\%"));
        assert!(like("a_b", "a\\_b"));
        assert!(!like("axb", "a\\_b"));
        assert!(like("a\\", "a\\"));
        assert!(like("a\\b", "a\\\\b"));
        assert!(like("50%x", "%\\%%"));
        assert!(!like("ab%", "\\%%"));
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let text = "a".repeat(100_000);
        assert!(!like(&text, &format!("{}b", "%a".repeat(1_000))));
        assert!(!like(&text, &format!("{}%b", "%a_a".repeat(50))));
    }

    #[test]
    fn every_answer_is_that_of_the_plain_recursive_definition() {
        fn naive(text: &[char], pattern: &[char]) -> bool {
            match (pattern, text) {
                ([], _) => text.is_empty(),
                (['%', rest @ ..], _) => (0..=text.len()).any(|taken| naive(&text[taken..], rest)),
                (['_', rest @ ..], [_, others @ ..]) => naive(others, rest),
                ([wanted, rest @ ..], [found, others @ ..]) => {
                    wanted == found && naive(others, rest)
                }
                _ => false,
            }
        }
        let words = |alphabet: &[char], length: u32| -> Vec<Vec<char>> {
            (0..=length)
                .flat_map(|size| (0..alphabet.len().pow(size)).map(move |number| (size, number)))
                .map(|(size, number)| {
                    (0..size)
                        .map(|place| alphabet[number / alphabet.len().pow(place) % alphabet.len()])
                        .collect()
                })
                .collect()
        };
        for pattern in words(&['a', 'b', '%', '_'], 5) {
            let prepared = LikePattern::new(&pattern.iter().collect::<String>());
            for text in words(&['a', 'b'], 5) {
                let expected = naive(&text, &pattern);
                assert_eq!(
                    prepared.matches(&text.iter().collect::<String>()),
                    expected,
                    "{text:?} {pattern:?}"
                );
            }
        }
    }
}
